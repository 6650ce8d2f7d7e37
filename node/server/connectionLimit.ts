/**
 * How many clients may be connected. One too many is told so in its own dialect, as far as there is room even for
 * that; each is counted, and the log says so from time to time.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../metrics.ts';

/** Connections over the limit that are open at once, until they are told. More are closed as they come. */
export const REFUSALS_COUNT_MAX = 100;
/** Between two lines of the log about it. */
const LOG_EVERY_MS = 10_000;

export interface ConnectionLimitOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly maxConnections: number;
}

export class ConnectionLimit {
  readonly #options: ConnectionLimitOptions;
  #count = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionLimitOptions) {
    this.#options = options;
  }

  /** @returns why one more cannot be served; null when it can. */
  refusal(openCount: number): WalrusError | null {
    const { maxConnections } = this.#options;
    if (openCount < maxConnections) return null;
    this.refused();
    return new WalrusError(
      'OVERLOADED',
      `overloaded: this node has its ${maxConnections} connections (maxConnections), try again or another node`,
    );
  }

  /** A connection was refused, or closed as it came. */
  refused(): void {
    const { clock, logger, metrics, maxConnections } = this.#options;
    metrics.connectionRefused();
    this.#count += 1;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#loggedAtMs < LOG_EVERY_MS) return;
    this.#loggedAtMs = nowMs;
    logger.log('warn', 'connections are refused: there are too many', {
      refused: this.#count,
      maxConnections,
    });
    this.#count = 0;
  }
}

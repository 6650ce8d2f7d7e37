/** What all parts of the client server share: the node's parts, its limits, and where things are counted. */
import type { BufferPool } from '../../base/bufferPool.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../metrics.ts';
import type { NodeParts } from '../walrusNode.ts';

export interface ServerLimits {
  /** Clients connected at once. */
  readonly maxConnections: number;
  readonly maxFrameBytes: number;
  /** Requests and replies in memory for one connection. */
  readonly maxConnectionInFlightBytes: number;
  /** The same for all connections; beyond it writes get OVERLOADED. */
  readonly maxNodeInFlightBytes: number;
  readonly maxFetchBytes: number;
  /** When a request that names no time of its own fails with TIMED_OUT. */
  readonly requestTimeoutMs: number;
}

export interface ServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly buffers: BufferPool;
  readonly limits: ServerLimits;
  readonly softwareVersion: string;
}

/** The bytes that clients have under way on this node. */
export class Budget {
  inFlightBytes = 0;
  readonly #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get isExhausted(): boolean {
    return this.inFlightBytes >= this.#limitBytes;
  }
}

export interface ServerContext extends ServerOptions {
  /** Something that cannot be: reported to whoever owns the process. */
  onBug(bug: unknown): void;
  readonly parts: NodeParts;
  readonly budget: Budget;
}

/** Told to clients while the node has more under way than it may. */
export const OVERLOADED_MESSAGE =
  'overloaded: this node has too many requests under way, slow down and try again';

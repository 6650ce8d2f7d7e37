/**
 * Read barriers at a bounded rate. Each is a round of messages to all voters; where many ask, those who come too early for the
 * next one wait for it, and share it. Whoever asks alone does not wait.
 */
import type { Clock } from '../../base/clock.ts';

export interface PacedBarrierOptions {
  readonly clock: Clock;
  /** From the beginning of one to that of the next, at least. */
  readonly intervalMs: number;
  /** Begins one. */
  barrier(): Promise<void>;
}

export class PacedBarrier {
  readonly #options: PacedBarrierOptions;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** The one that has not begun. */
  #next: Promise<void> | null = null;

  constructor(options: PacedBarrierOptions) {
    this.#options = options;
  }

  /** Resolves with a barrier that begins after this call. @throws {WalrusError} as the barrier. */
  wait(): Promise<void> {
    if (this.#next !== null) return this.#next;
    const { clock, intervalMs } = this.#options;
    const earlyMs = this.#lastMs + intervalMs - clock.monotonicMs();
    if (earlyMs <= 0) return this.#begin();
    this.#next = new Promise((resolve) => {
      clock.setTimer(earlyMs, () => resolve(this.#begin()));
    });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = null;
    this.#lastMs = this.#options.clock.monotonicMs();
    return this.#options.barrier();
  }
}

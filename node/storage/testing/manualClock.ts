/** A clock for tests: time stands still until the test lets it run. */
import type { Clock, Timer } from '../../../base/clock.ts';

interface Entry {
  readonly atMs: number;
  readonly sequence: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

/** Runs timers and deferred calls in the order of their time, then of their creation. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  #entries: Entry[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    this.#sequence += 1;
    const entry = {
      atMs: this.#nowMs + delayMs,
      sequence: this.#sequence,
      callback,
      isCancelled: false,
    };
    this.#entries.push(entry);
    return {
      cancel: () => {
        entry.isCancelled = true;
      },
    };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  /** Runs the next call that is due, whenever that is; false when there is none. */
  step(): boolean {
    let next: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.isCancelled) continue;
      if (!next || entry.atMs < next.atMs) next = entry;
    }
    if (!next) return false;
    this.#entries = this.#entries.filter((entry) => entry !== next && !entry.isCancelled);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.callback();
    return true;
  }

  /** Runs until nothing is left to run. */
  run(stepsMax = 100_000): void {
    for (let step = 0; step < stepsMax; step += 1) if (!this.step()) return;
    throw new Error(`The clock did not come to rest within ${stepsMax} steps`);
  }

  /** Drops every timer, as the death of the process does. */
  clear(): void {
    this.#entries = [];
  }
}

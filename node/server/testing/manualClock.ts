/** Time that passes when a test says so. */
import type { Clock, Timer } from '../../../base/clock.ts';

interface Entry {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #entries: Entry[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const entry = { dueMs: this.#nowMs + delayMs, callback };
    this.#entries.push(entry);
    return {
      cancel: () => {
        this.#entries = this.#entries.filter((other) => other !== entry);
      },
    };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  get timerCount(): number {
    return this.#entries.length;
  }

  /** Runs what is due within `durationMs`, in order of time. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const due = this.#entries.filter(({ dueMs }) => dueMs <= endMs);
      const next = due.reduce<Entry | undefined>(
        (best, entry) => (best === undefined || entry.dueMs < best.dueMs ? entry : best),
        undefined,
      );
      if (next === undefined) break;
      this.#entries = this.#entries.filter((entry) => entry !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }
}

/** Time that tests move by hand. Callbacks run in the order of their times, then of their making. */
import type { Clock, Timer } from '../../../base/clock.ts';

interface Task {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  #tasks: Task[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const task = { atMs: this.#nowMs + delayMs, order: (this.#order += 1), callback };
    this.#tasks.push(task);
    return {
      cancel: () => {
        this.#tasks = this.#tasks.filter((one) => one !== task);
      },
    };
  }

  defer(callback: () => void): void {
    this.setTimer(0, callback);
  }

  /** Moves time on, running what is due; promises settle in between. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#tasks.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const [next] = this.#tasks;
      if (next === undefined || next.atMs > endMs) break;
      this.#tasks.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }
}

/**
 * A clock for somebody who ends: every timer that it gave out is cancelled then, and none is set any more. What was
 * forgotten, or is armed by a callback that comes late, can neither act on what is closed nor keep a process alive.
 */
import type { Clock, Timer } from './clock.ts';

const ENDED: Timer = {
  cancel: () => undefined,
};

export class ClockScope implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #isEnded = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Timers that have neither fired nor been cancelled. */
  get timerCount(): number {
    return this.#timers.size;
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#isEnded) return ENDED;
    const inner = this.#clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        inner.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  defer(callback: () => void): void {
    if (this.#isEnded) return;
    this.#clock.defer(() => {
      if (!this.#isEnded) callback();
    });
  }

  /** Cancels all timers; later ones are ignored. */
  end(): void {
    this.#isEnded = true;
    for (const timer of this.#timers) timer.cancel();
  }
}

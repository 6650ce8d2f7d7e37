/** Real time (`base/clock.ts`). */
import type { Clock, Timer } from '../../base/clock.ts';

/** The longest delay that setTimeout takes; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The machine's clocks and the event loop's timers. */
export class RealClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const dueMs = performance.now() + delayMs;
    let handle: NodeJS.Timeout;
    const arm = (restMs: number): void => {
      handle =
        restMs <= MAX_DELAY_MS
          ? setTimeout(callback, restMs)
          : setTimeout(() => {
              arm(dueMs - performance.now());
            }, MAX_DELAY_MS);
    };
    arm(delayMs);
    return {
      cancel: () => {
        clearTimeout(handle);
      },
    };
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}

/**
 * The steps of a node's end, one after the other, each bounded in time: one that hangs is named in the log and left
 * behind, so that a node always ends.
 */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';

export class Shutdown {
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Runs one step. Never rejects: what comes after it has to run in any case.
   * @returns whether the step came to its end, successful or not, within the time.
   */
  async step(name: string, withinMs: number, action: () => Promise<void>): Promise<boolean> {
    const hasEnded = action().then(
      () => true,
      (error: unknown) => {
        this.#logger.log('error', 'a step of the shutdown failed', {
          step: name,
          reason: messageOf(error),
        });
        return true;
      },
    );
    const isInTime = await this.#within(Math.max(0, withinMs), hasEnded);
    if (!isInTime) {
      this.#logger.log('warn', 'the shutdown goes on without a step that takes too long', {
        step: name,
        waitedMs: Math.round(withinMs),
      });
    }
    return isInTime;
  }

  #within(withinMs: number, hasEnded: Promise<boolean>): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(withinMs, () => resolve(false));
      void hasEnded.then((value) => {
        timer.cancel();
        resolve(value);
      });
    });
  }
}

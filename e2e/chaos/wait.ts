/** Waiting: for conditions with a deadline, and to hold a fault or a rate. */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 20;

/** Holds a fault or paces a load; never a way to wait for something to have happened. */
export async function pause(delayMs: number): Promise<void> {
  await delay(delayMs);
}

/** What did not come about in time. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/**
 * Looks again and again until the condition holds.
 * @param what - Completes "not within N ms: ".
 * @throws {DeadlineError}
 */
export async function waitFor(
  what: string,
  deadlineMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > endMs) throw new DeadlineError(`not within ${deadlineMs} ms: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}

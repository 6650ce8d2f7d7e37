import { expect, test } from '@jest/globals';
import { ManualClock } from './server/testing/manualClock.ts';
import { Shutdown } from './shutdown.ts';

function newShutdown(): { shutdown: Shutdown; clock: ManualClock; lines: unknown[] } {
  const clock = new ManualClock();
  const lines: unknown[] = [];
  const logger = { log: (...line: unknown[]) => void lines.push(line) };
  return { shutdown: new Shutdown(clock, logger), clock, lines };
}

test('step() waits for what comes to its end in time, and says nothing', async () => {
  const { shutdown, lines } = newShutdown();
  expect(await shutdown.step('closing', 100, () => Promise.resolve())).toBe(true);
  expect(lines).toEqual([]);
});

test('step() leaves behind what hangs, and names it', async () => {
  const { shutdown, clock, lines } = newShutdown();
  const step = shutdown.step('closing the disk', 100, () => new Promise(() => undefined));
  clock.advance(100);
  expect(await step).toBe(false);
  const message = 'the shutdown goes on without a step that takes too long';
  expect(lines).toEqual([['warn', message, { step: 'closing the disk', waitedMs: 100 }]]);
});

test('step() names what fails, and goes on', async () => {
  const { shutdown, lines } = newShutdown();
  const failing = (): Promise<void> => Promise.reject(new Error('no such file'));
  expect(await shutdown.step('closing the disk', 100, failing)).toBe(true);
  const fields = { step: 'closing the disk', reason: 'no such file' };
  expect(lines).toEqual([['error', 'a step of the shutdown failed', fields]]);
});

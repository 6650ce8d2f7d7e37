/** Thousands of random commands of random proposers, against an oracle of its own. */
import { expect, jest, test } from '@jest/globals';
import { runModel } from './testing/modelRun.ts';

test('random commands keep every promise, on every instance, from every snapshot', () => {
  const accepted = new Map<string, number>();
  let refused = 0;
  for (let seed = 1; seed <= 10; seed += 1) {
    const result = runModel(seed, 1000);
    refused += result.refused;
    for (const [type, count] of result.accepted) {
      accepted.set(type, (accepted.get(type) ?? 0) + count);
    }
  }
  // The runs mean something: every kind of command took place, and many were refused.
  expect(accepted.size).toBe(17);
  for (const [type, count] of accepted) expect([type, count >= 10]).toEqual([type, true]);
  expect(refused).toBeGreaterThan(1000);
});

test('a retention that deletes the last snapshot of the producers is found', async () => {
  await jest.isolateModulesAsync(async () => {
    // The guard of ADR 0111 taken away: every segment counts as followed by one with a snapshot.
    jest.doMock('./queries.ts', () => ({
      ...jest.requireActual<object>('./queries.ts'),
      newestSnapshotAt: (_metadata: unknown, ids: readonly unknown[]) => ids.length - 1,
    }));
    const { runModel: runPlanted } = await import('./testing/modelRun.ts');
    const runs = (): void => {
      for (let seed = 1; seed <= 10; seed += 1) runPlanted(seed, 1000);
    };
    expect(runs).toThrow('is deleted with the last snapshot');
  });
});

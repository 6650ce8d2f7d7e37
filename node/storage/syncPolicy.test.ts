import { describe, expect, test } from '@jest/globals';
import { KIB } from '../../base/units.ts';
import { SyncPolicy } from './syncPolicy.ts';

/** How many lone appends in a row are synced in the background. */
function backgroundGroups(policy: SyncPolicy): number {
  let count = 0;
  while (!policy.blocks(1, 200, 1)) count += 1;
  return count;
}

describe('SyncPolicy', () => {
  test.each([
    ['one small append', [1, 200, 1], true],
    ['two appends', [2, 400, 1], false],
    ['a large append', [1, 64 * KIB + 1, 1], false],
    ['an append that takes a block: two files', [1, 200, 2], false],
  ] as const)('%s', (_, [appendCount, bytes, fileCount], isBlocking) => {
    expect(new SyncPolicy().blocks(appendCount, bytes, fileCount)).toBe(isBlocking);
  });

  test('rests for a few groups after a stall, for ever more on a slow disk, and forgets it on a fast one', () => {
    const policy = new SyncPolicy();
    const rest = (elapsedMs: number): number => {
      policy.onBlocked(elapsedMs);
      return backgroundGroups(policy);
    };
    expect([2, 2.1, 30, 3].map(rest)).toEqual([0, 8, 16, 32]);
    expect([0.1, 0.1, 3].map(rest)).toEqual([0, 0, 16]);
    for (let i = 0; i < 10; i += 1) rest(5);
    expect(rest(5)).toBe(512);
  });
});

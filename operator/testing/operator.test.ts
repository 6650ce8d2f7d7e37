/** Whole operators, in memory and on virtual time; and that the promises they are held to can be broken. */
import { execFile } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { checkChanges } from '../../base/testing/plant.ts';
import { OPERATOR_BUGS } from './bugs.ts';
import {
  changedMinds,
  drained,
  hung,
  joinedMeanwhile,
  killedAfterWrite,
  orphaned,
  takenBack,
  sideBySide,
  troubled,
  undisturbed,
} from './stories.ts';

const STORIES_MS_MAX = 120_000;
const HUNTS_MS_MAX = 240_000;
const TROUBLED_SEEDS = 40;
const CHANGED_MINDS_SEEDS = 5;
const DRAINED_SEEDS = 5;
const SIDE_BY_SIDE_SEEDS = 10;

describe('operators', () => {
  test('begin a cluster, roll it, let it grow, and then write nothing but the lease', async () => {
    const { writes, told } = await undisturbed();
    expect(writes).toBeGreaterThan(40);
    expect(told).toEqual([
      ...['Bootstrapping', 'NodeJoined', 'NodeJoined'],
      ...['RollStarted', 'RestartingPod', 'RestartingPod', 'RestartingPod', 'RollFinished'],
      ...['ScalingOut', 'NodeJoined', 'ScalingOut', 'NodeJoined', 'ChangingVoters'],
    ]);
  });

  test(
    'killed after any of their writes, the other one goes on',
    async () => {
      const { writes } = await undisturbed();
      for (let index = 1; index <= writes; index += 1) await killedAfterWrite(index);
    },
    STORIES_MS_MAX,
  );

  test(
    'that hang, are cut off, are deaf and die: the cluster is safe, and in the end as its spec says',
    async () => {
      for (let seed = 1; seed <= TROUBLED_SEEDS; seed += 1) await troubled(seed);
    },
    STORIES_MS_MAX,
  );

  test('one that hung while another came to lead does nothing more', hung, STORIES_MS_MAX);

  test('restart nobody who has joined meanwhile', joinedMeanwhile, STORIES_MS_MAX);

  test(
    'restart nobody while a host is drained, nor is one drained while they restart somebody',
    async () => {
      for (let seed = 1; seed <= DRAINED_SEEDS; seed += 1) await drained(seed);
    },
    STORIES_MS_MAX,
  );

  test(
    'of two installations: one looks after the cluster, the other one only when it is handed over',
    async () => {
      for (let seed = 1; seed <= SIDE_BY_SIDE_SEEDS; seed += 1) await sideBySide(seed);
    },
    STORIES_MS_MAX,
  );

  test.each([
    ['take back a node that finds no host', false],
    ['take back no node that has found a host meanwhile', true],
  ])('%s', (_, isLate) => takenBack(isLate), STORIES_MS_MAX);

  test(
    'make a StatefulSet that was deleted around its pods again, without losing one',
    orphaned,
    STORIES_MS_MAX,
  );

  test(
    'restart nobody whom the nodes have come to refuse meanwhile',
    async () => {
      for (let seed = 1; seed <= CHANGED_MINDS_SEEDS; seed += 1) await changedMinds(seed);
    },
    STORIES_MS_MAX,
  );
});

/** What the stories say about a planted bug: in a process of its own, since it is planted while modules are loaded. */
function hunt(name: string): Promise<string> {
  return new Promise((resolve) => {
    const args = ['operator/testing/main.ts', '--bug', name];
    execFile(process.execPath, args, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

describe('planted bugs of the operator', () => {
  const hunts = OPERATOR_BUGS.values();

  test(
    'are all found, by the properties that they break',
    async () => {
      const found: Record<string, string> = {};
      const work = async (): Promise<void> => {
        for (const { name } of hunts) found[name] = await hunt(name);
      };
      await Promise.all([work(), work()]);
      for (const { name, foundBy } of OPERATOR_BUGS) {
        const properties = foundBy.map((property) => `FOUND ${property}: `).join('|');
        expect([name, found[name]]).toEqual([name, expect.stringMatching(`^(${properties})`)]);
      }
    },
    HUNTS_MS_MAX,
  );

  test('apply to the source as it is, each with a name of its own', () => {
    for (const { changes } of OPERATOR_BUGS) expect(() => checkChanges(changes)).not.toThrow();
    expect(new Set(OPERATOR_BUGS.map(({ name }) => name)).size).toBe(OPERATOR_BUGS.length);
  });
});

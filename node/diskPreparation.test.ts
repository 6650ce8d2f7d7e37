/** A process that dies at any disk operation on its way to a cluster leaves a disk that goes on from there. */
import { expect, test } from '@jest/globals';
import type { Disk, DiskFile } from '../base/disk.ts';
import { SILENT } from '../base/log.ts';
import { SeededRandom } from '../base/random.ts';
import { nodeId } from '../base/units.ts';
import type { ClusterEntry } from './clusterEntry.ts';
import { DiskPreparation } from './diskPreparation.ts';
import { SimDisk } from './sim/simDisk.ts';
import { ManualClock } from './storage/testing/manualClock.ts';

const CLUSTER_ID = 'c'.repeat(32);
/** More operations than a beginning takes. */
const OPERATIONS_MAX = 200;

class Died extends Error {}

/** Operations that change the disk: the process may die before each. */
const CHANGES: readonly (string | symbol)[] = [
  ...['create', 'rename', 'remove', 'syncDirectory', 'makeDirectory'],
  ...['write', 'sync', 'truncate'],
];

function dyingAfter(disk: Disk, operations: number): { disk: Disk; count: () => number } {
  let count = 0;
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (CHANGES.includes(name)) {
            if (count >= operations) throw new Died();
            count += 1;
          }
          const result: unknown = Reflect.apply(value, object, args);
          const isFile = name === 'create' || name === 'open';
          return isFile ? wrap(result as DiskFile) : result;
        };
      },
    });
  return { disk: wrap(disk), count: () => count };
}

interface Surroundings {
  /** Others have begun the cluster. */
  readonly isThere: boolean;
}

function preparationOn(disk: Disk, random: SeededRandom, { isThere }: Surroundings) {
  // A double: DiskPreparation asks nothing else of it.
  const entry = {
    awaitCluster: () => (isThere ? Promise.resolve() : new Promise<void>(() => undefined)),
    isClusterThere: () => Promise.resolve(isThere),
  } as unknown as ClusterEntry;
  return new DiskPreparation({
    disk,
    random,
    logger: SILENT,
    nodeId: nodeId(1),
    clusterId: CLUSTER_ID,
    joins: true,
    entry,
  });
}

/** What is decided without waiting for anybody is decided after this. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** One life: waits, is asked by who has noted a disk, and says what it came to; `died` when it did. */
async function live(
  disk: Disk,
  random: SeededRandom,
  around: Surroundings & { noted: string | null },
): Promise<string> {
  const preparation = preparationOn(disk, random, around);
  try {
    const prepared = preparation.prepare();
    prepared.catch(() => undefined);
    await settle();
    const { identity } = preparation;
    if (!around.isThere && identity !== null) {
      // Whoever asks has noted what this node said at its first answer.
      around.noted ??= identity.diskId;
      await preparation.bootstrap({ clusterId: CLUSTER_ID, diskId: around.noted });
    }
    return (await prepared) ? 'begun' : 'joined';
  } catch (error) {
    if (error instanceof Died) return 'died';
    return String((error as { details?: { reason?: unknown } }).details?.reason ?? error);
  }
}

test.each([
  ['begins its cluster', { isThere: false }, 'begun'],
  ['finds its cluster', { isThere: true }, 'joined'],
])('a node that %s', async (_name, surroundings, end) => {
  let deaths = 0;
  for (let operations = 0; operations < OPERATIONS_MAX; operations += 1) {
    const random = new SeededRandom(operations + 1);
    const disk = new SimDisk({ random: random.fork(), clock: new ManualClock() });
    const around = { ...surroundings, noted: null };
    const dying = dyingAfter(disk, operations);
    const first = await live(dying.disk, random, around);
    if (first !== 'died') {
      expect(first).toBe(end);
      break;
    }
    deaths += 1;
    disk.crash();
    // What was said to be the disk is still the disk; nothing is begun twice, and nothing is stuck.
    expect([operations, await live(disk, random, around)]).toEqual([operations, end]);
    disk.crash();
    expect([operations, await live(disk, random, { ...around, isThere: true })]).toEqual([
      operations,
      end,
    ]);
  }
  expect(deaths).toBeGreaterThan(5);
});

test('a node that has joined is part of a cluster that it did not begin, and never begins one', async () => {
  const random = new SeededRandom(1);
  const disk = new SimDisk({ random: random.fork(), clock: new ManualClock() });
  const preparation = preparationOn(disk, random, { isThere: true });
  expect(await preparation.prepare()).toBe(false);
  const diskId = preparation.identity?.diskId ?? '';
  disk.crash();
  const again = preparationOn(disk, random, { isThere: false });
  expect(await again.prepare()).toBe(false); // it does not wait: the others may wait for it
  expect(again.identity?.diskId).toBe(diskId);
  await expect(again.bootstrap({ clusterId: CLUSTER_ID, diskId })).rejects.toMatchObject({
    details: { reason: 'AlreadyBootstrapped' },
  });
});

test.each([
  ['another disk', { clusterId: CLUSTER_ID, diskId: 'f'.repeat(32) }, 'OtherDisk'],
  ['another cluster', { clusterId: 'd'.repeat(32), diskId: null }, 'AlreadyBootstrapped'],
])('a node that waits is not told to begin %s', async (_name, { clusterId, diskId }, reason) => {
  const random = new SeededRandom(1);
  const disk = new SimDisk({ random: random.fork(), clock: new ManualClock() });
  const preparation = preparationOn(disk, random, { isThere: false });
  void preparation.prepare();
  await settle();
  const request = { clusterId, diskId: diskId ?? preparation.identity?.diskId ?? '' };
  await expect(preparation.bootstrap(request)).rejects.toMatchObject({ details: { reason } });
  expect(disk.exists('cluster-creator')).toBe(false);
});

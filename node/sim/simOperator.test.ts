/** How a cluster begins by the operator's word (ADR 0150): once, on one disk, whatever fails meanwhile. */
import { describe, expect, test } from '@jest/globals';
import { isWalrusError } from '../../base/errors.ts';
import { SeededRandom } from '../../base/random.ts';
import { nodeId } from '../../base/units.ts';
import { watchElections } from './checkers/electionSafety.ts';
import { StateMachineSafety } from './checkers/stateMachineSafety.ts';
import { SimCluster } from './simCluster.ts';
import type { Machine } from './simCluster.ts';
import { beginByOperator } from './simOperator.ts';

const CLUSTER_ID = 'c'.repeat(32);
const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1000,
  maxSegmentBytes: 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};
const SEEDS = 15;
const START_MS_MAX = 30_000;

function clusterOf(seed: number, nodeCount = 3): SimCluster {
  const options = { seed, nodeCount, config: CONFIG, clusterId: CLUSTER_ID };
  const cluster = new SimCluster(options);
  const safety = new StateMachineSafety();
  const leaders = new Map<number, string>();
  cluster.onOpened((machine, parts) => {
    safety.watch(machine.nodeId, parts);
    watchElections(leaders, parts, (violation) => cluster.bugs.push(violation));
  });
  return cluster;
}

/** Asks a machine; the reason of a refusal, or 'done'. */
async function ask(cluster: SimCluster, machine: Machine, diskId: string): Promise<string> {
  const outcome: { answer?: string } = {};
  machine.node!.bootstrap({ clusterId: CLUSTER_ID, diskId }).then(
    () => (outcome.answer = 'done'),
    (error: unknown) => {
      if (!isWalrusError(error)) throw error;
      outcome.answer = String(error.details['reason']);
    },
  );
  await cluster.runUntil(() => outcome.answer !== undefined, 10_000);
  return outcome.answer ?? '';
}

function diskOf(machine: Machine): string {
  return machine.node?.identity?.diskId ?? '';
}

async function waiting(seed: number, nodeCount = 3): Promise<SimCluster> {
  const cluster = clusterOf(seed, nodeCount);
  for (const machine of cluster.machines) cluster.start(machine);
  await cluster.runUntil(() => cluster.machines.every((machine) => diskOf(machine) !== ''), 1000);
  return cluster;
}

test('a cluster begins once, with power failures at any moment', async () => {
  const all = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const random = new SeededRandom(seed);
    const cluster = clusterOf(seed, 3 + (seed % 2));
    const options = { clusterId: CLUSTER_ID, random, withinMs: START_MS_MAX };
    const answers = await beginByOperator(cluster, options);
    const creators = cluster.machines.filter(({ disk }) => disk.exists('cluster-creator'));
    expect(creators.map(({ nodeId: id }) => [seed, id])).toEqual([[seed, 1]]);
    expect(cluster.machines.some(({ disk }) => disk.exists('cluster-awaited'))).toBe(false);
    for (const [answer, count] of answers) all.set(answer, (all.get(answer) ?? 0) + count);
  }
  // All that can be answered was.
  expect([...all.keys()].sort()).toEqual(['OtherDisk', 'done']);
}, 60_000);

describe('a node that awaits its cluster', () => {
  test('begins nothing by itself, in any order of starts, however often it is started again', async () => {
    const cluster = await waiting(1);
    await cluster.run(5000);
    const disks = cluster.machines.map(diskOf);
    for (const machine of cluster.machines) cluster.crash(machine);
    for (const machine of [...cluster.machines].reverse()) cluster.start(machine);
    await cluster.run(5000);
    expect(cluster.machines.map(diskOf)).toEqual(disks);
    expect(cluster.machines.map(({ parts }) => parts)).toEqual([null, null, null]);
  });

  test('begins it on its disk only, and says so again when it is asked again, also after a restart', async () => {
    const cluster = await waiting(2);
    const [first, second] = cluster.machines as [Machine, Machine, Machine];
    const disk = diskOf(first);
    expect(await ask(cluster, second, disk)).toBe('OtherDisk');
    expect(await Promise.all([ask(cluster, first, disk), ask(cluster, first, disk)])).toEqual([
      'done',
      'done',
    ]);
    await cluster.runUntil(() => cluster.machines.every(({ isServing }) => isServing), 10_000);
    expect(await ask(cluster, first, disk)).toBe('done');
    expect(await ask(cluster, second, diskOf(second))).toBe('AlreadyBootstrapped');
    for (const machine of cluster.machines) cluster.crash(machine);
    for (const machine of cluster.machines) cluster.start(machine);
    await cluster.runUntil(() => cluster.machines.every(({ isServing }) => isServing), 10_000);
    expect(await ask(cluster, first, disk)).toBe('done');
    expect(await ask(cluster, second, diskOf(second))).toBe('AlreadyBootstrapped');
  });

  test('whose disk is lost after the beginning is another one, and cannot begin it again', async () => {
    const cluster = await waiting(3);
    const [first, ...others] = cluster.machines as [Machine, Machine, Machine];
    const disk = diskOf(first);
    for (const other of others) cluster.kill(other);
    expect(await ask(cluster, first, disk)).toBe('done');
    await cluster.runUntil(() => first.isServing, 10_000);
    cluster.kill(first);
    first.disk.wipe();
    for (const machine of cluster.machines) cluster.start(machine);
    await cluster.run(3000);
    expect(await ask(cluster, first, disk)).toBe('OtherDisk');
    expect(cluster.machines.map(({ parts }) => parts)).toEqual([null, null, null]);
  });

  test('that is asked to begin it, while others have begun it already, joins them', async () => {
    const cluster = await waiting(4);
    const [first, second, third] = cluster.machines as [Machine, Machine, Machine];
    cluster.network.isolate(second.address);
    expect(await ask(cluster, first, diskOf(first))).toBe('done');
    await cluster.runUntil(() => first.isServing && third.isServing, 10_000);
    cluster.network.heal();
    // It has not looked again since, and has to before it begins.
    expect(await ask(cluster, second, diskOf(second))).toBe('AlreadyBootstrapped');
    await cluster.runUntil(() => second.isServing, 10_000);
    expect(second.disk.exists('cluster-creator')).toBe(false);
    expect(second.parts?.metadata.metadata.nodes.size).toBe(3);
    expect(second.nodeId).toBe(nodeId(2));
  });
});

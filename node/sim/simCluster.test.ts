import { expect, test } from '@jest/globals';
import { segmentId } from '../../base/units.ts';
import { FENCE_SEGMENT } from '../../protocol/peer/replicas.ts';
import { SimCluster } from './simCluster.ts';
import type { Machine } from './simCluster.ts';

const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1000,
  maxSegmentBytes: 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};

test('three nodes form a cluster with three metadata voters', async () => {
  const lines: string[] = [];
  const cluster = new SimCluster({
    seed: 1,
    nodeCount: 3,
    config: CONFIG,
    trace: (line) => lines.push(line),
  });
  try {
    await cluster.startAll();
    await cluster.runUntil(
      () => cluster.machines[0]?.parts?.raft.status().configuration.voters.length === 3,
      5000,
    );
  } catch (error) {
    console.log(lines.slice(-60).join('\n'));
    throw error;
  }
  const nodes = cluster.machines.map((machine) => machine.parts?.metadata.metadata.nodes.size);
  expect(nodes).toEqual([3, 3, 3]);
});

test('a disk that was put back is refused, however often its node is started', async () => {
  const cluster = new SimCluster({ seed: 2, nodeCount: 3, config: CONFIG });
  await cluster.startAll();
  const machine = cluster.machines[2];
  if (machine === undefined) throw new Error('There are three machines');
  const restart = async (): Promise<void> => {
    cluster.start(machine);
    await cluster.runUntil(() => machine.isServing || machine.failure !== null, 20_000);
  };
  const image = machine.disk.snapshotState();
  cluster.kill(machine);
  await restart();
  expect([machine.failure, machine.parts?.identity.bootEpoch]).toEqual([null, 2]);
  cluster.kill(machine);
  machine.disk.restoreState(image);
  for (let attempt = 0; attempt < 4; attempt += 1) {
    // Every other start is killed before it is refused.
    if (attempt % 2 === 1) {
      cluster.start(machine);
      await cluster.run(1);
      if (machine.isRunning) cluster.kill(machine);
      continue;
    }
    await restart();
    expect(machine.failure?.code).toBe('DISK_REFUSED');
  }
});

/** A cluster whose three nodes are metadata voters. */
async function threeVoters(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster({ seed, nodeCount: 3, config: CONFIG });
  await cluster.startAll();
  const voters = (machine: Machine): number =>
    machine.parts?.raft.status().configuration.voters.length ?? 0;
  await cluster.runUntil(() => cluster.machines.every((machine) => voters(machine) === 3), 5000);
  return cluster;
}

async function restart(cluster: SimCluster, machine: Machine, withinMs = 20_000): Promise<void> {
  if (machine.isRunning) cluster.kill(machine);
  cluster.start(machine);
  await cluster.runUntil(() => machine.isServing || machine.failure !== null, withinMs);
}

test('a cluster that was switched off starts again, at once and one after the other', async () => {
  const cluster = await threeVoters(4);
  for (const pauseMs of [0, 2000]) {
    for (const machine of cluster.machines) cluster.crash(machine);
    for (const machine of cluster.machines) {
      cluster.start(machine);
      await cluster.run(pauseMs);
    }
    await cluster.runUntil(() => cluster.machines.every(({ isServing }) => isServing), 10_000);
  }
});

test('a voter that was put back is refused by its peers, without a leader, and promises nothing', async () => {
  const cluster = await threeVoters(5);
  const [first, second, third] = cluster.machines as [Machine, Machine, Machine];
  const image = third.disk.snapshotState();
  await restart(cluster, third);
  expect(third.failure).toBeNull();
  for (const machine of cluster.machines) cluster.crash(machine);
  third.disk.restoreState(image);
  cluster.start(second);
  await cluster.run(3000);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await restart(cluster, third);
    expect(third.failure?.code).toBe('DISK_REFUSED');
    expect(third.failure?.message).toMatch(/Disk \w+ of node 3 is an older state.*--replace-disk/);
  }
  expect(second.parts?.raft.status().leaderId).toBeNull();
  cluster.start(first);
  await cluster.runUntil(() => first.isServing && second.isServing, 10_000);
});

test('a voter whose Raft log was emptied is refused', async () => {
  const cluster = await threeVoters(6);
  for (const machine of cluster.machines) {
    cluster.kill(machine);
    const image = machine.disk.snapshotState();
    machine.disk.empty('raft');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await restart(cluster, machine);
      expect(machine.failure?.code).toBe('DISK_REFUSED');
    }
    machine.disk.restoreState(image);
    await restart(cluster, machine);
    expect(machine.failure).toBeNull();
  }
});

test('a restarted node is admitted within a round trip, or an election time-out when a node is down', async () => {
  const cluster = await threeVoters(7);
  const [first, second, third] = cluster.machines as [Machine, Machine, Machine];
  const admittedAfterMs = async (machine: Machine): Promise<number> => {
    cluster.kill(machine);
    cluster.start(machine);
    const startMs = cluster.scheduler.nowMs;
    await cluster.runUntil(() => machine.parts?.admission.isAdmitted === true, 10_000);
    return cluster.scheduler.nowMs - startMs;
  };
  expect(await admittedAfterMs(third)).toBeLessThan(5);
  await cluster.runUntil(() => third.isServing, 10_000);
  cluster.kill(first);
  expect(await admittedAfterMs(third)).toBeLessThanOrEqual(510);
  await cluster.runUntil(() => second.isServing && third.isServing, 10_000);
});

test('a disk that was declared lost is refused by its peers', async () => {
  const cluster = await threeVoters(8);
  const [, second, third] = cluster.machines as [Machine, Machine, Machine];
  cluster.kill(third);
  const image = third.disk.snapshotState();
  third.disk.wipe();
  third.replaceDisk = true;
  await restart(cluster, third);
  expect(third.failure).toBeNull();
  cluster.kill(third);
  cluster.kill(second);
  third.replaceDisk = false;
  third.disk.restoreState(image);
  await restart(cluster, third);
  expect(third.failure?.message).toContain('was declared lost and cannot come back');
});

test('a node that stops hands the metadata over, without an election time-out', async () => {
  const cluster = await threeVoters(9);
  const [leader, ...others] = cluster.machines as [Machine, Machine, Machine];
  expect(leader.parts?.raft.status().role).toBe('Leader');
  const startMs = cluster.scheduler.nowMs;
  const leads = (machine: Machine): boolean => machine.parts?.raft.status().role === 'Leader';
  await Promise.all([
    leader.parts?.drain.handOverMetadata(),
    cluster.runUntil(() => others.some(leads) && !leads(leader), 5000),
  ]);
  expect(cluster.scheduler.nowMs - startMs).toBeLessThan(100);
  // Whoever does not lead has nothing to hand over, and neither has a leader whose peers are gone.
  await leader.parts?.drain.handOverMetadata();
  const next = others.find(leads);
  for (const machine of cluster.machines) if (machine !== next) cluster.kill(machine);
  await Promise.all([next?.parts?.drain.handOverMetadata(), cluster.run(2000)]);
});

test('a node that is killed anywhere on its way into the cluster is never refused', async () => {
  for (let seed = 1; seed <= 2; seed += 1) {
    const cluster = new SimCluster({ seed, nodeCount: 3, config: CONFIG });
    await cluster.startAll();
    const machine = cluster.machines[seed % 3];
    if (machine === undefined) throw new Error('There are three machines');
    cluster.crash(machine);
    for (const afterMs of [0, 1, 3, 10, 50, 60, 150, 300]) {
      cluster.start(machine);
      await cluster.run(afterMs);
      expect(machine.failure).toBeNull();
      cluster.crash(machine);
    }
    cluster.start(machine);
    await cluster.runUntil(() => machine.isServing, 20_000);
  }
}, 30_000);

test('a disk whose boot is not registered is no evidence', async () => {
  const cluster = new SimCluster({ seed: 3, nodeCount: 3, config: CONFIG });
  await cluster.startAll();
  for (const machine of cluster.machines) cluster.kill(machine);
  const machine = cluster.machines[2];
  if (machine === undefined) throw new Error('There are three machines');
  cluster.start(machine); // alone: nobody can register it
  await cluster.runUntil(() => machine.parts !== null, 1000);
  const { rpc, self } = machine.parts ?? {};
  const place = { segmentId: segmentId(1), diskId: self?.diskId ?? '', token: '' };
  const request = { ...place, epoch: 1, takesDamaged: false };
  const answers: unknown[] = [];
  rpc?.call(machine.address, FENCE_SEGMENT, request, 1000).then(
    (answer) => answers.push(answer),
    (error: unknown) => answers.push(error),
  );
  await cluster.runUntil(() => answers.length > 0, 2000);
  expect(answers).toMatchObject([
    { code: 'REPLICA_UNKNOWN', message: 'The boot of this disk is not registered yet' },
  ]);
});

test('a node that comes back after every voter was replaced is admitted by those of today', async () => {
  const cluster = new SimCluster({ seed: 12, nodeCount: 4, config: CONFIG });
  await cluster.startAll();
  const [first, second, third, last] = cluster.machines as [Machine, Machine, Machine, Machine];
  const voters = (machine: Machine): readonly string[] =>
    machine.parts?.raft.status().configuration.voters.map(({ id }) => id) ?? [];
  await cluster.runUntil(() => cluster.machines.every((one) => voters(one).length === 3), 5000);
  const before = new Set(voters(first));
  expect([...before].some((id) => id.startsWith(`${last.nodeId}/`))).toBe(false);
  cluster.kill(last);
  for (const machine of [first, second, third]) {
    cluster.kill(machine);
    machine.disk.wipe();
    machine.replaceDisk = true;
    await restart(cluster, machine);
    expect(machine.failure).toBeNull();
    const own = `${machine.nodeId}/${machine.parts?.identity.diskId}`;
    await cluster.runUntil(
      () => voters(machine).length === 3 && voters(machine).includes(own),
      30_000,
    );
  }
  expect(voters(first).filter((id) => before.has(id))).toEqual([]);
  await restart(cluster, last);
  expect(last.failure).toBeNull();
});

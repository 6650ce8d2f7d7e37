/** Nodes that stop: nothing is left that would keep a real process from ending. */
import { expect, test } from '@jest/globals';
import { resolveConfig } from '../config.ts';
import { timingOf } from '../config/timing.ts';
import { unsealedSegment } from '../state/queries.ts';
import type { NodeParts } from '../walrusNode.ts';
import { SimClients } from './simClients.ts';
import { SIM_TIMING, SimCluster } from './simCluster.ts';
import type { Machine } from './simCluster.ts';

const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1000,
  maxSegmentBytes: 16 * 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};
/** Longer than any time-out of a node. */
const ENDED_MS = 30_000;

interface World {
  readonly cluster: SimCluster;
  readonly clients: SimClients;
}

/** Three nodes that lead segments, forward appends and hand records out when they stop. */
async function busyCluster(seed: number): Promise<World> {
  const cluster = new SimCluster({ seed, nodeCount: 3, config: CONFIG });
  const clients = new SimClients(cluster);
  await cluster.startAll();
  const done: Promise<unknown>[] = [];
  for (const [at, machine] of cluster.machines.entries()) {
    const client = clients.text(machine);
    done.push(client.ask(`REGISTER topic-${at}`));
  }
  await settle(cluster, done);
  for (const machine of cluster.machines) {
    const client = clients.text(machine);
    for (let at = 0; at < 30; at += 1) {
      void client.ask(`PUT topic-${at % 3} value-${at}`);
      void client.ask(`GET topic-${at % 3}`);
    }
  }
  await cluster.run(3);
  return { cluster, clients };
}

async function settle(
  cluster: SimCluster,
  promises: readonly Promise<unknown>[],
  withinMs = 10_000,
): Promise<void> {
  let isSettled = false;
  void Promise.all(promises).then(() => (isSettled = true));
  await cluster.runUntil(() => isSettled, withinMs);
}

function stop({ clients }: World, machine: Machine): void {
  clients.servers.get(machine)?.stop();
  void machine.node?.stop();
}

test.each([1, 2, 3])('all nodes that stop at once leave no timer (seed %d)', async (seed) => {
  const world = await busyCluster(seed);
  const { cluster } = world;
  for (const machine of cluster.machines) stop(world, machine);
  await cluster.run(ENDED_MS);
  expect(cluster.machines.map(({ process }) => process?.timerCount)).toEqual([0, 0, 0]);
});

test('a node that stops answers what is under way over an election, however slow they are', async () => {
  const settings = resolveConfig({ argv: ['--raft-tick-interval', '1s'], env: {} }).settings;
  const timing = timingOf(settings);
  const cluster = new SimCluster({ seed: 7, nodeCount: 3, config: CONFIG, timing });
  const clients = new SimClients(cluster);
  await cluster.startAll();
  const parts = (): NodeParts[] => cluster.machines.flatMap((machine) => machine.parts ?? []);
  const votersCount = (): number => parts()[0]!.raft.status().configuration.voters.length;
  await cluster.runUntil(() => votersCount() === 3, 20_000);
  const leader = cluster.machines.find((machine) => machine.parts!.metadata.isLeader)!;
  const topics = ['a', 'b', 'c'];
  const maker = clients.text(leader);
  const made = topics.flatMap((topic) => [`REGISTER ${topic}`, `PUT ${topic} early`]);
  await settle(
    cluster,
    made.map((command) => maker.ask(command)),
  );
  await cluster.run(1000);
  const { metadata } = leader.parts!.metadata;
  const segments = topics.map((topic) => unsealedSegment(metadata, topic, 0)!);
  const segment = segments.find(({ leader: { nodeId } }) => nodeId !== leader.nodeId)!;
  const machine = cluster.machines[segment.leader.nodeId - 1]!;
  const client = clients.text(machine);
  await settle(cluster, [client.ask(`PUT ${segment.topic} early`)]);
  cluster.kill(leader);
  const { session, drain } = machine.parts!;
  await cluster.runUntil(() => !session.isFresh, 2000);
  const put = client.ask(`PUT ${segment.topic} late`);
  await cluster.run(10);
  const startMs = cluster.scheduler.nowMs;
  drain.beginStop();
  const server = clients.servers.get(machine)!;
  await settle(cluster, [server.drain(60_000)], 60_000);
  expect(cluster.scheduler.nowMs - startMs).toBeGreaterThan(SIM_TIMING.leaderlessMs);
  server.stop();
  await settle(cluster, [put]);
  expect(await put).toBe('OK');
});

test.each([4, 5, 6])('a node that stops without the others leaves none (seed %d)', async (seed) => {
  const world = await busyCluster(seed);
  const { cluster } = world;
  const [first, ...others] = cluster.machines as [Machine, ...Machine[]];
  await cluster.run(1000);
  const client = world.clients.text(first);
  for (let at = 0; at < 3; at += 1) void client.ask(`PUT topic-${at} late`);
  await cluster.runUntil(() => client.replies.length === 3, 10_000);
  for (let at = 0; at < 3; at += 1) void client.ask(`GET topic-${at}`);
  await cluster.runUntil(() => client.replies.length === 6, 10_000);
  // What was handed out just now cannot be committed any more.
  for (const machine of others) cluster.kill(machine);
  await cluster.run(200);
  stop(world, first);
  await cluster.run(ENDED_MS);
  expect(first.process?.timerCount).toBe(0);
});

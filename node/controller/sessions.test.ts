import { describe, expect, test } from '@jest/globals';
import { logIndex, segmentId } from '../../base/units.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import { serverId } from '../raft/types.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import { TestCluster, createTopic, place, plan } from '../state/testing/fixture.ts';
import { DAMAGED_TOLD_MAX, Sessions } from './sessions.ts';
import { heartbeatOf } from './testing/heartbeats.ts';

const ONE = place(1);
const BEAT = heartbeatOf(ONE);

function start(nodeCount = 1) {
  const scheduler = new Scheduler();
  const clock = new SimClock(scheduler, new SimProcess(), { offsetMs: 0 });
  const sessions = new Sessions(clock, { sessionTimeoutMs: 1000, silentTimeoutMs: 800 });
  const { state: metadata } = new TestCluster(nodeCount);
  return { scheduler, sessions, metadata };
}

test('a node is alive for a time-out after each heartbeat, and after an election', async () => {
  const { scheduler, sessions, metadata } = start();
  sessions.begin(metadata, new Set());
  await scheduler.run(999);
  expect([sessions.isAlive(ONE.nodeId), sessions.beatOf(ONE.nodeId)]).toEqual([true, null]);
  await scheduler.run(1001);
  expect(sessions.isAlive(ONE.nodeId)).toBe(false);
  expect(sessions.heard(BEAT, metadata)).toBe(true);
  await scheduler.run(2000);
  expect([sessions.aliveNodeIds(), sessions.drainingNodeIds()]).toEqual([[1], []]);
  expect(sessions.heard({ ...BEAT, isDraining: true }, metadata)).toBe(true);
  expect([sessions.aliveNodeIds(), sessions.drainingNodeIds()]).toEqual([[1], [1]]);
  await scheduler.run(3002);
  expect([sessions.aliveNodeIds(), sessions.drainingNodeIds()]).toEqual([[], []]);
});

test('a node that Raft sends to after an election is alive for a part of a time-out, unless it answers', async () => {
  const { scheduler, sessions, metadata } = start();
  const server = serverId(ONE.nodeId, ONE.diskId);
  const isAliveAt = async (atMs: number): Promise<boolean> => {
    await scheduler.run(atMs);
    return sessions.isAlive(ONE.nodeId);
  };
  sessions.begin(metadata, new Set([server]));
  expect([await isAliveAt(799), await isAliveAt(801)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  sessions.answered(server);
  expect([await isAliveAt(1800), await isAliveAt(1802)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  sessions.heard(BEAT, metadata);
  expect([await isAliveAt(2801), await isAliveAt(2803)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([serverId(ONE.nodeId, 'e'.repeat(32))]));
  expect([await isAliveAt(3802), await isAliveAt(3804)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  await scheduler.run(4284);
  sessions.stalled(400);
  expect([await isAliveAt(5003), await isAliveAt(5005)]).toEqual([true, false]);
});

test('time that this node has slept through is not counted, and adds nothing to what was heard since', async () => {
  const { scheduler, sessions, metadata } = start();
  sessions.heard(BEAT, metadata);
  await scheduler.run(5300);
  sessions.stalled(5000);
  expect(sessions.aliveNodeIds()).toEqual([1]);
  await scheduler.run(5999);
  expect(sessions.aliveNodeIds()).toEqual([1]);
  await scheduler.run(6001);
  expect(sessions.aliveNodeIds()).toEqual([]);
  sessions.heard(BEAT, metadata);
  sessions.stalled(5000);
  await scheduler.run(7002);
  expect(sessions.aliveNodeIds()).toEqual([]);
});

test('a heartbeat of another boot or another disk is not that node', () => {
  const { sessions, metadata } = start();
  expect(sessions.heard({ ...BEAT, bootEpoch: 2 }, metadata)).toBe(false);
  expect(sessions.heard({ ...BEAT, diskId: 'e'.repeat(32) }, metadata)).toBe(false);
  expect(sessions.heard({ ...BEAT, nodeId: place(2).nodeId }, metadata)).toBe(false);
  expect(sessions.isAlive(ONE.nodeId)).toBe(false);
});

test('of more damaged copies than nodes are told of, some of each node are named', () => {
  const { sessions, metadata } = start(6);
  const count = 6 * DAMAGED_IDS_MAX;
  expect(count).toBeGreaterThan(DAMAGED_TOLD_MAX);
  for (let node = 1; node <= 6; node += 1) {
    const damagedSegmentIds = Array.from({ length: DAMAGED_IDS_MAX }, (_, i) => segmentId(i + 1));
    expect(sessions.heard(heartbeatOf(place(node), { damagedSegmentIds }), metadata)).toBe(true);
  }
  expect(sessions.damagedCopies()).toHaveLength(count);
  const told = sessions.damagedCopiesTold();
  expect(told).toHaveLength(DAMAGED_TOLD_MAX);
  expect(told.slice(5, 7)).toEqual([
    { nodeId: 6, segmentId: 1 },
    { nodeId: 1, segmentId: 2 },
  ]);
});

describe('mayStillLead()', () => {
  const INDEX = logIndex(10);
  const knows = heartbeatOf(ONE, { appliedIndex: INDEX });

  function startLed() {
    const { scheduler, sessions } = start();
    const cluster = new TestCluster(1);
    cluster.ok({
      ...createTopic('t', plan(1, 1)),
      replication: { replicas: 1, ackQuorum: 1 },
    });
    const mayAt = async (atMs: number): Promise<boolean> => {
      await scheduler.run(atMs);
      return sessions.mayStillLead(cluster.segment(1), INDEX);
    };
    sessions.begin(cluster.state, new Set());
    return { sessions, metadata: cluster.state, segment: () => cluster.segment(1), mayAt };
  }

  test('for as long as the leader before may have given a lease', async () => {
    const { mayAt } = startLed();
    expect([await mayAt(799), await mayAt(801)]).toEqual([true, false]);
  });

  test('for a lease from each heartbeat on', async () => {
    const { sessions, metadata, mayAt } = startLed();
    await mayAt(500);
    sessions.heard(BEAT, metadata);
    expect([await mayAt(1299), await mayAt(1301)]).toEqual([true, false]);
    sessions.heard(BEAT, metadata);
    expect(await mayAt(1400)).toBe(true);
  });

  test('not once it has applied what was decided', async () => {
    const { sessions, metadata, mayAt } = startLed();
    sessions.heard(knows, metadata);
    expect(await mayAt(1)).toBe(false);
  });

  test('for one lease more when it lives, does not apply it, and gets no lease any more', async () => {
    const { sessions, metadata, segment, mayAt } = startLed();
    sessions.heard(BEAT, metadata);
    await mayAt(500);
    sessions.heard(BEAT, metadata);
    sessions.withhold(segment(), INDEX);
    await mayAt(1000);
    expect(sessions.isWithheld(BEAT)).toBe(true);
    expect(sessions.heard(BEAT, metadata)).toBe(true);
    expect([await mayAt(1299), await mayAt(1301)]).toEqual([true, false]);
    expect(sessions.isAlive(BEAT.nodeId)).toBe(true);
    expect(sessions.isWithheld(knows)).toBe(false);
    sessions.heard(knows, metadata);
    expect(sessions.isWithheld(knows)).toBe(false);
  });

  test('not once a later process has the disk', async () => {
    const { sessions, metadata, mayAt } = startLed();
    const { diskId } = ONE;
    metadata.disks.set(diskId, { ...metadata.disks.get(diskId)!, bootEpoch: 2 });
    sessions.heard({ ...BEAT, bootEpoch: 2 }, metadata);
    expect(await mayAt(1)).toBe(false);
  });

  test('also while another disk has its place', async () => {
    const { sessions, metadata, mayAt } = startLed();
    await mayAt(500);
    sessions.heard(BEAT, metadata);
    const other = { ...metadata.disks.get(ONE.diskId)!, diskId: 'e'.repeat(32) };
    metadata.disks.set(other.diskId, other);
    metadata.nodes.set(ONE.nodeId, { ...metadata.nodes.get(ONE.nodeId)!, diskId: other.diskId });
    sessions.heard({ ...knows, diskId: other.diskId }, metadata);
    expect([await mayAt(1299), await mayAt(1301)]).toEqual([true, false]);
  });
});

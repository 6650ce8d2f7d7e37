import { expect, test } from '@jest/globals';
import { logIndex, nodeId } from '../../base/units.ts';
import { serverId } from '../raft/types.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import { MutableMetadata } from '../state/mutableMetadata.ts';
import type { DiskRecord, NodeRecord } from '../state/types.ts';
import { Sessions } from './sessions.ts';

const DISK = 'd'.repeat(32);
const node: NodeRecord = {
  nodeId: nodeId(1),
  diskId: DISK,
  peerAddress: 'one:1',
  clientAddress: 'one:2',
  httpAddress: 'one:3',
  zone: '',
  version: '',
};
const disk = {
  diskId: DISK,
  nodeId: nodeId(1),
  bootEpoch: 3,
  bootNonce: '0'.repeat(32),
  state: 'REGISTERED',
} as DiskRecord;
const beat = {
  nodeId: nodeId(1),
  diskId: DISK,
  bootEpoch: 3,
  appliedIndex: logIndex(0),
  isDiskWritable: true,
  isDiskFull: false,
  usedBytes: 0,
  isDraining: false,
  damagedSegmentIds: [],
  incompleteCopies: 0,
  isCatchingUp: false,
  behindNodeIds: [],
  unledSegmentIds: [],
};

function metadataWith(record: NodeRecord): MutableMetadata {
  const metadata = new MutableMetadata();
  metadata.putDisk(disk);
  metadata.putNode(record);
  return metadata;
}

test('a node is alive for a time-out after each heartbeat, and after an election', async () => {
  const scheduler = new Scheduler();
  const sessions = new Sessions(new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }), 1000);
  const metadata = metadataWith(node);
  sessions.begin(metadata, new Set());
  await scheduler.run(999);
  expect([sessions.isAlive(node.nodeId), sessions.beatOf(node.nodeId)]).toEqual([true, null]);
  await scheduler.run(1001);
  expect(sessions.isAlive(node.nodeId)).toBe(false);
  expect(sessions.heard(beat, metadata)).toBe(true);
  await scheduler.run(2000);
  expect(sessions.aliveNodeIds()).toEqual([1]);
  await scheduler.run(2002);
  expect(sessions.aliveNodeIds()).toEqual([]);
});

test('a node that Raft sends to after an election is alive for half a time-out, unless it answers', async () => {
  const scheduler = new Scheduler();
  const sessions = new Sessions(new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }), 1000);
  const metadata = metadataWith(node);
  const server = serverId(node.nodeId, DISK);
  const isAliveAt = async (atMs: number): Promise<boolean> => {
    await scheduler.run(atMs);
    return sessions.isAlive(node.nodeId);
  };
  sessions.begin(metadata, new Set([server]));
  expect([await isAliveAt(499), await isAliveAt(501)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  sessions.answered(server);
  expect([await isAliveAt(1500), await isAliveAt(1502)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  sessions.heard(beat, metadata);
  expect([await isAliveAt(2501), await isAliveAt(2503)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([serverId(node.nodeId, 'e'.repeat(32))]));
  expect([await isAliveAt(3502), await isAliveAt(3504)]).toEqual([true, false]);

  sessions.begin(metadata, new Set([server]));
  await scheduler.run(3984);
  sessions.stalled(400);
  expect([await isAliveAt(4403), await isAliveAt(4405)]).toEqual([true, false]);
});

test('time that this node has slept through is not counted, and adds nothing to what was heard since', async () => {
  const scheduler = new Scheduler();
  const sessions = new Sessions(new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }), 1000);
  const metadata = metadataWith(node);
  sessions.heard(beat, metadata);
  await scheduler.run(5300);
  sessions.stalled(5000);
  expect(sessions.aliveNodeIds()).toEqual([1]);
  await scheduler.run(5999);
  expect(sessions.aliveNodeIds()).toEqual([1]);
  await scheduler.run(6001);
  expect(sessions.aliveNodeIds()).toEqual([]);
  sessions.heard(beat, metadata);
  sessions.stalled(5000);
  await scheduler.run(7002);
  expect(sessions.aliveNodeIds()).toEqual([]);
});

test('a heartbeat of another boot or another disk is not that node', () => {
  const scheduler = new Scheduler();
  const sessions = new Sessions(new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }), 1000);
  const metadata = metadataWith(node);
  expect(sessions.heard({ ...beat, bootEpoch: 2 }, metadata)).toBe(false);
  expect(sessions.heard({ ...beat, diskId: 'e'.repeat(32) }, metadata)).toBe(false);
  expect(sessions.heard({ ...beat, nodeId: nodeId(2) }, metadata)).toBe(false);
  expect(sessions.isAlive(node.nodeId)).toBe(false);
});

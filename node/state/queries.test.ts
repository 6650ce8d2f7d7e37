import { describe, expect, test } from '@jest/globals';
import { nodeId, offset, segmentId } from '../../base/units.ts';
import type { Command } from './commands.ts';
import {
  committedPosition,
  defaultReplication,
  isLeader,
  isMember,
  recoveringSegments,
  registeredDisk,
  registeredPlaces,
  sealedSegmentsOn,
  segmentContaining,
  segmentWithToken,
  segmentsLedBy,
  segmentsOnDisk,
  segmentsToDelete,
  successorOf,
  underReplicatedSegments,
  unsealedSegment,
  unsealedSegmentsOn,
  votersWanted,
} from './queries.ts';
import { TestCluster, close, createTopic, place, places, plan, token } from './testing/fixture.ts';

const AT = { topic: 't', partition: 0 };
const disk = (node: number): string => place(node).diskId;
const idsOf = (segments: readonly { segmentId: number }[]): number[] =>
  segments.map((segment) => segment.segmentId);

/** Segment 1 is 0..100, 2 is empty, 3 is 100..150, 4 is open. */
function chain(): TestCluster {
  const next = (id: number, end: number): Command => {
    const nodes = [1, 2, 3].map((node) => ((node + id - 2) % 3) + 1);
    const after = [1, 2, 3].map((node) => ((node + id - 1) % 3) + 1);
    const replicas = places(...nodes);
    return close(id, { endOffset: offset(end), replicas, next: plan(id + 1, ...after) });
  };
  const cluster = new TestCluster(4).ok(createTopic('t', plan(1, 1, 2, 3)));
  return cluster.ok(next(1, 100), next(2, 100), next(3, 150));
}

describe('queries on a partition', () => {
  test.each([
    [0, 1],
    [99, 1],
    [100, 3],
    [149, 3],
    [150, 4],
    [9999, 4],
  ])('segmentContaining() finds for offset %d segment %d', (at, id) => {
    expect(segmentContaining(chain().state, AT, offset(at))?.segmentId).toBe(id);
  });

  test('segmentContaining() finds nothing below the start or without a partition', () => {
    const advance = { type: 'AdvanceLogStart', ...AT, topicId: 1, logStartOffset: offset(100) };
    const { state } = chain().ok(advance as Command);
    expect(segmentContaining(state, AT, offset(99))).toBeUndefined();
    expect(segmentContaining(state, { topic: 't', partition: 1 }, offset(0))).toBeUndefined();
    expect(segmentContaining(state, { topic: 'u', partition: 0 }, offset(0))).toBeUndefined();
    expect(idsOf(segmentsToDelete(state, disk(2)))).toEqual([1, 2]);
    expect(successorOf(state, state.segments.get(segmentId(1))!)).toBeUndefined();
  });

  test('unsealedSegment(), successorOf() and segmentWithToken() name segments', () => {
    const cluster = chain();
    expect(unsealedSegment(cluster.state, 't', 0)?.segmentId).toBe(4);
    expect(unsealedSegment(cluster.state, 'u', 0)).toBeUndefined();
    expect(successorOf(cluster.state, cluster.segment(2))?.segmentId).toBe(3);
    expect(successorOf(cluster.state, cluster.segment(4))).toBeUndefined();
    expect(segmentWithToken(cluster.state, token(3))?.segmentId).toBe(3);
    expect(segmentWithToken(cluster.state, token(9))).toBeUndefined();
  });

  test('committedPosition() gives what a group committed', () => {
    const positions = [{ ...AT, offset: offset(5) }];
    const { state } = chain().ok({ type: 'CommitPositions', commits: [{ group: 'g', positions }] });
    expect(committedPosition(state, 'g', AT)).toBe(5);
    expect(committedPosition(state, 'h', AT)).toBeUndefined();
  });
});

describe('queries on disks and nodes', () => {
  test('segments on a disk, sealed, unsealed, and led by a node', () => {
    const { state } = chain();
    expect(idsOf(segmentsOnDisk(state, disk(1)))).toEqual([1, 2, 3, 4]);
    expect(idsOf(sealedSegmentsOn(state, disk(1)))).toEqual([1, 2, 3]);
    expect(idsOf(unsealedSegmentsOn(state, disk(1)))).toEqual([4]);
    expect(segmentsOnDisk(state, disk(4))).toEqual([]);
    expect(idsOf(segmentsLedBy(state, nodeId(1)))).toEqual([4]);
    expect(segmentsLedBy(state, nodeId(2))).toEqual([]);
  });

  test('isLeader() and isMember() look at the disk, and at the boot', () => {
    const segment = chain().segment(4);
    expect(isLeader(segment, { diskId: disk(1), bootEpoch: 1 })).toBe(true);
    expect(isLeader(segment, { diskId: disk(1), bootEpoch: 2 })).toBe(false);
    expect(isLeader(segment, { diskId: disk(2), bootEpoch: 1 })).toBe(false);
    expect([isMember(segment, disk(2)), isMember(segment, disk(4))]).toEqual([true, false]);
  });

  test('a lost disk: its segments are under-replicated, and nothing is put there', () => {
    const begin: Command = { type: 'BeginRecovery', segmentId: segmentId(4), epoch: 1 };
    const { state } = chain().ok({ type: 'MarkDiskLost', diskId: disk(2) }, begin);
    expect(idsOf(underReplicatedSegments(state))).toEqual([1, 2, 3, 4]);
    expect(idsOf(recoveringSegments(state))).toEqual([4]);
    expect(registeredPlaces(state)).toEqual(places(1, 3, 4));
    expect(registeredDisk(state, state.nodes.get(nodeId(2))!)).toBeUndefined();
    expect(votersWanted(state)).toBe(3);
  });

  test.each([
    [1, { replicas: 1, ackQuorum: 1 }, 1],
    [2, { replicas: 1, ackQuorum: 1 }, 1],
    [3, { replicas: 3, ackQuorum: 2 }, 3],
    [5, { replicas: 3, ackQuorum: 2 }, 3],
  ])('with %d nodes a topic gets %j, and there are %d voters', (nodes, replication, voters) => {
    const { state } = new TestCluster(nodes);
    expect([defaultReplication(state), votersWanted(state)]).toEqual([replication, voters]);
  });
});

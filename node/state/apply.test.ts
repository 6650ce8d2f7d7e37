import { describe, expect, test } from '@jest/globals';
import type { ErrorCode } from '../../base/errors.ts';
import { logIndex, nodeId, offset, segmentId } from '../../base/units.ts';
import type { LogIndex } from '../../base/units.ts';
import { applyCommand } from './apply.ts';
import { encodeSnapshot } from './codec/snapshotCodec.ts';
import type { Command, CommittedPosition, OpenPlan, PositionsCommit } from './commands.ts';
import { checkInvariants } from './invariants.ts';
import { MutableMetadata } from './mutableMetadata.ts';
import {
  CONFIG,
  DIGEST,
  TestCluster,
  close,
  createTopic,
  nodeRecord,
  place,
  places,
  plan,
  registration,
  token,
  bootNonce,
} from './testing/fixture.ts';

const ID1 = segmentId(1);

/** Four nodes, topic `t` with segment 1 open on nodes 1, 2, 3. */
function cluster(...commands: Command[]): TestCluster {
  return new TestCluster(4).ok(createTopic('t', plan(1, 1, 2, 3)), ...commands);
}

/** A group's positions, by `topic/partition`. */
function positionsOf({ state }: TestCluster, group: string): Record<string, number> {
  const found = [...(state.groups.get(group) ?? [])].flatMap(([topic, positions]) =>
    [...positions].map(([partition, { offset: at }]) => [`${topic}/${partition}`, at] as const),
  );
  return Object.fromEntries(found);
}

const AT_T = { topic: 't', partition: 0 };
const lose = (node: number): Command => ({ type: 'MarkDiskLost', diskId: place(node).diskId });
const recover = (epoch: number, id = ID1): Command => ({
  type: 'BeginRecovery',
  segmentId: id,
  epoch,
});
const confirm = (node: number, ...ids: number[]): Command => ({
  type: 'ConfirmDeleted',
  segmentIds: ids.map(segmentId),
  diskId: place(node).diskId,
});
const advance = (to: number): Command => ({
  type: 'AdvanceLogStart',
  topic: 't',
  topicId: 1,
  partition: 0,
  logStartOffset: offset(to),
});
/** After `close(1)`: segment 2 gets the records 100..150. */
const closeSecond = close(2, {
  endOffset: offset(150),
  replicas: places(2, 3, 1),
  next: plan(3, 3, 1, 2),
});
const recovered = (epoch: number, nodes: number[], next: OpenPlan = plan(2, 2, 3, 4)): Command =>
  close(1, { expected: { state: 'RECOVERING', epoch }, replicas: places(...nodes), next });
const replace = (from: number[], to: number[]): Command => ({
  type: 'ReplaceReplicas',
  segmentId: ID1,
  expected: places(...from),
  replicas: places(...to),
});
const copies = (type: 'PlanCopies' | 'DropCopies', ...nodes: number[]): Command => ({
  type,
  segmentId: ID1,
  places: places(...nodes),
});

/** What is refused, with the code, after which commands. */
const REFUSED: readonly (readonly [string, ErrorCode, readonly Command[], Command])[] = [
  [
    'Bootstrap twice',
    'CONFLICT',
    [],
    { type: 'Bootstrap', clusterId: 'e'.repeat(32), config: CONFIG },
  ],
  [
    'SetConfig with two voters',
    'INVALID_CONFIG',
    [],
    { type: 'SetConfig', config: { ...CONFIG, metadataVoters: 2 } },
  ],
  [
    'SetConfig without entries',
    'INVALID_CONFIG',
    [],
    { type: 'SetConfig', config: { ...CONFIG, maxSegmentEntries: 0 } },
  ],

  [
    'RegisterNode with the same boot epoch and another nonce (I2)',
    'DISK_REFUSED',
    [],
    registration(place(1), 1, token(7)),
  ],
  ['RegisterNode that skips a boot epoch (I2)', 'DISK_REFUSED', [], registration(place(1), 3)],
  ['RegisterNode with a nonce that is none', 'MALFORMED', [], registration(place(9), 1, 'x')],
  [
    'RegisterNode with a lower boot epoch (I2)',
    'DISK_REFUSED',
    [registration(place(1), 2)],
    registration(place(1), 1),
  ],
  ['RegisterNode with a second disk (I3)', 'DISK_REFUSED', [], registration(place(1, 1), 1)],
  ['RegisterNode with a lost disk (I3)', 'DISK_REFUSED', [lose(1)], registration(place(1), 2)],
  [
    'RegisterNode with a lost disk that was replaced',
    'DISK_REFUSED',
    [lose(1), registration(place(1, 1), 1)],
    registration(place(1), 9),
  ],
  [
    'RegisterNode with the disk of another node',
    'DISK_REFUSED',
    [],
    { ...registration(place(1), 2), node: { ...nodeRecord(place(1)), nodeId: nodeId(2) } },
  ],
  [
    'RegisterNode of an unknown node with a known disk',
    'DISK_REFUSED',
    [],
    { ...registration(place(1), 2), node: { ...nodeRecord(place(1)), nodeId: nodeId(9) } },
  ],
  ['RegisterNode with boot epoch 0', 'MALFORMED', [], registration(place(9), 0)],
  [
    'RegisterNode with a disk id that is no id',
    'MALFORMED',
    [],
    registration({ nodeId: nodeId(9), diskId: 'x' }, 1),
  ],
  [
    'RegisterNode with a line break in its zone',
    'MALFORMED',
    [],
    { ...registration(place(9), 1), node: { ...nodeRecord(place(9)), zone: 'a\nb' } },
  ],
  ['MarkDiskLost of an unknown disk', 'DISK_REFUSED', [], lose(9)],
  ['RemoveNode that holds segments', 'CONFLICT', [], { type: 'RemoveNode', nodeId: nodeId(1) }],

  ['CreateTopic that exists', 'TOPIC_EXISTS', [], createTopic('t', plan(2, 1, 2, 3))],
  ['CreateTopic without a name', 'INVALID_TOPIC_NAME', [], createTopic('', plan(2, 1, 2, 3))],
  ['CreateTopic named .', 'INVALID_TOPIC_NAME', [], createTopic('.', plan(2, 1, 2, 3))],
  ['CreateTopic named ..', 'INVALID_TOPIC_NAME', [], createTopic('..', plan(2, 1, 2, 3))],
  ['CreateTopic with a slash', 'INVALID_TOPIC_NAME', [], createTopic('a/b', plan(2, 1, 2, 3))],
  [
    'CreateTopic with a line break at the end',
    'INVALID_TOPIC_NAME',
    [],
    createTopic('a\n', plan(2, 1, 2, 3)),
  ],
  [
    'CreateTopic with 250 characters',
    'INVALID_TOPIC_NAME',
    [],
    createTopic('a'.repeat(250), plan(2, 1, 2, 3)),
  ],
  [
    'CreateTopic 2/1',
    'INVALID_REPLICATION',
    [],
    { ...createTopic('u', plan(2, 1, 2)), replication: { replicas: 2, ackQuorum: 1 } },
  ],
  [
    'CreateTopic 3/3',
    'INVALID_REPLICATION',
    [],
    { ...createTopic('u', plan(2, 1, 2, 3)), replication: { replicas: 3, ackQuorum: 3 } },
  ],
  [
    'CreateTopic 3/1',
    'INVALID_REPLICATION',
    [],
    { ...createTopic('u', plan(2, 1, 2, 3)), replication: { replicas: 3, ackQuorum: 1 } },
  ],
  [
    'CreateTopic with more replicas than nodes',
    'INVALID_REPLICATION',
    [],
    { ...createTopic('u', plan(2, 1, 2, 3)), replication: { replicas: 5, ackQuorum: 3 } },
  ],
  ['CreateTopic without partitions', 'MALFORMED', [], createTopic('u')],
  [
    'CreateTopic with 1001 partitions',
    'MALFORMED',
    [],
    createTopic('u', ...Array.from({ length: 1001 }, (_, i) => plan(i + 2, 1, 2, 3))),
  ],
  ['CreateTopic with a token that is in use', 'CONFLICT', [], createTopic('u', plan(1, 1, 2, 3))],
  [
    'CreateTopic with one token twice',
    'MALFORMED',
    [],
    createTopic('u', plan(2, 1, 2, 3), plan(2, 1, 2, 3)),
  ],
  [
    'CreateTopic on fewer than W disks (W7)',
    'NOT_ENOUGH_REPLICAS',
    [],
    createTopic('u', plan(2, 1)),
  ],
  ['CreateTopic on more than R disks (W7)', 'MALFORMED', [], createTopic('u', plan(2, 1, 2, 3, 4))],
  ['CreateTopic with two copies on one disk', 'MALFORMED', [], createTopic('u', plan(2, 1, 1, 2))],
  ['CreateTopic on a lost disk', 'CONFLICT', [lose(2)], createTopic('u', plan(2, 1, 2, 3))],
  ['CreateTopic on an unknown disk', 'CONFLICT', [], createTopic('u', plan(2, 1, 2, 9))],
  [
    'CreateTopic with a leader outside the ensemble',
    'MALFORMED',
    [],
    createTopic('u', { ...plan(2, 1, 2, 3), leader: place(4) }),
  ],
  [
    'CreateTopic with a leader that restarted (W1)',
    'CONFLICT',
    [registration(place(1), 2)],
    createTopic('u', plan(2, 1, 2, 3)),
  ],
  [
    'DeleteTopic that does not exist',
    'TOPIC_NOT_FOUND',
    [],
    { type: 'DeleteTopic', name: 'u', topicId: 1 },
  ],
  [
    'DeleteTopic that was meant for an earlier one of the same name',
    'TOPIC_NOT_FOUND',
    [{ type: 'DeleteTopic', name: 't', topicId: 1 }, createTopic('t', plan(2, 1, 2, 3))],
    { type: 'DeleteTopic', name: 't', topicId: 1 },
  ],

  ['BeginRecovery of an unknown segment', 'SEGMENT_NOT_FOUND', [], recover(1, segmentId(9))],
  ['BeginRecovery with epoch 0', 'CONFLICT', [], recover(0)],
  ['BeginRecovery with the same epoch (R1)', 'CONFLICT', [recover(3)], recover(3)],
  ['BeginRecovery with a lower epoch (R1)', 'CONFLICT', [recover(3)], recover(2)],
  ['BeginRecovery of a sealed segment (R1)', 'CONFLICT', [close(1)], recover(1)],
  [
    'BeginRecovery of a deleted segment',
    'CONFLICT',
    [{ type: 'DeleteTopic', name: 't', topicId: 1 }],
    recover(1),
  ],

  ['SealAndOpen of an unknown segment', 'SEGMENT_NOT_FOUND', [], close(9)],
  [
    'SealAndOpen with another token',
    'CONFLICT',
    [],
    close(1, { expected: { state: 'OPEN', token: token(9) } }),
  ],
  ['SealAndOpen by the leader after recovery began', 'CONFLICT', [recover(1)], close(1)],
  ['SealAndOpen by a recovery that did not begin', 'CONFLICT', [], recovered(1, [1, 2])],
  ['SealAndOpen by an older recovery', 'CONFLICT', [recover(1), recover(2)], recovered(1, [1, 2])],
  [
    'SealAndOpen of a deleted segment',
    'CONFLICT',
    [{ type: 'DeleteTopic', name: 't', topicId: 1 }],
    close(1),
  ],
  [
    'SealAndOpen again at another end',
    'CONFLICT',
    [close(1)],
    close(1, { endOffset: offset(101) }),
  ],
  [
    'SealAndOpen again with another digest',
    'CONFLICT',
    [close(1)],
    close(1, { digest: '0'.repeat(16) }),
  ],
  [
    'SealAndOpen again with a hole',
    'CONFLICT',
    [close(1)],
    close(1, { lossy: { from: offset(100), to: offset(110) } }),
  ],
  [
    'SealAndOpen below its base',
    'MALFORMED',
    [close(1)],
    close(2, { endOffset: offset(99), replicas: places(2, 3, 1), next: plan(3, 3, 1, 2) }),
  ],
  ['SealAndOpen with a digest that is none', 'MALFORMED', [], close(1, { digest: 'D'.repeat(16) })],
  [
    'SealAndOpen by the leader with a hole (S4)',
    'MALFORMED',
    [],
    close(1, { lossy: { from: offset(100), to: offset(110) } }),
  ],
  [
    'SealAndOpen with a hole that begins elsewhere',
    'MALFORMED',
    [recover(1)],
    {
      ...close(1),
      expected: { state: 'RECOVERING', epoch: 1 },
      lossy: { from: offset(99), to: offset(110) },
    },
  ],
  [
    'SealAndOpen by the leader without a member (W6)',
    'MALFORMED',
    [],
    close(1, { replicas: places(1, 2) }),
  ],
  [
    'SealAndOpen by the leader with a stranger (W6)',
    'MALFORMED',
    [],
    close(1, { replicas: places(1, 2, 4) }),
  ],
  [
    'SealAndOpen by the leader when W disks are not left',
    'NOT_ENOUGH_REPLICAS',
    [lose(2), lose(3)],
    close(1),
  ],
  [
    'SealAndOpen by a recovery on fewer than W disks (R5)',
    'NOT_ENOUGH_REPLICAS',
    [recover(1)],
    recovered(1, [1]),
  ],
  [
    'SealAndOpen by a recovery on a lost disk (R5)',
    'CONFLICT',
    [recover(1), lose(1)],
    recovered(1, [1, 2]),
  ],
  [
    'SealAndOpen by a recovery on more than R disks',
    'MALFORMED',
    [recover(1)],
    recovered(1, [1, 2, 3, 4]),
  ],
  ['SealAndOpen by a recovery twice on one disk', 'MALFORMED', [recover(1)], recovered(1, [1, 1])],
  [
    'SealAndOpen with a next leader that restarted (W1)',
    'CONFLICT',
    [registration(place(2), 2)],
    close(1),
  ],
  [
    'SealAndOpen with its own token for the next one',
    'CONFLICT',
    [],
    close(1, { next: plan(1, 2, 3, 1) }),
  ],
  [
    'SealAndOpen with a next ensemble below W',
    'NOT_ENOUGH_REPLICAS',
    [],
    close(1, { next: plan(2, 2) }),
  ],
  [
    'SealAndOpen with a lost disk in the next ensemble',
    'CONFLICT',
    [lose(4)],
    close(1, { next: plan(2, 2, 3, 4) }),
  ],

  [
    'ReplaceReplicas of an unknown segment',
    'SEGMENT_NOT_FOUND',
    [],
    { type: 'ReplaceReplicas', segmentId: segmentId(9), expected: [], replicas: [] },
  ],
  ['ReplaceReplicas of an open segment (W6)', 'CONFLICT', [], replace([1, 2, 3], [1, 2, 4])],
  [
    'ReplaceReplicas of a recovering segment (W6)',
    'CONFLICT',
    [recover(1)],
    replace([1, 2, 3], [1, 2, 4]),
  ],
  [
    'ReplaceReplicas with another expectation (S2)',
    'CONFLICT',
    [close(1)],
    replace([1, 2, 4], [1, 2, 3]),
  ],
  [
    'ReplaceReplicas by a lost disk',
    'CONFLICT',
    [close(1), lose(4)],
    replace([1, 2, 3], [1, 2, 4]),
  ],
  ['ReplaceReplicas by fewer than W', 'NOT_ENOUGH_REPLICAS', [close(1)], replace([1, 2, 3], [1])],
  [
    'ReplaceReplicas by none',
    'NOT_ENOUGH_REPLICAS',
    [close(1), lose(1), lose(2), lose(3)],
    replace([1, 2, 3], []),
  ],
  [
    'ReplaceReplicas by more than R',
    'NOT_ENOUGH_REPLICAS',
    [close(1)],
    replace([1, 2, 3], [1, 2, 3, 4]),
  ],
  ['ReplaceReplicas by two on one node', 'MALFORMED', [close(1)], replace([1, 2, 3], [1, 2, 2])],
  [
    'ReplaceReplicas by a disk that deletes its copy',
    'CONFLICT',
    [close(1), replace([1, 2, 3], [1, 2, 4])],
    replace([1, 2, 4], [1, 2, 3]),
  ],
  ['PlanCopies of an open segment (W6)', 'CONFLICT', [], copies('PlanCopies', 4)],
  ['PlanCopies to a lost disk', 'CONFLICT', [close(1), lose(4)], copies('PlanCopies', 4)],
  [
    'PlanCopies to a disk that deletes its copy',
    'CONFLICT',
    [close(1), replace([1, 2, 3], [1, 2, 4])],
    copies('PlanCopies', 3),
  ],
  [
    'PlanCopies of an unknown segment',
    'SEGMENT_NOT_FOUND',
    [],
    { type: 'PlanCopies', segmentId: segmentId(9), places: places(4) },
  ],
  [
    'DropCopies of an unknown segment',
    'SEGMENT_NOT_FOUND',
    [],
    { type: 'DropCopies', segmentId: segmentId(9), places: places(4) },
  ],
  [
    'DropCopies of a deleted segment',
    'CONFLICT',
    [{ type: 'DeleteTopic', name: 't', topicId: 1 }],
    copies('DropCopies', 1),
  ],
  [
    'DropCopies of a segment that is being recovered',
    'CONFLICT',
    [recover(1), copies('PlanCopies', 4)],
    copies('DropCopies', 4),
  ],
  [
    'DropCopies of a copy that is needed: it may have offered itself as a replica (S3)',
    'CONFLICT',
    [close(1), lose(3), copies('PlanCopies', 4)],
    copies('DropCopies', 4),
  ],

  [
    'AdvanceLogStart of an unknown topic',
    'TOPIC_NOT_FOUND',
    [],
    { ...advance(0), topic: 'u' } as Command,
  ],
  [
    'AdvanceLogStart meant for an older topic of the name',
    'TOPIC_NOT_FOUND',
    [close(1)],
    { ...advance(100), topicId: 7 } as Command,
  ],
  [
    'AdvanceLogStart of an unknown partition',
    'PARTITION_NOT_FOUND',
    [],
    { ...advance(0), partition: 1 } as Command,
  ],
  ['AdvanceLogStart into the open segment', 'OFFSET_OUT_OF_RANGE', [close(1)], advance(101)],
  ['AdvanceLogStart backwards', 'OFFSET_OUT_OF_RANGE', [close(1), advance(50)], advance(49)],
  ['AllocateProducerIds of none', 'MALFORMED', [], { type: 'AllocateProducerIds', count: 0 }],
  [
    'AllocateProducerIds of too many',
    'MALFORMED',
    [],
    { type: 'AllocateProducerIds', count: 100_001 },
  ],
];

describe('applyCommand() refuses', () => {
  test.each(REFUSED)('%s with %s', (_name, code, before, command) => {
    const subject = cluster(...before);
    const bytes = encodeSnapshot(subject.state).subarray(14, -4);
    const result = subject.apply(command);
    expect(result).toMatchObject({ ok: false, code });
    expect(encodeSnapshot(subject.state).subarray(14, -4)).toEqual(bytes);
    checkInvariants(subject.state);
  });

  test('everything before Bootstrap', () => {
    const state = new MutableMetadata();
    const result = applyCommand(state, logIndex(1), registration(place(1), 1));
    expect(result).toMatchObject({ ok: false, code: 'METADATA_UNAVAILABLE' });
  });

  test('a disk that comes back, saying what to do', () => {
    const result = cluster(lose(1)).apply(registration(place(1), 2));
    expect(result.ok ? '' : result.message).toContain('give the node an empty data directory');
  });
});

describe('applyCommand() accepts', () => {
  test('the next boot, and a new disk in the place of lost ones (I2, I3)', () => {
    const { state } = cluster(registration(place(1), 2), lose(1), registration(place(1, 1), 1));
    expect([...state.disks.values()].filter((disk) => disk.nodeId === 1)).toEqual([
      { ...place(1), bootEpoch: 2, bootNonce: bootNonce(2), state: 'LOST' },
      { ...place(1, 1), bootEpoch: 1, bootNonce: bootNonce(1), state: 'REGISTERED' },
    ]);
    expect(state.nodes.get(nodeId(1))?.diskId).toBe(place(1, 1).diskId);
    checkInvariants(state);
  });

  test('a boot again whose answer was lost, with new addresses; a first boot with any epoch', () => {
    const again = { ...nodeRecord(place(1)), peerAddress: 'elsewhere:1' };
    const { state } = cluster({ ...registration(place(1), 1), node: again });
    expect(state.nodes.get(nodeId(1))?.peerAddress).toBe('elsewhere:1');
    expect(cluster(registration(place(9), 40)).apply(registration(place(9), 40)).ok).toBe(true);
  });

  test('CreateTopic with fewer than R disks, marked under-replicated (W7)', () => {
    const subject = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2), plan(2, 1, 2, 3)));
    expect(subject.segment(1)).toMatchObject({ isUnderReplicated: true, ackQuorum: 2 });
    expect(subject.segment(2)).toMatchObject({ isUnderReplicated: false, partition: 1 });
    expect([...subject.state.underReplicated]).toEqual([1]);
  });

  test('a close: the end is written and the successor opens there, in one step', () => {
    const subject = cluster();
    expect(subject.apply(close(1))).toEqual({
      ok: true,
      value: { type: 'Segment', segmentId: 1, nextSegmentId: 2, isRepeat: false },
    });
    expect(subject.segment(1)).toMatchObject({
      state: 'SEALED',
      endOffset: 100,
      digest: DIGEST,
      sealedAtMs: 2000,
    });
    expect(subject.segment(2)).toMatchObject({
      state: 'OPEN',
      baseOffset: 100,
      endOffset: null,
      epoch: 0,
      token: token(2),
      leader: place(2),
    });
    checkInvariants(subject.state);
  });

  test('a close with a lost member, as long as W disks are registered', () => {
    const subject = cluster(lose(3), close(1, { next: plan(2, 2, 1, 4) }));
    expect(subject.segment(1).ensemble).toEqual(places(1, 2, 3));
    expect([...subject.state.underReplicated]).toEqual([1]);
  });

  test('the same seal again, naming the successor that is there', () => {
    const result = { type: 'Segment', segmentId: 1, nextSegmentId: 2, isRepeat: true };
    const subject = cluster(close(1));
    expect(subject.apply(close(1))).toEqual({ ok: true, value: result });
    const other = close(1, { next: plan(7, 3, 2, 1) });
    expect(subject.apply(other)).toEqual({ ok: true, value: result });
    expect(subject.state.segments.size).toBe(2);
  });

  test('a recovery that ends on a fresh disk keeps track of the member that it did not name', () => {
    const subject = cluster(recover(1), copies('PlanCopies', 4), recover(2), recovered(2, [1, 4]));
    expect(subject.segment(1)).toMatchObject({
      state: 'SEALED',
      epoch: 2,
      ensemble: places(1, 4),
      partialPlaces: places(2, 3),
      formerPlaces: [],
      isUnderReplicated: true,
    });
    checkInvariants(subject.state);
  });

  test('an unclean seal: the successor begins after the hole (S4)', () => {
    const lossy = { from: offset(100), to: offset(150) };
    const unclean = { ...recovered(1, [1, 2]), lossy } as Command;
    const subject = cluster(recover(1), unclean);
    expect(subject.segment(1)).toMatchObject({ endOffset: 100, lossy });
    expect(subject.segment(2).baseOffset).toBe(150);
    subject.ok(advance(149));
    expect(subject.segment(1).state).toBe('SEALED');
    const records = { endOffset: offset(160), replicas: places(2, 3, 4) };
    subject.ok(advance(150), close(2, { ...records, next: plan(3, 3, 4, 2) }));
    expect(subject.segment(1).state).toBe('DELETED');
    checkInvariants(subject.state);
  });

  test('ReplaceReplicas: the dropped member deletes and confirms', () => {
    const subject = cluster(close(1), copies('PlanCopies', 4), replace([3, 2, 1], [1, 2, 4]));
    expect(subject.segment(1)).toMatchObject({
      ensemble: places(1, 2, 4),
      partialPlaces: [],
      formerPlaces: places(3),
    });
    subject.ok(confirm(3, 1), replace([1, 2, 4], [1, 2, 3]));
    expect(subject.segment(1).formerPlaces).toEqual(places(4));
    checkInvariants(subject.state);
  });

  test('ReplaceReplicas below W on the way up', () => {
    const subject = cluster(close(1), lose(2), lose(3), replace([1, 2, 3], [1, 4]));
    expect(subject.segment(1)).toMatchObject({ ensemble: places(1, 4), isUnderReplicated: true });
  });

  test('DropCopies: partial copies are given up, others are left alone', () => {
    const subject = cluster(close(1), copies('PlanCopies', 4, 1), copies('DropCopies', 4, 1));
    expect(subject.segment(1)).toMatchObject({
      ensemble: places(1, 2, 3),
      partialPlaces: [],
      formerPlaces: places(4),
    });
  });

  test('AdvanceLogStart: segments that end at or below it are tombstoned', () => {
    const second = close(2, {
      endOffset: offset(100),
      replicas: places(2, 3, 1),
      next: plan(3, 3, 1, 2),
    });
    const subject = cluster(close(1), second, advance(99));
    expect(subject.segment(1).state).toBe('SEALED');
    const third = close(3, { endOffset: offset(150), replicas: places(3, 1, 2) });
    subject.ok({ ...third, next: plan(4, 1, 2, 3) }, advance(100), advance(100));
    expect(subject.segment(1)).toMatchObject({ state: 'DELETED', formerPlaces: places(1, 2, 3) });
    expect(subject.segment(2).state).toBe('DELETED');
    expect(subject.state.topics.get('t')?.partitions).toEqual([
      { logStartOffset: 100, segments: [3, 4] },
    ]);
    checkInvariants(subject.state);
  });

  test('AdvanceLogStart: the last snapshot of the producers stays until a later seal with records', () => {
    const again = (id: number, end: number, [a, b, c]: [number, number, number]): Command =>
      close(id, { endOffset: offset(end), replicas: places(a, b, c), next: plan(id + 1, b, c, a) });
    const subject = cluster(close(1), advance(100));
    expect(subject.segment(1).state).toBe('SEALED');
    subject.ok(again(2, 100, [2, 3, 1])); // without a record: no snapshot that is certain
    expect(subject.segment(1).state).toBe('SEALED');
    subject.ok(again(3, 101, [3, 1, 2]));
    expect(subject.segment(1).state).toBe('DELETED');
    expect(subject.segment(2).state).toBe('DELETED');
    expect(subject.state.topics.get('t')?.partitions).toEqual([
      { logStartOffset: 100, segments: [3, 4] },
    ]);
    checkInvariants(subject.state);
  });

  test('ConfirmDeleted: the record goes with the last of all places, lost ones aside', () => {
    const subject = cluster(close(1), copies('PlanCopies', 4), closeSecond, advance(100), lose(1));
    subject.ok(confirm(2, 1, 2, 99), confirm(2, 1), confirm(3, 1));
    expect(subject.segment(1).formerPlaces).toEqual(places(4));
    subject.ok(confirm(4, 1));
    expect(subject.state.segments.has(ID1)).toBe(false);
    expect(subject.segment(2).state).toBe('SEALED');
    checkInvariants(subject.state);
  });

  test('MarkDiskLost: the last place that a deletion waits for', () => {
    const subject = cluster(close(1), closeSecond, advance(100), confirm(1, 1), confirm(2, 1));
    subject.ok(lose(3), lose(3));
    expect(subject.state.segments.has(ID1)).toBe(false);
    checkInvariants(subject.state);
  });

  test('ConfirmDeleted is nothing for a member that was not told to delete', () => {
    const subject = cluster(close(1), confirm(1, 1, 2));
    expect(subject.segment(1).ensemble).toEqual(places(1, 2, 3));
  });

  test('DeleteTopic: tombstones the open segment too, and forgets the positions', () => {
    const positions = [{ topic: 't', partition: 0, offset: offset(5) }];
    const commits = [{ group: 'g', positions }];
    const subject = cluster(close(1), { type: 'CommitPositions', commits });
    subject.ok({ type: 'DeleteTopic', name: 't', topicId: 1 });
    expect([subject.segment(1).state, subject.segment(2).state]).toEqual(['DELETED', 'DELETED']);
    expect(subject.state.groups.size).toBe(0);
    subject.ok(createTopic('t', plan(9, 1, 2, 3)), confirm(1, 1, 2), confirm(2, 1, 2));
    expect(subject.state.topics.get('t')?.topicId).toBe(2);
    checkInvariants(subject.state);
  });

  test('CommitPositions: each commit on its own', () => {
    const at = { topic: 't', partition: 0 };
    const subject = cluster();
    const commit = (position: Partial<CommittedPosition>, group = 'g'): PositionsCommit => ({
      group,
      positions: [{ ...at, offset: offset(7), ...position }],
    });
    const now = subject.state.lastApplied;
    const commits = [
      { ...commit({ offset: offset(5) }), unchangedSince: now },
      { ...commit({ offset: offset(9) }), unchangedSince: now },
      commit({}),
      commit({ topic: 'u' }),
      commit({ partition: 1 }),
      commit({ topicId: 8 }),
      commit({}, ''),
      commit({ topicId: 1, offset: offset(3) }, 'h'),
    ];
    expect(subject.apply({ type: 'CommitPositions', commits })).toEqual({
      ok: true,
      value: {
        type: 'Positions',
        index: now + 1,
        refused: [
          { index: 1, position: 0, code: 'CONFLICT' },
          { index: 3, position: 0, code: 'TOPIC_NOT_FOUND' },
          { index: 4, position: 0, code: 'PARTITION_NOT_FOUND' },
          { index: 5, position: 0, code: 'TOPIC_NOT_FOUND' },
          { index: 6, position: 0, code: 'MALFORMED' },
        ],
      },
    });
    expect(positionsOf(subject, 'g')).toEqual({ 't/0': 7 });
    expect(positionsOf(subject, 'h')).toEqual({ 't/0': 3 });
  });

  test('CommitPositions: a try that is applied late undoes nothing, a repeat changes nothing', () => {
    const subject = cluster();
    const commit = (at: number, unchangedSince: LogIndex, group = 'g'): Command => {
      const positions = [{ topic: 't', partition: 0, offset: offset(at) }];
      return { type: 'CommitPositions', commits: [{ group, unchangedSince, positions }] };
    };
    /** Whether it is taken, and the position then. */
    const apply = (command: Command): string => {
      const result = subject.apply(command);
      const value = result.ok && result.value.type === 'Positions' ? result.value : null;
      const [refusal] = value?.refused ?? [];
      return `${refusal?.code ?? 'OK'} ${positionsOf(subject, 'g')['t/0']}`;
    };
    const start = subject.state.lastApplied;
    const first = commit(2, start);
    expect([apply(first), apply(first)]).toEqual(['OK 2', 'OK 2']);
    const second = commit(55, logIndex(start + 2));
    expect([apply(second), apply(first), apply(second)]).toEqual(['OK 55', 'CONFLICT 55', 'OK 55']);
    // A deliberate seek back, to what the late one expects to find.
    const { lastApplied } = subject.state;
    expect(apply(commit(2, lastApplied))).toBe('OK 2');
    expect([apply(second), apply(first)]).toEqual(['CONFLICT 2', 'OK 2']);
    // The same position again counts as a change, too.
    const again = subject.state.lastApplied;
    expect([apply(commit(2, again)), apply(commit(9, again))]).toEqual(['OK 2', 'CONFLICT 2']);
  });

  test('CommitPositions: a late try brings no position back that was removed', () => {
    const subject = cluster();
    const { lastApplied: unchangedSince } = subject.state;
    const late: Command = {
      type: 'CommitPositions',
      commits: [{ group: 'g', unchangedSince, positions: [{ ...AT_T, offset: offset(5) }] }],
    };
    subject.ok(late);
    const removed: Command = {
      type: 'DeleteGroup',
      group: 'g',
      unchangedSince: subject.state.lastApplied,
    };
    subject.ok(removed, removed);
    expect(subject.apply(late)).toMatchObject({ value: { refused: [{ code: 'CONFLICT' }] } });
    expect(subject.state.groups.size).toBe(0);
  });

  test('DeleteGroup: a late try deletes nothing that was committed since', () => {
    const subject = cluster();
    const commits = [{ group: 'g', positions: [{ ...AT_T, offset: offset(5) }] }];
    const { lastApplied: unchangedSince } = subject.state;
    subject.ok({ type: 'CommitPositions', commits });
    const late: Command = { type: 'DeleteGroup', group: 'g', unchangedSince };
    expect(subject.apply(late)).toMatchObject({ ok: false, code: 'CONFLICT' });
    expect(positionsOf(subject, 'g')).toEqual({ 't/0': 5 });
  });

  test('CommitPositions: all positions of a commit, or none', () => {
    const subject = cluster().ok(createTopic('u', plan(9, 1, 2, 3), plan(10, 2, 3, 1)));
    const at = (topic: string, partition: number): CommittedPosition => ({
      topic,
      partition,
      offset: offset(7),
    });
    const { lastApplied: unchangedSince } = subject.state;
    const moved = { group: 'g', positions: [{ ...at('u', 1), offset: offset(3) }] };
    subject.ok({ type: 'CommitPositions', commits: [moved] });
    const commits = [
      { group: 'g', unchangedSince, positions: [at('t', 0), at('u', 0), at('u', 1)] },
      { group: 'h', positions: [at('t', 0), at('u', 1)] },
      { group: 'g', positions: [at('u', 1), at('u', 2)] },
    ];
    expect(subject.apply({ type: 'CommitPositions', commits })).toEqual({
      ok: true,
      value: {
        type: 'Positions',
        index: unchangedSince + 2,
        refused: [
          { index: 0, position: 2, code: 'CONFLICT' },
          { index: 2, position: 1, code: 'PARTITION_NOT_FOUND' },
        ],
      },
    });
    expect(positionsOf(subject, 'g')).toEqual({ 'u/1': 3 });
    expect(positionsOf(subject, 'h')).toEqual({ 't/0': 7, 'u/1': 7 });
    checkInvariants(subject.state);
  });

  test('AllocateProducerIds: blocks that follow each other', () => {
    const subject = cluster();
    const value = { type: 'ProducerIds', first: 1, count: 10 };
    expect(subject.apply({ type: 'AllocateProducerIds', count: 10 })).toEqual({ ok: true, value });
    const next = subject.apply({ type: 'AllocateProducerIds', count: 1 });
    expect(next).toEqual({ ok: true, value: { ...value, first: 11, count: 1 } });
  });

  test('RemoveNode: an empty node, whose disk then never comes back', () => {
    const subject = cluster({ type: 'RemoveNode', nodeId: nodeId(4) });
    expect(subject.state.nodes.has(nodeId(4))).toBe(false);
    expect(subject.apply(registration(place(4), 2))).toMatchObject({ code: 'DISK_REFUSED' });
    subject.ok(registration(place(4, 1), 1), { type: 'RemoveNode', nodeId: nodeId(9) });
    checkInvariants(subject.state);
  });
});

test('applyCommand() asserts that indexes rise', () => {
  const state = new MutableMetadata();
  applyCommand(state, logIndex(3), { type: 'AllocateProducerIds', count: 1 });
  expect(() => applyCommand(state, logIndex(3), { type: 'AllocateProducerIds', count: 1 })).toThrow(
    'Cannot apply 3 after 3',
  );
});

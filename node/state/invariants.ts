/**
 * What is true of the metadata after every command. `assertTouched` checks what a command touched, in
 * production; `checkInvariants` checks all of it, in tests and after a restore.
 *
 * - A partition has segments in offset order; all but the last are SEALED, the last is OPEN or RECOVERING.
 * - Each begins where the one before ends (after its hole, when it was sealed uncleanly): offsets never overlap.
 * - A partition whose first offsets are gone keeps a sealed segment with records: a snapshot of the producers.
 * - A partition's start lies between its first segment's base and its last segment's base.
 * - Members are on distinct nodes; members, partial and former places are distinct disks, all of them known.
 * - No copy is dropped before the seal. Partial and former places are on REGISTERED disks; a node has at most one REGISTERED disk.
 * - A DELETED segment is in no partition, and some place has still to confirm it.
 * - Ids are below the next one to be given; tokens are unique; the indexes say what the records say.
 */
import { assert, assertDefined } from '../../base/assert.ts';
import type { NodeId, SegmentId } from '../../base/units.ts';
import { placesOf } from './mutableMetadata.ts';
import type { MutableMetadata, MutablePartition, MutableTopic } from './mutableMetadata.ts';
import { isUnsealed, nextBaseOffset, successorOf } from './queries.ts';
import type { SegmentRecord } from './types.ts';

/** @throws {AssertionError} When a segment that the last command touched breaks an invariant. */
export function assertTouched(state: MutableMetadata): void {
  for (const id of state.touchedSegments) {
    const segment = state.segments.get(id);
    if (segment !== undefined) assertSegment(state, segment);
  }
}

/** @throws {AssertionError} When any invariant is broken. Looks at the whole state. */
export function checkInvariants(state: MutableMetadata): void {
  for (const segment of state.segments.values()) assertSegment(state, segment);
  for (const topic of state.topics.values()) assertTopic(state, topic);
  assertInPartitions(state);
  assertDisks(state);
  assertGroups(state);
  assertIndexes(state);
}

function assertSegment(state: MutableMetadata, segment: SegmentRecord): void {
  const what = `Segment ${segment.segmentId}`;
  assert(segment.segmentId < state.nextSegmentId, `${what} must be below the next id`);
  assertPlaces(state, segment);
  if (segment.state === 'DELETED') {
    assert(segment.formerPlaces.length > 0, `${what} is DELETED and waits for nobody`);
    return;
  }
  assertChain(state, segment);
  if (isUnsealed(segment)) {
    assert(segment.endOffset === null && segment.digest === null, `${what} has no end yet`);
    assert(segment.lossy === null && segment.sealedAtMs === null, `${what} is not sealed yet`);
    assert((segment.state === 'OPEN') === (segment.epoch === 0), `${what}: epoch and state differ`);
    assert(segment.formerPlaces.length === 0, `${what} must not drop copies before it is sealed`);
  } else {
    const end = assertDefined(segment.endOffset, `${what} is SEALED and must have an end`);
    assert(end >= segment.baseOffset, `${what} must not end before its base`);
    assert(segment.digest !== null, `${what} is SEALED and must have a digest`);
    assert(nextBaseOffset(segment) >= end, `${what} must not be followed by its own offsets`);
  }
}

/** The segment before and the one after, in its partition. */
function assertChain(state: MutableMetadata, segment: SegmentRecord): void {
  const what = `Segment ${segment.segmentId}`;
  const { segments } = state.partitionOf(segment);
  const next = successorOf(state, segment);
  if (next === undefined) {
    assert(segments.at(-1) === segment.segmentId, `${what} must be in its partition`);
    assert(isUnsealed(segment), `${what} is its partition's last and must not be sealed`);
  } else {
    assert(segment.state === 'SEALED', `${what} has a successor and must be SEALED`);
    assert(next.baseOffset === nextBaseOffset(segment), `${what} and its successor must touch`);
  }
}

function assertPlaces(state: MutableMetadata, segment: SegmentRecord): void {
  const what = `Segment ${segment.segmentId}`;
  const nodes = new Set(segment.ensemble.map((place) => place.nodeId));
  assert(segment.ensemble.length > 0, `${what} must have a member`);
  assert(nodes.size === segment.ensemble.length, `${what} must have its members on distinct nodes`);
  const places = placesOf(segment);
  const disks = new Set(places.map((place) => place.diskId));
  assert(disks.size === places.length, `${what} must name each disk once`);
  for (const place of [...segment.ensemble, ...places]) {
    const disk = state.disks.get(place.diskId);
    assert(disk?.nodeId === place.nodeId, `${what} names disk ${place.diskId}, which is not known`);
  }
  const extra = [...segment.partialPlaces, ...segment.formerPlaces];
  assert(state.registeredCount(extra) === extra.length, `${what} must not wait for a lost disk`);
}

function assertTopic(state: MutableMetadata, topic: MutableTopic): void {
  assert(topic.topicId < state.nextTopicId, `Topic ${topic.name} must have an id that was given`);
  assert(topic.partitions.length > 0, `Topic ${topic.name} must have a partition`);
  for (const [index, partition] of topic.partitions.entries()) {
    assertPartition(state, topic, index, partition);
  }
}

function assertPartition(
  state: MutableMetadata,
  topic: MutableTopic,
  index: number,
  partition: MutablePartition,
): void {
  const what = `Partition ${topic.name}/${index}`;
  const segments = partition.segments.map((id) =>
    assertDefined(state.segments.get(id), `${what} names segment ${id}, which is not there`),
  );
  for (const [at, segment] of segments.entries()) {
    assert(segment.topicId === topic.topicId, `${what} has a segment of another topic`);
    assert(segment.partition === index, `${what} has a segment of another partition`);
    assert(isUnsealed(segment) === (at === segments.length - 1), `${what}: one unsealed, the last`);
    const before = segments[at - 1]?.segmentId ?? 0;
    assert(segment.segmentId > before, `${what} must have its segments in order`);
  }
  const first = assertDefined(segments[0], `${what} must have a segment`);
  const last = assertDefined(segments.at(-1), `${what} must have a segment`);
  const start = partition.logStartOffset;
  assert(first.baseOffset <= start && start <= last.baseOffset, `${what} has a wrong start`);
  const hasSnapshot = segments.some(({ baseOffset, endOffset }) => (endOffset ?? 0) > baseOffset);
  assert(first.baseOffset === 0 || hasSnapshot, `${what} has lost its producers' last snapshot`);
}

/** No segment outside the partitions but the DELETED ones, and none twice. */
function assertInPartitions(state: MutableMetadata): void {
  const listed = new Set<SegmentId>();
  let count = 0;
  for (const topic of state.topics.values()) {
    for (const partition of topic.partitions) {
      count += partition.segments.length;
      for (const id of partition.segments) listed.add(id);
    }
  }
  assert(listed.size === count, 'A segment must be in one partition');
  for (const segment of state.segments.values()) {
    const isListed = listed.has(segment.segmentId);
    assert(
      isListed === (segment.state !== 'DELETED'),
      `Segment ${segment.segmentId} must be in its partition unless it is DELETED`,
    );
  }
}

function assertDisks(state: MutableMetadata): void {
  const registered = new Set<NodeId>();
  for (const disk of state.disks.values()) {
    if (disk.state === 'LOST') continue;
    assert(!registered.has(disk.nodeId), `Node ${disk.nodeId} must have one registered disk`);
    registered.add(disk.nodeId);
    const current = state.nodes.get(disk.nodeId)?.diskId;
    assert(current === disk.diskId, `Node ${disk.nodeId} must run on its registered disk`);
  }
  for (const node of state.nodes.values()) {
    assert(state.disks.get(node.diskId)?.nodeId === node.nodeId, `Node ${node.nodeId} has no disk`);
  }
}

function assertGroups(state: MutableMetadata): void {
  for (const [group, topics] of state.groups) {
    assert(topics.size > 0, `Group ${group} must have positions`);
    for (const [name, positions] of topics) {
      const partitions = state.topics.get(name)?.partitions.length ?? 0;
      for (const partition of positions.keys()) {
        assert(partition < partitions, `Group ${group} has a position in no partition of ${name}`);
      }
    }
  }
}

/** The indexes, against what a fresh look at the records gives. */
function assertIndexes(state: MutableMetadata): void {
  let places = 0;
  let former = 0;
  let unsealed = 0;
  let recovering = 0;
  let underReplicated = 0;
  for (const segment of state.segments.values()) {
    const id = segment.segmentId;
    for (const { diskId } of placesOf(segment)) {
      assert(state.segmentsByDisk.get(diskId)?.has(id) === true, `Disk ${diskId} has lost ${id}`);
      places += 1;
    }
    for (const { diskId } of segment.formerPlaces) {
      assert(state.formerByDisk.get(diskId)?.has(id) === true, `Disk ${diskId} must delete ${id}`);
      former += 1;
    }
    assert(state.segmentByToken.get(segment.token) === id, `Segment ${id} must have its own token`);
    if (isUnsealed(segment)) {
      const led = state.unsealedByLeader.get(segment.leader.nodeId);
      assert(led?.has(id) === true, `Segment ${id} must be among its leader's`);
      unsealed += 1;
    }
    if (segment.state === 'RECOVERING') recovering += 1;
    if (isUnderReplicated(state, segment)) {
      assert(state.underReplicated.has(id), `Segment ${id} must be known as under-replicated`);
      underReplicated += 1;
    }
  }
  assert(sizeOf(state.segmentsByDisk) === places, 'The index by disk must have nothing else');
  assert(sizeOf(state.formerByDisk) === former, 'The index of deletions must have nothing else');
  assert(sizeOf(state.unsealedByLeader) === unsealed, 'The index by leader has something else');
  assert(state.segmentByToken.size === state.segments.size, 'The index by token has others');
  assert(state.recovering.size === recovering, 'The recovering ones must be the RECOVERING ones');
  assert(state.underReplicated.size === underReplicated, 'The under-replicated ones are others');
}

function isUnderReplicated(state: MutableMetadata, segment: SegmentRecord): boolean {
  if (segment.state === 'DELETED') return false;
  const wanted = state.topics.get(segment.topic)?.replication.replicas ?? 0;
  return state.registeredCount(segment.ensemble) < wanted;
}

function sizeOf<K>(index: ReadonlyMap<K, ReadonlySet<SegmentId>>): number {
  let size = 0;
  for (const ids of index.values()) size += ids.size;
  return size;
}

/** The sections of a metadata snapshot, in the order in which they are written. Table: docs/metadata-format.md. */
import { assertDefined } from '../../../base/assert.ts';
import { ByteWriter } from '../../../base/bytes.ts';
import type { ByteReader } from '../../../base/bytes.ts';
import { logIndex } from '../../../base/units.ts';
import type { SegmentId } from '../../../base/units.ts';
import type { MutableMetadata, MutablePartition, MutableTopic } from '../mutableMetadata.ts';
import type {
  DiskRecord,
  GroupPositions,
  ReplicaPlace,
  SegmentRecord,
  SegmentState,
} from '../types.ts';
import {
  DIGEST_BYTES,
  readConfig,
  readHex,
  readIdentifier,
  readLossy,
  readNode,
  readNodeId,
  readOffset,
  readReplication,
  readSegmentId,
  writeConfig,
  writeHex,
  writeIdentifier,
  writeLossy,
  writeNode,
  writeReplication,
} from './fields.ts';

const STATE_NUMBERS = { OPEN: 1, RECOVERING: 2, SEALED: 3, DELETED: 4 } as const satisfies Record<
  SegmentState,
  number
>;

const STATES_BY_NUMBER: ReadonlyMap<number, SegmentState> = new Map(
  (Object.keys(STATE_NUMBERS) as SegmentState[]).map((state) => [STATE_NUMBERS[state], state]),
);

/** Bytes of one slice, unless a single record is larger: a millisecond or two of work. */
export const SLICE_BYTES = 32 * 1024;

/**
 * All sections of the state as it is at the call, one slice after the other, each encoded when it is asked for. The
 * state may change meanwhile: records never do, and what is changed in place is copied here.
 */
export function sectionSlices(state: MutableMetadata): Generator<Uint8Array> {
  const head = new ByteWriter(4096);
  writeCluster(head, state);
  const disks = sortedBy([...state.disks.values()], (disk) => disk.diskId);
  head.list(disks, writeDisk);
  head.list(
    sortedBy([...state.nodes.values()], (node) => node.nodeId),
    writeNode,
  );
  const positions = new Map(disks.map((disk, position) => [disk.diskId, position]));
  return slicesOf(head.finish(), positions, {
    topics: sortedBy([...state.topics.values()].map(copyOfTopic), (topic) => topic.name),
    segments: sortedBy([...state.segments.values()], (segment) => segment.segmentId),
    groups: sortedBy([...state.groups].map(copyOfGroup), ([name]) => name),
  });
}

interface Lists {
  readonly topics: readonly MutableTopic[];
  readonly segments: readonly SegmentRecord[];
  readonly groups: readonly Group[];
}

function* slicesOf(
  head: Uint8Array,
  positions: Positions,
  { topics, segments, groups }: Lists,
): Generator<Uint8Array> {
  yield head;
  yield* listSlices(topics, writeTopic);
  yield* listSlices(segments, (writer, segment) => writeSegment(writer, segment, positions));
  yield* listSlices(groups, writeGroup);
}

/** As ByteWriter.list. */
function* listSlices<T>(
  items: readonly T[],
  writeItem: (writer: ByteWriter, item: T) => void,
): Generator<Uint8Array> {
  const writer = new ByteWriter(2 * SLICE_BYTES).u32(items.length);
  for (const item of items) {
    writeItem(writer, item);
    if (writer.length < SLICE_BYTES) continue;
    yield writer.finish();
    writer.clear();
  }
  yield writer.finish();
}

function copyOfTopic(topic: MutableTopic): MutableTopic {
  const partitions = topic.partitions.map((partition) => ({
    logStartOffset: partition.logStartOffset,
    segments: partition.segments.slice(),
  }));
  return { ...topic, partitions };
}

function copyOfGroup([name, topics]: Group): Group {
  return [name, new Map([...topics].map(([topic, positions]) => [topic, new Map(positions)]))];
}

/** Reads all sections into an empty state. */
export function readSections(reader: ByteReader, state: MutableMetadata): void {
  const nextSegmentId = readCluster(reader, state);
  const places: ReplicaPlace[] = [];
  for (const disk of reader.list(readDisk)) {
    state.putDisk(disk);
    places.push({ nodeId: disk.nodeId, diskId: disk.diskId });
  }
  for (const node of reader.list(readNode)) state.putNode(node);
  for (const topic of reader.list(readTopic)) state.putTopic(topic);
  // Not reader.list(): that would hold every segment twice for a moment.
  const count = reader.u32();
  for (let i = 0; i < count; i += 1) state.putSegment(readSegment(reader, places, state));
  state.nextSegmentId = nextSegmentId;
  reader.list((r) => readGroup(r, state));
}

/** Orders by code unit or number, which is the same on every machine. */
function sortedBy<T>(items: T[], keyOf: (item: T) => string | number): T[] {
  return items.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function writeCluster(writer: ByteWriter, state: MutableMetadata): void {
  writer.u64(state.lastApplied);
  writer.bool(state.isBootstrapped);
  if (state.isBootstrapped) writeIdentifier(writer, state.clusterId);
  writeConfig(writer, state.config);
  writer.u64(state.nextSegmentId).u64(state.nextTopicId).u64(state.nextProducerId);
  writer.u64(state.positionsRemovedAt);
}

function readCluster(reader: ByteReader, state: MutableMetadata): SegmentId {
  state.lastApplied = logIndex(reader.u64());
  const clusterId = reader.bool() ? readIdentifier(reader) : '';
  state.setCluster(clusterId, readConfig(reader));
  const nextSegmentId = readSegmentId(reader);
  state.nextTopicId = reader.u64();
  state.nextProducerId = reader.u64();
  state.positionsRemovedAt = logIndex(reader.u64());
  return nextSegmentId;
}

function writeDisk(writer: ByteWriter, disk: DiskRecord): void {
  writeIdentifier(writer, disk.diskId);
  writer.u32(disk.nodeId).u64(disk.bootEpoch);
  writeIdentifier(writer, disk.bootNonce);
  writer.bool(disk.state === 'LOST');
}

function readDisk(reader: ByteReader): DiskRecord {
  return {
    diskId: readIdentifier(reader),
    nodeId: readNodeId(reader),
    bootEpoch: reader.u64(),
    bootNonce: readIdentifier(reader),
    state: reader.bool() ? 'LOST' : 'REGISTERED',
  };
}

function writeTopic(writer: ByteWriter, topic: MutableTopic): void {
  writer.text(topic.name).u64(topic.topicId);
  writeReplication(writer, topic.replication);
  writer.u64(topic.createdAtMs).list(topic.partitions, writePartition);
}

function readTopic(reader: ByteReader): MutableTopic {
  return {
    name: reader.text(),
    topicId: reader.u64(),
    replication: readReplication(reader),
    createdAtMs: reader.u64(),
    partitions: reader.list(readPartition),
  };
}

function writePartition(writer: ByteWriter, partition: MutablePartition): void {
  writer.u64(partition.logStartOffset).list(partition.segments, (w, id) => w.u64(id));
}

function readPartition(reader: ByteReader): MutablePartition {
  return { logStartOffset: readOffset(reader), segments: reader.list(readSegmentId) };
}

type Positions = ReadonlyMap<string, number>;

function writeKnownPlace(writer: ByteWriter, place: ReplicaPlace, positions: Positions): void {
  writer.u16(assertDefined(positions.get(place.diskId), `Disk ${place.diskId} must be known`));
}

function readKnownPlace(reader: ByteReader, places: readonly ReplicaPlace[]): ReplicaPlace {
  const position = reader.u16();
  return places[position] ?? reader.fail(`a place names disk ${position} of ${places.length}`);
}

function writeSegment(writer: ByteWriter, segment: SegmentRecord, positions: Positions): void {
  const writePlace = (w: ByteWriter, place: ReplicaPlace): void => {
    writeKnownPlace(w, place, positions);
  };
  writer.u64(segment.segmentId).text(segment.topic).u64(segment.topicId).u32(segment.partition);
  writer.u8(STATE_NUMBERS[segment.state]).u64(segment.baseOffset);
  writer.optional(segment.endOffset ?? undefined, (w, end) => w.u64(end));
  writer.optional(segment.digest ?? undefined, (w, hex) => {
    writeHex(w, hex, DIGEST_BYTES);
  });
  writer.u64(segment.epoch);
  writeIdentifier(writer, segment.token);
  writePlace(writer, segment.leader);
  writer.u64(segment.leaderBootEpoch).list(segment.ensemble, writePlace);
  writer.list(segment.partialPlaces, writePlace).list(segment.formerPlaces, writePlace);
  writer.u8(segment.ackQuorum).bool(segment.isUnderReplicated).u64(segment.openedAtMs);
  writer.optional(segment.sealedAtMs ?? undefined, (w, ms) => w.u64(ms));
  writeLossy(writer, segment.lossy);
}

function readSegment(
  reader: ByteReader,
  places: readonly ReplicaPlace[],
  state: MutableMetadata,
): SegmentRecord {
  const readPlace = (r: ByteReader): ReplicaPlace => readKnownPlace(r, places);
  const id = readSegmentId(reader);
  if (state.segments.has(id)) reader.fail(`segment ${id} is there twice`);
  const name = reader.text();
  return {
    segmentId: id,
    // The topic's own string where there is one: ten thousand segments then share it.
    topic: state.topics.get(name)?.name ?? name,
    topicId: reader.u64(),
    partition: reader.u32(),
    state: readSegmentState(reader),
    baseOffset: readOffset(reader),
    endOffset: reader.optional(readOffset) ?? null,
    digest: reader.optional((r) => readHex(r, DIGEST_BYTES)) ?? null,
    epoch: reader.u64(),
    token: readIdentifier(reader),
    leader: readPlace(reader),
    leaderBootEpoch: reader.u64(),
    ensemble: reader.list(readPlace),
    partialPlaces: reader.list(readPlace),
    formerPlaces: reader.list(readPlace),
    ackQuorum: reader.u8(),
    isUnderReplicated: reader.bool(),
    openedAtMs: reader.u64(),
    sealedAtMs: reader.optional((r) => r.u64()) ?? null,
    lossy: readLossy(reader),
  };
}

function readSegmentState(reader: ByteReader): SegmentState {
  const number = reader.u8();
  return STATES_BY_NUMBER.get(number) ?? reader.fail(`a segment has state ${number}`);
}

type Group = readonly [string, GroupPositions];

function writeGroup(writer: ByteWriter, [name, topics]: Group): void {
  writer.text(name);
  writer.list(
    sortedBy([...topics], ([topic]) => topic),
    (topicWriter, [topic, positions]) => {
      topicWriter.text(topic);
      const sorted = sortedBy([...positions], ([partition]) => partition);
      topicWriter.list(sorted, (w, [partition, { offset, changedAt }]) => {
        w.u32(partition).u64(offset).u64(changedAt);
      });
    },
  );
}

function readGroup(reader: ByteReader, state: MutableMetadata): void {
  const group = reader.text();
  reader.list((topicReader) => {
    const name = topicReader.text();
    const topic = state.topics.get(name)?.name ?? name;
    const positions = state.positionsFor(group, topic);
    topicReader.list((r) => {
      const partition = r.u32();
      positions.set(partition, { offset: readOffset(r), changedAt: logIndex(r.u64()) });
    });
  });
}

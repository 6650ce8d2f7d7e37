/** Questions to the metadata. Each is O(its answer), or O(log n); none looks through all segments. */
import { assertDefined } from '../../base/assert.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import { MAX_SEGMENTS, MAX_SEGMENTS_PER_PARTITION } from './limits.ts';
import type { IndexedMetadata } from './mutableMetadata.ts';
import type {
  DiskRecord,
  Metadata,
  NodeRecord,
  PartitionRecord,
  ReplicaPlace,
  Replication,
  SegmentRecord,
} from './types.ts';

/** Where the segment after a sealed one begins: its end, or the end of the hole after it (DESIGN S4). */
export function nextBaseOffset(segment: SegmentRecord): Offset {
  return assertDefined(
    segment.lossy?.to ?? segment.endOffset,
    `Segment ${segment.segmentId} must be sealed to have a successor`,
  );
}

/** A topic's partition, or undefined when either does not exist. */
export function partitionRecord(
  metadata: Metadata,
  topic: string,
  partition: number,
): PartitionRecord | undefined {
  return metadata.topics.get(topic)?.partitions[partition];
}

/** The segment that is not sealed: OPEN, or RECOVERING while its leader is being replaced. */
export function unsealedSegment(
  metadata: Metadata,
  topic: string,
  partition: number,
): SegmentRecord | undefined {
  const id = partitionRecord(metadata, topic, partition)?.segments.at(-1);
  return id === undefined ? undefined : metadata.segments.get(id);
}

/** The first position in `0..count` for which `isAfter` holds, or `count`; it must hold from some position on. */
function firstPosition(count: number, isAfter: (position: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAfter(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function segmentAt(metadata: Metadata, ids: readonly SegmentId[], at: number): SegmentRecord {
  const id = assertDefined(ids[at], 'A position must be within its partition');
  return assertDefined(metadata.segments.get(id), `Segment ${id} must be there`);
}

/**
 * The segment in which an offset is or will be: of segments that begin at the same offset (empty ones do) the
 * last. In a hole (DESIGN S4) it is the segment before it; the caller compares with `endOffset`.
 * @returns undefined below the partition's first segment, or when the partition does not exist.
 */
export function segmentContaining(
  metadata: Metadata,
  at: { readonly topic: string; readonly partition: number },
  offset: Offset,
): SegmentRecord | undefined {
  const ids = partitionRecord(metadata, at.topic, at.partition)?.segments ?? [];
  const after = firstPosition(
    ids.length,
    (position) => segmentAt(metadata, ids, position).baseOffset > offset,
  );
  return after === 0 ? undefined : segmentAt(metadata, ids, after - 1);
}

/** Whether a partition may get another segment; without, its open one grows on. */
export function hasRoomForSegment(metadata: Metadata, topic: string, partition: number): boolean {
  const count = partitionRecord(metadata, topic, partition)?.segments.length ?? 0;
  return metadata.segments.size < MAX_SEGMENTS && count < MAX_SEGMENTS_PER_PARTITION;
}

/** The segment that follows in the partition, or undefined for the last one and for DELETED ones. */
export function successorOf(metadata: Metadata, segment: SegmentRecord): SegmentRecord | undefined {
  if (segment.state === 'DELETED') return undefined;
  const ids = partitionRecord(metadata, segment.topic, segment.partition)?.segments ?? [];
  const at = firstPosition(ids.length, (position) => (ids[position] ?? 0) > segment.segmentId);
  return at === ids.length ? undefined : segmentAt(metadata, ids, at);
}

/**
 * The position of the newest sealed segment that has records, and so holds a snapshot of the producers' state
 * (ADR 0111); 0 when there is none.
 * @param ids - The segments of one partition.
 */
export function newestSnapshotAt(metadata: Metadata, ids: readonly SegmentId[]): number {
  for (let at = ids.length - 1; at > 0; at -= 1) {
    const { baseOffset, endOffset } = segmentAt(metadata, ids, at);
    if (endOffset !== null && endOffset > baseOffset) return at;
  }
  return 0;
}

function records(
  metadata: Metadata,
  ids: ReadonlySet<SegmentId> | undefined,
): readonly SegmentRecord[] {
  const sorted = [...(ids ?? [])].sort((a, b) => a - b);
  return sorted.map((id) =>
    assertDefined(metadata.segments.get(id), `Segment ${id} must be there`),
  );
}

/** The segments that a disk holds data of, may hold, or has to delete; by id. */
export function segmentsOnDisk(
  metadata: IndexedMetadata,
  diskId: string,
): readonly SegmentRecord[] {
  return records(metadata, metadata.segmentsByDisk.get(diskId));
}

/** The sealed segments of which a disk is a replica; by id. */
export function sealedSegmentsOn(
  metadata: IndexedMetadata,
  diskId: string,
): readonly SegmentRecord[] {
  return segmentsOnDisk(metadata, diskId).filter(
    (segment) => segment.state === 'SEALED' && isMember(segment, diskId),
  );
}

/** The segments, not sealed, whose ensemble has a disk; by id. */
export function unsealedSegmentsOn(
  metadata: IndexedMetadata,
  diskId: string,
): readonly SegmentRecord[] {
  return segmentsOnDisk(metadata, diskId).filter(
    (segment) => isUnsealed(segment) && isMember(segment, diskId),
  );
}

/** The segments of which a disk has to delete its copy and then propose ConfirmDeleted; by id. */
export function segmentsToDelete(
  metadata: IndexedMetadata,
  diskId: string,
): readonly SegmentRecord[] {
  return records(metadata, metadata.formerByDisk.get(diskId));
}

/** The OPEN and RECOVERING segments that a node leads, or led before their recovery; by id. */
export function segmentsLedBy(metadata: IndexedMetadata, nodeId: NodeId): readonly SegmentRecord[] {
  return records(metadata, metadata.unsealedByLeader.get(nodeId));
}

/** Segments whose recovery has begun and not ended; by id. */
export function recoveringSegments(metadata: IndexedMetadata): readonly SegmentRecord[] {
  return records(metadata, metadata.recovering);
}

/** Segments with fewer members on registered disks than their topic wants; by id. */
export function underReplicatedSegments(metadata: IndexedMetadata): readonly SegmentRecord[] {
  return records(metadata, metadata.underReplicated);
}

/** The segment that was opened with a token, in any state: whether a plan came to be. */
export function segmentWithToken(
  metadata: IndexedMetadata,
  token: string,
): SegmentRecord | undefined {
  const id = metadata.segmentByToken.get(token);
  return id === undefined ? undefined : metadata.segments.get(id);
}

/** Whether a segment is OPEN or RECOVERING. */
export function isUnsealed(segment: SegmentRecord): boolean {
  return segment.state === 'OPEN' || segment.state === 'RECOVERING';
}

/** Whether a disk is in the ensemble, or in the replica set once sealed. */
export function isMember(segment: SegmentRecord, diskId: string): boolean {
  return segment.ensemble.some((place) => place.diskId === diskId);
}

/** Whether a process is the leader of an OPEN segment: its disk, and this very boot of it (DESIGN W1). */
export function isLeader(
  segment: SegmentRecord,
  self: { readonly diskId: string; readonly bootEpoch: number },
): boolean {
  return (
    segment.state === 'OPEN' &&
    segment.leader.diskId === self.diskId &&
    segment.leaderBootEpoch === self.bootEpoch
  );
}

/** A place's peer address; null when its disk is lost, or another one is in its node now. */
export function registeredAddress(
  { nodes, disks }: Metadata,
  { nodeId, diskId }: ReplicaPlace,
): string | null {
  const node = nodes.get(nodeId);
  if (node?.diskId !== diskId || disks.get(diskId)?.state !== 'REGISTERED') return null;
  return node.peerAddress;
}

/** A node's disk, unless it is lost and not replaced yet. */
export function registeredDisk(metadata: Metadata, node: NodeRecord): DiskRecord | undefined {
  const disk = metadata.disks.get(node.diskId);
  return disk?.state === 'REGISTERED' ? disk : undefined;
}

/** The nodes' disks that are not lost, as places, by node id: where segments can be put. */
export function registeredPlaces(metadata: Metadata): readonly ReplicaPlace[] {
  const places: ReplicaPlace[] = [];
  for (const node of metadata.nodes.values()) {
    if (registeredDisk(metadata, node) !== undefined) {
      places.push({ nodeId: node.nodeId, diskId: node.diskId });
    }
  }
  return places.sort((a, b) => a.nodeId - b.nodeId);
}

/** What a topic gets that does not ask: 3/2 where the cluster has three nodes or more, 1/1 below. */
export function defaultReplication(metadata: Metadata): Replication {
  return metadata.nodes.size >= 3 ? { replicas: 3, ackQuorum: 2 } : { replicas: 1, ackQuorum: 1 };
}

/** How many metadata voters there should be now: the wanted number, or the largest odd one that nodes allow. */
export function votersWanted(metadata: Metadata): number {
  const nodes = registeredPlaces(metadata).length;
  const odd = nodes % 2 === 0 ? nodes - 1 : nodes;
  return Math.max(1, Math.min(metadata.config.metadataVoters, odd));
}

/** A group's committed position, or undefined when there is none. */
export function committedPosition(
  metadata: Metadata,
  group: string,
  at: { readonly topic: string; readonly partition: number },
): Offset | undefined {
  return metadata.groups.get(group)?.get(at.topic)?.get(at.partition)?.offset;
}

/**
 * The metadata as `apply` changes it, with the indexes that keep look-ups from scanning all segments.
 *
 * Segment, node and disk records are immutable and replaced as a whole; a partition's segment list is changed in
 * place, since it may be long. Every change goes through a method here, which keeps the indexes and notes what
 * was touched. Indexes are derived: they are neither in snapshots nor in the digest of the state.
 * Invariants are in invariants.ts.
 */
import { assert } from '../../base/assert.ts';
import { segmentId, logIndex } from '../../base/units.ts';
import type { LogIndex, NodeId, Offset, SegmentId } from '../../base/units.ts';
import { assertTransition } from './transitions.ts';
import { ChangeRecorder } from './change.ts';
import type { MetadataChange } from './change.ts';
import type {
  ClusterConfig,
  DiskRecord,
  GroupPosition,
  Metadata,
  NodeRecord,
  PartitionRecord,
  ReplicaPlace,
  SegmentRecord,
  TopicRecord,
} from './types.ts';

export interface MutablePartition extends PartitionRecord {
  logStartOffset: Offset;
  readonly segments: SegmentId[];
}

export interface MutableTopic extends TopicRecord {
  readonly partitions: readonly MutablePartition[];
}

/** The metadata with its indexes, read-only. What `queries.ts` takes. */
export interface IndexedMetadata extends Metadata {
  /** Every segment that a disk holds data of, or may hold, or has to delete. */
  readonly segmentsByDisk: ReadonlyMap<string, ReadonlySet<SegmentId>>;
  /** Segments of which a disk has to delete its copy and confirm it. */
  readonly formerByDisk: ReadonlyMap<string, ReadonlySet<SegmentId>>;
  /** OPEN and RECOVERING segments by their leader's node. */
  readonly unsealedByLeader: ReadonlyMap<NodeId, ReadonlySet<SegmentId>>;
  readonly segmentByToken: ReadonlyMap<string, SegmentId>;
  readonly recovering: ReadonlySet<SegmentId>;
  /** Segments, not DELETED, with fewer members on REGISTERED disks than their topic's R. */
  readonly underReplicated: ReadonlySet<SegmentId>;
}

const UNSET_CONFIG: ClusterConfig = {
  metadataVoters: 1,
  maxSegmentEntries: 1,
  maxSegmentBytes: 1,
  maxSegmentAgeMs: 1,
};

/** The places that hold, or may hold, bytes of a segment. */
export function placesOf(segment: SegmentRecord): readonly ReplicaPlace[] {
  if (segment.state === 'DELETED') return segment.formerPlaces;
  if (segment.partialPlaces.length === 0 && segment.formerPlaces.length === 0) {
    return segment.ensemble;
  }
  return [...segment.ensemble, ...segment.partialPlaces, ...segment.formerPlaces];
}

function addTo<K>(index: Map<K, Set<SegmentId>>, key: K, id: SegmentId): void {
  const ids = index.get(key);
  if (ids === undefined) index.set(key, new Set([id]));
  else ids.add(id);
}

function removeFrom<K>(index: Map<K, Set<SegmentId>>, key: K, id: SegmentId): void {
  const ids = index.get(key);
  if (ids?.delete(id) === true && ids.size === 0) index.delete(key);
}

function isUnsealed(segment: SegmentRecord): boolean {
  return segment.state === 'OPEN' || segment.state === 'RECOVERING';
}

export class MutableMetadata implements IndexedMetadata {
  clusterId = '';
  config = UNSET_CONFIG;
  lastApplied = logIndex(0);
  nodes = new Map<NodeId, NodeRecord>();
  disks = new Map<string, DiskRecord>();
  topics = new Map<string, MutableTopic>();
  segments = new Map<SegmentId, SegmentRecord>();
  groups = new Map<string, Map<string, Map<number, GroupPosition>>>();
  positionsRemovedAt = logIndex(0);
  nextSegmentId = segmentId(1);
  nextTopicId = 1;
  nextProducerId = 1;

  segmentsByDisk = new Map<string, Set<SegmentId>>();
  formerByDisk = new Map<string, Set<SegmentId>>();
  unsealedByLeader = new Map<NodeId, Set<SegmentId>>();
  segmentByToken = new Map<string, SegmentId>();
  recovering = new Set<SegmentId>();
  underReplicated = new Set<SegmentId>();

  /** One object for each disk's place: segments share it. */
  #places = new Map<string, ReplicaPlace>();
  #recorder = new ChangeRecorder();

  get isBootstrapped(): boolean {
    return this.clusterId !== '';
  }

  setCluster(clusterId: string, config: ClusterConfig): void {
    this.clusterId = clusterId;
    this.config = config;
    this.#recorder.isConfigChanged = true;
  }

  putNode(node: NodeRecord): void {
    this.nodes.set(node.nodeId, node);
    this.#recorder.nodes.add(node.nodeId);
  }

  removeNode(id: NodeId): void {
    this.nodes.delete(id);
    this.#recorder.nodes.add(id);
  }

  putDisk(disk: DiskRecord): void {
    this.disks.set(disk.diskId, disk);
    this.#recorder.disks.add(disk.diskId);
    this.#recorder.nodes.add(disk.nodeId);
  }

  isRegistered(place: ReplicaPlace): boolean {
    const disk = this.disks.get(place.diskId);
    return disk?.state === 'REGISTERED' && disk.nodeId === place.nodeId;
  }

  /** How many of these places are on disks that are not LOST. */
  registeredCount(places: readonly ReplicaPlace[]): number {
    let count = 0;
    for (const place of places) if (this.isRegistered(place)) count += 1;
    return count;
  }

  putTopic(topic: MutableTopic): void {
    this.topics.set(topic.name, topic);
    this.#recorder.topics.add(topic.name);
  }

  removeTopic(name: string): void {
    this.topics.delete(name);
    this.#recorder.topics.add(name);
  }

  touchTopic(name: string): void {
    this.#recorder.topics.add(name);
  }

  /** The partition of a segment that is not DELETED. */
  partitionOf(segment: SegmentRecord): MutablePartition {
    const partition = this.topics.get(segment.topic)?.partitions[segment.partition];
    assert(partition !== undefined, `Segment ${segment.segmentId} must have a partition`);
    return partition;
  }

  /** Gives the id of the next segment, once. */
  takeSegmentId(): SegmentId {
    const id = this.nextSegmentId;
    this.nextSegmentId = segmentId(id + 1);
    return id;
  }

  /** Adds a segment or replaces its record. Its topic must be there unless it is DELETED. */
  putSegment(segment: SegmentRecord): void {
    const before = this.segments.get(segment.segmentId);
    if (before !== undefined) {
      assertTransition(before, segment);
      this.#unindex(before);
    }
    const record: SegmentRecord = {
      ...segment,
      leader: this.#shared(segment.leader),
      ensemble: segment.ensemble.map((place) => this.#shared(place)),
    };
    this.segments.set(record.segmentId, record);
    this.#index(record);
    this.#recorder.segments.add(record.segmentId);
  }

  removeSegment(id: SegmentId): void {
    const segment = this.segments.get(id);
    assert(segment !== undefined, `Segment ${id} must be there to be removed`);
    this.#unindex(segment);
    this.segments.delete(id);
    this.#recorder.segments.add(id);
  }

  /** A group's positions of one topic, created when they are not there. */
  positionsFor(group: string, topic: string): Map<number, GroupPosition> {
    let byTopic = this.groups.get(group);
    if (byTopic === undefined) {
      byTopic = new Map();
      this.groups.set(group, byTopic);
    }
    let positions = byTopic.get(topic);
    if (positions === undefined) {
      positions = new Map();
      byTopic.set(topic, positions);
    }
    this.#recorder.groups.add(group);
    return positions;
  }

  /** Forgets a group's positions of one topic. A group without positions is forgotten. */
  removePositions(group: string, topic: string): void {
    const byTopic = this.groups.get(group);
    if (byTopic?.delete(topic) !== true) return;
    if (byTopic.size === 0) this.groups.delete(group);
    this.positionsRemovedAt = this.lastApplied;
    this.#recorder.groups.add(group);
  }

  removeGroup(group: string): void {
    this.groups.delete(group);
    this.positionsRemovedAt = this.lastApplied;
    this.#recorder.groups.add(group);
  }

  /** Begins to note what is touched; `apply` does so before each command. */
  beginChange(): void {
    this.#recorder = new ChangeRecorder();
  }

  /** The segments that were touched since `beginChange`. */
  get touchedSegments(): ReadonlySet<SegmentId> {
    return this.#recorder.segments;
  }

  /** What was touched since `beginChange`. */
  changeAt(index: LogIndex, isRestored = false): MetadataChange {
    return this.#recorder.finish(index, isRestored);
  }

  /** Becomes `other`, which must not be used after this: whoever holds this object sees the new state. */
  adopt(other: MutableMetadata): void {
    Object.assign(this, other);
    this.#places = other.#places;
    this.#recorder = new ChangeRecorder();
  }

  #shared(place: ReplicaPlace): ReplicaPlace {
    const known = this.#places.get(place.diskId);
    if (known?.nodeId === place.nodeId) return known;
    this.#places.set(place.diskId, place);
    return place;
  }

  #index(segment: SegmentRecord): void {
    const id = segment.segmentId;
    for (const place of placesOf(segment)) addTo(this.segmentsByDisk, place.diskId, id);
    for (const place of segment.formerPlaces) addTo(this.formerByDisk, place.diskId, id);
    this.segmentByToken.set(segment.token, id);
    if (isUnsealed(segment)) addTo(this.unsealedByLeader, segment.leader.nodeId, id);
    if (segment.state === 'RECOVERING') this.recovering.add(id);
    if (this.#isUnderReplicated(segment)) this.underReplicated.add(id);
  }

  #unindex(segment: SegmentRecord): void {
    const id = segment.segmentId;
    for (const place of placesOf(segment)) removeFrom(this.segmentsByDisk, place.diskId, id);
    for (const place of segment.formerPlaces) removeFrom(this.formerByDisk, place.diskId, id);
    this.segmentByToken.delete(segment.token);
    if (isUnsealed(segment)) removeFrom(this.unsealedByLeader, segment.leader.nodeId, id);
    this.recovering.delete(id);
    this.underReplicated.delete(id);
  }

  #isUnderReplicated(segment: SegmentRecord): boolean {
    if (segment.state === 'DELETED') return false;
    const topic = this.topics.get(segment.topic);
    assert(
      topic !== undefined,
      `Segment ${segment.segmentId} must have its topic ${segment.topic}`,
    );
    return this.registeredCount(segment.ensemble) < topic.replication.replicas;
  }
}

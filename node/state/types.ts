/**
 * The metadata: everything that Raft replicates. Plain data; `apply` is the only code that changes it.
 * Hex identifiers: clusterId, diskId and token are 32 digits, a digest 16.
 */
import type { LogIndex, NodeId, Offset, SegmentId } from '../../base/units.ts';

/** A copy's home: never a node alone (DESIGN I1). */
export interface ReplicaPlace {
  readonly nodeId: NodeId;
  readonly diskId: string;
}

export interface NodeRecord {
  readonly nodeId: NodeId;
  /** The disk that the node runs on now. */
  readonly diskId: string;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly httpAddress: string;
  /** A failure domain, '' when none was given. */
  readonly zone: string;
  /** The software version, for people. */
  readonly version: string;
}

export type DiskState = 'REGISTERED' | 'LOST';

export interface DiskRecord {
  readonly diskId: string;
  readonly nodeId: NodeId;
  /** The boot that was registered last (DESIGN I2): its epoch, and its nonce, 32 hex digits. */
  readonly bootEpoch: number;
  readonly bootNonce: string;
  readonly state: DiskState;
}

/** R and W (DESIGN: 1/1, 3/2 or 5/3). */
export interface Replication {
  readonly replicas: number;
  readonly ackQuorum: number;
}

export interface TopicRecord {
  readonly name: string;
  /** Never reused. */
  readonly topicId: number;
  readonly replication: Replication;
  readonly createdAtMs: number;
  readonly partitions: readonly PartitionRecord[];
}

export interface PartitionRecord {
  /** The oldest offset that is kept. */
  readonly logStartOffset: Offset;
  /** The partition's segments in offset order; the last one is the only one that is not sealed. */
  readonly segments: readonly SegmentId[];
}

/** Acknowledged records that an unclean seal gave up (DESIGN S4): a hole in the partition's offsets. */
export interface LossyRange {
  /** The segment's end. */
  readonly from: Offset;
  /**
   * Exclusive, above every offset that may have been handed out. The successor opens here and not at the end, so
   * that no offset ever names a second record.
   */
  readonly to: Offset;
}

export type SegmentState = 'OPEN' | 'RECOVERING' | 'SEALED' | 'DELETED';

export interface SegmentRecord {
  readonly segmentId: SegmentId;
  readonly topic: string;
  /** Tells a deleted topic's segments from those of a new topic with the same name. */
  readonly topicId: number;
  readonly partition: number;
  readonly state: SegmentState;
  readonly baseOffset: Offset;
  /** Set when sealed: the offset after the last record. */
  readonly endOffset: Offset | null;
  /** Set when sealed: the digest up to `endOffset`. */
  readonly digest: string | null;
  /** 0 while open; the highest recovery epoch after that. */
  readonly epoch: number;
  /** Leader session token. */
  readonly token: string;
  readonly leader: ReplicaPlace;
  /** The boot epoch of the leader's disk: a leader that restarted is not the leader any more (DESIGN W1). */
  readonly leaderBootEpoch: number;
  /** Open: the ensemble, which never changes. Sealed: where the copies are. */
  readonly ensemble: readonly ReplicaPlace[];
  /**
   * Places that may hold an incomplete copy: members that a recovery's seal did not name, and targets of a copy
   * that is under way (PlanCopies). Nothing is deleted there; not to be read from.
   */
  readonly partialPlaces: readonly ReplicaPlace[];
  /**
   * The explicit tombstone of single copies (DESIGN S3): these places delete what they hold of the segment and
   * say so (ConfirmDeleted). Of a DELETED segment: every place that has not confirmed yet.
   */
  readonly formerPlaces: readonly ReplicaPlace[];
  readonly ackQuorum: number;
  /** Fewer members than the topic's R. */
  readonly isUnderReplicated: boolean;
  readonly openedAtMs: number;
  readonly sealedAtMs: number | null;
  readonly lossy: LossyRange | null;
}

/** Where a consumer group goes on reading in one partition. */
export interface GroupPosition {
  /** The next offset to read. */
  readonly offset: Offset;
  /** The index of the command that set it last. */
  readonly changedAt: LogIndex;
}

/** A consumer group's committed positions: topic -> partition -> position. */
export type GroupPositions = ReadonlyMap<string, ReadonlyMap<number, GroupPosition>>;

/** Settings of the whole cluster that the metadata holds. */
export interface ClusterConfig {
  /** Wanted number of metadata voters: 1, 3, 5 or 7. */
  readonly metadataVoters: number;
  readonly maxSegmentEntries: number;
  readonly maxSegmentBytes: number;
  readonly maxSegmentAgeMs: number;
}

/** The whole state, read-only for everyone but `apply`. */
export interface Metadata {
  readonly clusterId: string;
  readonly config: ClusterConfig;
  readonly lastApplied: LogIndex;
  readonly nodes: ReadonlyMap<NodeId, NodeRecord>;
  readonly disks: ReadonlyMap<string, DiskRecord>;
  readonly topics: ReadonlyMap<string, TopicRecord>;
  /** DELETED ones stay until every replica place has confirmed that it holds nothing any more. */
  readonly segments: ReadonlyMap<SegmentId, SegmentRecord>;
  readonly groups: ReadonlyMap<string, GroupPositions>;
  /** The index of the last command that removed positions: one that is not there counts as changed then. */
  readonly positionsRemovedAt: LogIndex;
  readonly nextSegmentId: SegmentId;
  readonly nextTopicId: number;
  readonly nextProducerId: number;
}

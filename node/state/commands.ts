/**
 * The commands that Raft replicates. Each is decided by its proposer (who may use clocks, randomness and
 * knowledge of who is alive) and checked by `apply` against the state as it is when the command is applied:
 * compare-and-set, never "whatever is there now". A refusal is a result, the same on every node.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { LogIndex, NodeId, Offset, SegmentId } from '../../base/units.ts';
import type { ClusterConfig, LossyRange, NodeRecord, ReplicaPlace, Replication } from './types.ts';

/** Chosen by the controller for a segment that is to be opened; the id is given by `apply`. */
export interface OpenPlan {
  /** Random, never used before. */
  readonly token: string;
  readonly leader: ReplicaPlace;
  readonly leaderBootEpoch: number;
  /** Includes the leader. W <= length <= R, one disk a node, all REGISTERED. */
  readonly ensemble: readonly ReplicaPlace[];
}

/** The state that a seal expects to find. */
export type SealExpectation =
  /** The leader's own close: still OPEN with its token. */
  | { readonly state: 'OPEN'; readonly token: string }
  /** A recovery's end: still RECOVERING with its epoch. */
  | { readonly state: 'RECOVERING'; readonly epoch: number };

export type Command =
  | { readonly type: 'Bootstrap'; readonly clusterId: string; readonly config: ClusterConfig }
  /**
   * A node's start. The boot must be the one after the registered one of the same disk, or that one itself again:
   * the same epoch and nonce (I2, ADR 0101). A disk that is not known is accepted only when the node has no other
   * disk, or its other disks are LOST (I3).
   */
  | {
      readonly type: 'RegisterNode';
      readonly node: NodeRecord;
      readonly bootEpoch: number;
      /** 32 hex digits. */
      readonly bootNonce: string;
    }
  | { readonly type: 'MarkDiskLost'; readonly diskId: string }
  /** Forgets a node that holds nothing any more; its disks become LOST, so they never come back. */
  | { readonly type: 'RemoveNode'; readonly nodeId: NodeId }
  | {
      readonly type: 'CreateTopic';
      readonly name: string;
      readonly replication: Replication;
      /** One plan for each partition. */
      readonly plans: readonly OpenPlan[];
      readonly nowMs: number;
    }
  /** The topic that was meant, not a new one with its name: a proposal may be applied late. */
  | { readonly type: 'DeleteTopic'; readonly name: string; readonly topicId: number }
  /** R1: OPEN | RECOVERING(e - 1 or lower) -> RECOVERING(e). */
  | { readonly type: 'BeginRecovery'; readonly segmentId: SegmentId; readonly epoch: number }
  /** Close (leader) or R6: seals and opens the successor in one command. */
  | {
      readonly type: 'SealAndOpen';
      readonly segmentId: SegmentId;
      readonly expected: SealExpectation;
      readonly endOffset: Offset;
      readonly digest: string;
      /** Where the copies are: the ensemble at a close; W or more places after a recovery (R5). */
      readonly replicas: readonly ReplicaPlace[];
      /** S4 only, never at a leader's close: the successor opens at `lossy.to`. */
      readonly lossy: LossyRange | null;
      readonly next: OpenPlan;
      readonly nowMs: number;
    }
  /** S2: compare-and-set on the replica set of a sealed segment. */
  | {
      readonly type: 'ReplaceReplicas';
      readonly segmentId: SegmentId;
      readonly expected: readonly ReplicaPlace[];
      readonly replicas: readonly ReplicaPlace[];
    }
  /**
   * Before the first byte is copied to places outside the ensemble (R5, S2): so that a copy that is never
   * finished is found again, and deleted with the segment.
   */
  | {
      readonly type: 'PlanCopies';
      readonly segmentId: SegmentId;
      readonly places: readonly ReplicaPlace[];
    }
  /** Gives partial copies up: their places become former ones, which delete and confirm. */
  | {
      readonly type: 'DropCopies';
      readonly segmentId: SegmentId;
      readonly places: readonly ReplicaPlace[];
    }
  /**
   * Retention: readers see nothing below `logStartOffset` any more. The sealed segments that end at or below it
   * get their tombstones, at once or, those that ADR 0111 still needs, after a later seal.
   */
  | {
      readonly type: 'AdvanceLogStart';
      readonly topic: string;
      /** The topic that was meant, not a new one with its name. */
      readonly topicId: number;
      readonly partition: number;
      readonly logStartOffset: Offset;
    }
  /**
   * A former place holds nothing of these segments any more (durably). The last confirmation of a DELETED
   * segment removes its record.
   */
  | {
      readonly type: 'ConfirmDeleted';
      readonly segmentIds: readonly SegmentId[];
      readonly diskId: string;
    }
  | {
      readonly type: 'CommitPositions';
      readonly commits: readonly PositionsCommit[];
    }
  /** While no position of the group has changed after this index: a proposal may be applied late. */
  | { readonly type: 'DeleteGroup'; readonly group: string; readonly unchangedSince: LogIndex }
  | { readonly type: 'AllocateProducerIds'; readonly count: number }
  | { readonly type: 'SetConfig'; readonly config: ClusterConfig };

/** What one caller commits: all of its positions, or none. */
export interface PositionsCommit {
  readonly group: string;
  /**
   * Compare-and-set when given: none of the positions has changed after this index of the metadata's log, unless it is
   * already what is wanted. So a try that is applied late undoes nothing that was committed since, and a
   * repeat of one that was applied succeeds.
   */
  readonly unchangedSince?: LogIndex;
  readonly positions: readonly CommittedPosition[];
}

export interface CommittedPosition {
  readonly topic: string;
  /** When given: the topic that was meant, not a new one with its name. */
  readonly topicId?: number;
  readonly partition: number;
  readonly offset: Offset;
}

export type CommandType = Command['type'];

/** The command of one type. */
export type CommandOf<T extends CommandType> = Extract<Command, { readonly type: T }>;

/** What a command came to. `value` depends on the command and is described in its handler. */
export type ApplyResult =
  | { readonly ok: true; readonly value: ApplyValue }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

export type ApplyValue =
  | { readonly type: 'None' }
  | { readonly type: 'Topic'; readonly name: string; readonly topicId: number }
  | {
      readonly type: 'Segment';
      readonly segmentId: SegmentId;
      readonly nextSegmentId: SegmentId;
      /** The segment was already sealed at this end; look the successor up, it may not be the proposed one. */
      readonly isRepeat: boolean;
    }
  /** Each commit is decided on its own. `index`: of the command; `refused`: the commits that were. */
  | {
      readonly type: 'Positions';
      readonly index: LogIndex;
      readonly refused: readonly RefusedCommit[];
    }
  | { readonly type: 'ProducerIds'; readonly first: number; readonly count: number }
  | { readonly type: 'Node'; readonly nodeId: NodeId };

/** A commit of a CommitPositions that was refused, by its place in the command. */
export interface RefusedCommit {
  readonly index: number;
  /** The first of its positions that cannot be committed. */
  readonly position: number;
  readonly code: ErrorCode;
}

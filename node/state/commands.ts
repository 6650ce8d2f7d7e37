/**
 * The commands that Raft replicates. Each is decided by its proposer (who may use clocks, randomness and
 * knowledge of who is alive) and checked by `apply` against the state as it is when the command is applied:
 * compare-and-set, never "whatever is there now". A refusal is a result, the same on every node.
 */
import type { ErrorCode } from '../../base/errors.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
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
   * A node's start. `bootEpoch` must be higher than the registered one of the same disk (I2). A disk that is not
   * known is accepted only when the node has no other disk, or its other disks are LOST (I3).
   */
  | { readonly type: 'RegisterNode'; readonly node: NodeRecord; readonly bootEpoch: number }
  | { readonly type: 'MarkDiskLost'; readonly diskId: string }
  | {
      readonly type: 'CreateTopic';
      readonly name: string;
      readonly replication: Replication;
      /** One plan for each partition. */
      readonly plans: readonly OpenPlan[];
      readonly nowMs: number;
    }
  | { readonly type: 'DeleteTopic'; readonly name: string }
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
      /** S4 only. */
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
  /** Retention: tombstones every sealed segment that ends at or below `logStartOffset`. */
  | {
      readonly type: 'AdvanceLogStart';
      readonly topic: string;
      readonly partition: number;
      readonly logStartOffset: Offset;
    }
  /** A place holds nothing of a DELETED segment any more; the last one removes the record. */
  | {
      readonly type: 'ConfirmDeleted';
      readonly segmentIds: readonly SegmentId[];
      readonly diskId: string;
    }
  | {
      readonly type: 'CommitPositions';
      readonly positions: readonly {
        readonly group: string;
        readonly topic: string;
        readonly partition: number;
        readonly offset: Offset;
        /** Compare-and-set when given: the position must still be this one. */
        readonly expected?: Offset;
      }[];
    }
  | { readonly type: 'DeleteGroup'; readonly group: string }
  | { readonly type: 'AllocateProducerIds'; readonly count: number }
  | { readonly type: 'SetConfig'; readonly config: ClusterConfig };

export type CommandType = Command['type'];

/** What a command came to. `value` depends on the command and is described in its handler. */
export type ApplyResult =
  | { readonly ok: true; readonly value: ApplyValue }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string };

export type ApplyValue =
  | { readonly type: 'None' }
  | { readonly type: 'Topic'; readonly name: string; readonly topicId: number }
  | { readonly type: 'Segment'; readonly segmentId: SegmentId; readonly nextSegmentId: SegmentId }
  | { readonly type: 'ProducerIds'; readonly first: number; readonly count: number }
  | { readonly type: 'Node'; readonly nodeId: NodeId };

/**
 * What a node measures, as a parameter: deterministic code calls plain methods, node/io/metrics.ts makes
 * Prometheus metrics of them. What can be asked for when somebody looks (who leads what, how large it is) is
 * asked for then, through `MetricsSource`, and costs nothing in between.
 */
import type { ErrorCode } from '../base/errors.ts';

/** Where a request came in. */
export type Protocol = 'text' | 'binary' | 'peer' | 'http';

/** Events that are counted or timed as they happen. Durations are in milliseconds. */
export interface Metrics {
  /** Records of clients were acknowledged: `bytes` of batches with `records` in them, in one group. */
  appended(records: number, bytes: number): void;
  /** Records were given to clients. */
  read(records: number, bytes: number): void;
  /** A group of appends was made durable on this node's disk. */
  synced(durationMs: number, bytes: number): void;
  /** From accepting a batch as leader to its commit by the ack quorum. */
  committed(durationMs: number): void;
  /** A request was answered. */
  requested(protocol: Protocol, durationMs: number): void;
  /** A request failed with this code. */
  failed(protocol: Protocol, code: ErrorCode): void;
  /** A segment that this node led was closed. */
  rolled(reason: 'entries' | 'bytes' | 'age' | 'member' | 'handover'): void;
  /** This node, as metadata leader, has ended the recovery of a segment. */
  recovered(durationMs: number): void;
  /** A damaged copy on this node was copied anew, or could not be now. */
  repaired(outcome: 'done' | 'failed'): void;
  /** Bytes of sealed copies were verified in the background. */
  scrubbed(bytes: number): void;
  /** A client's connection was refused because there are too many. */
  connectionRefused(): void;
  /** A message for another node was dropped because its queue was full. */
  peerMessageDropped(): void;
}

export type ReplicaState = 'open' | 'recovering' | 'sealed' | 'damaged' | 'quarantined';

/** The whole cluster, as its metadata leader sees it. */
export interface ClusterCounts {
  readonly nodes: Readonly<Record<'up' | 'down' | 'draining', number>>;
  readonly segments: Readonly<Record<'open' | 'recovering' | 'sealed', number>>;
  /** Segments with fewer whole copies than their topic asks for. */
  readonly underReplicated: number;
  /** Unsealed segments without their ack quorum. */
  readonly unavailable: number;
}

/** What is asked for when the metrics are read. */
export interface MetricsSnapshot {
  readonly raft: {
    readonly term: number;
    readonly role: 'Follower' | 'PreCandidate' | 'Candidate' | 'Leader' | 'Learner';
    readonly hasLeader: boolean;
    readonly commitIndex: number;
    readonly lastApplied: number;
    readonly lastIndex: number;
  };
  /** Segments that this node leads. */
  readonly ledSegments: number;
  readonly replicas: Readonly<Record<ReplicaState, number>>;
  readonly topics: number;
  readonly disk: {
    readonly isReadOnly: boolean;
    readonly usedBytes: number;
    readonly allocatedBytes: number;
    readonly freeBytes: number;
    /** Accepted and not yet durable. */
    readonly pendingBytes: number;
  };
  readonly connections: Readonly<Record<Protocol, number>>;
  readonly peerQueueBytes: number;
  /** Bytes of requests and replies that clients have under way. */
  readonly inFlightBytes: number;
  /** null at every node but the metadata leader: of several answers, all but one would be of the past. */
  readonly cluster: ClusterCounts | null;
}

/** Gives the present numbers; null while the node is not up. */
export type MetricsSource = () => MetricsSnapshot | null;

/** Metrics that nobody looks at. */
export const NO_METRICS: Metrics = {
  appended: () => undefined,
  read: () => undefined,
  synced: () => undefined,
  committed: () => undefined,
  requested: () => undefined,
  failed: () => undefined,
  rolled: () => undefined,
  recovered: () => undefined,
  repaired: () => undefined,
  scrubbed: () => undefined,
  connectionRefused: () => undefined,
  peerMessageDropped: () => undefined,
};

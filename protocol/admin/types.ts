/**
 * The admin API of a node, `/admin/v1` on its http port: the authority on what is safe to do to a cluster. JSON; the
 * operator and the CLI read it, a node answers it. Times are milliseconds since the epoch, ids as elsewhere in hex.
 *
 * | request | answer | |
 * |---|---|---|
 * | `GET /admin/v1/node` | `NodeStatus` | of the node asked |
 * | `GET /admin/v1/cluster` | `ClusterStatus` | as the node asked has it; `leader.isFresh` says how good that is |
 * | `GET /admin/v1/nodes/N/can-restart` | `Verdict` | decided by the metadata leader, whoever is asked |
 * | `POST /admin/v1/bootstrap` | `NodeStatus` | `BootstrapRequest` |
 * | `POST /admin/v1/drain` | `DrainStatus` | of the node asked; repeated until `isDrained` |
 * | `DELETE /admin/v1/drain` | `DrainStatus` | takes it back |
 * | `POST /admin/v1/leadership` | `LeadershipResult` | `LeadershipRequest` |
 * | `POST /admin/v1/voters` | `VotersStatus` | `VotersRequest`; repeated until as many vote as are wanted |
 *
 * Every request may be repeated. A refusal is an `AdminError` with status 409 (unsafe or stale: `reason` says which),
 * 400 (malformed), 404, or 503 (cannot say at the moment: try again). docs/admin-api.md says all of it to people.
 */

/** What a node is doing. */
export type NodePhase =
  /** It has no cluster yet: it asks the addresses of `join`, or waits for a bootstrap. */
  | 'Joining'
  /** It asks the metadata leader to register this start. */
  | 'Registering'
  | 'Serving'
  /** Serving, but it leads nothing new. */
  | 'Draining'
  | 'Stopping';

export interface NodeStatus {
  readonly nodeId: number;
  /** Of the disk in use; null before it is formatted. */
  readonly diskId: string | null;
  /** '' while unknown. */
  readonly clusterId: string;
  readonly version: string;
  readonly phase: NodePhase;
  readonly isDiskReadOnly: boolean;
  readonly startedAtMs: number;
}

export interface MemberStatus {
  readonly nodeId: number;
  readonly diskId: string;
  readonly zone: string;
  readonly version: string;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly httpAddress: string;
  /** Whether the metadata leader hears it. */
  readonly isAlive: boolean;
  readonly isDraining: boolean;
  readonly isDiskWritable: boolean;
  readonly role: 'Voter' | 'Learner' | 'None';
  /** Its metadata are the leader's, up to what travels; the copies that count are whole, or keep up with their leaders. */
  readonly isCaughtUp: boolean;
  readonly ledSegments: number;
  /** Copies on its disk, and how many of them are not whole yet, damaged, or not looked at since its start. */
  readonly replicas: number;
  readonly incompleteReplicas: number;
}

export interface ClusterStatus {
  readonly clusterId: string;
  /**
   * Of the metadata: rises with each new leader. A risky request that carries an older one is refused, for what it was
   * decided upon may not hold any more.
   */
  readonly epoch: number;
  readonly leader: {
    /** null: the metadata have no leader as far as the node asked knows. */
    readonly nodeId: number | null;
    /** The answer comes from a leader that a majority has confirmed, and is not merely remembered. */
    readonly isFresh: boolean;
  };
  /** Wanted number of metadata voters. */
  readonly metadataVoters: number;
  readonly nodes: readonly MemberStatus[];
  readonly topics: number;
  readonly segments: {
    readonly open: number;
    readonly recovering: number;
    readonly sealed: number;
    /** With fewer whole copies than the topic asks for. */
    readonly underReplicated: number;
    /** Unsealed, and without W members that are up. */
    readonly unavailable: number;
  };
}

/** Why something is not safe now. Documented in docs/admin-api.md; a test holds both together. */
export const REFUSAL_REASONS = [
  /** The metadata have no leader that could decide. */
  'NoLeader',
  /** `epoch` is older than the metadata's. */
  'StaleEpoch',
  'UnknownNode',
  /** Without this node fewer than a majority of the voters would be up. */
  'MetadataQuorum',
  /** Without this node an open segment would have fewer than W members up. */
  'SegmentQuorum',
  /** Nobody else that is up has a whole copy of a sealed segment: readers and other copies need this one. */
  'LastWholeCopy',
  /** Another node is down, draining or catching up. */
  'AnotherNodeIsDown',
  /** Too little time to move the leadership. */
  'StillLeading',
  /** More metadata voters than there are nodes. */
  'NotEnoughNodes',
  /** The node belongs to a cluster, or is another disk than the one that was to begin it. */
  'AlreadyBootstrapped',
  'OtherDisk',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export type Verdict =
  | {
      readonly isAllowed: true;
      readonly epoch: number;
      /** For people: what is out of service meanwhile, where no redundancy was asked for; '' when nothing is. */
      readonly message: string;
    }
  | {
      readonly isAllowed: false;
      readonly epoch: number;
      readonly reason: RefusalReason;
      /** For people: which segment, which node. */
      readonly message: string;
    };

/** Begins a cluster on this very disk. It is taken once: the operator notes both ids before it asks. */
export interface BootstrapRequest {
  readonly clusterId: string;
  /** As `NodeStatus` said: a disk that came later is not the one, and refuses. */
  readonly diskId: string;
}

export interface DrainStatus {
  readonly isDraining: boolean;
  /** It leads nothing any more, neither segments nor the metadata. */
  readonly isDrained: boolean;
  readonly ledSegments: number;
  readonly leadsMetadata: boolean;
  /**
   * Another node is up and does not drain, as far as is known, over an election, too: with nobody to take over, waiting for
   * `isDrained` is in vain.
   */
  readonly hasHeir: boolean;
  /** Sealed segments whose only copy is here (topics with one replica): they stay, and cannot be read meanwhile. */
  readonly soleCopies: number;
}

export interface LeadershipRequest {
  /** null: whichever voter is best. */
  readonly to: number | null;
  readonly epoch: number;
}

export interface LeadershipResult {
  readonly nodeId: number;
}

export interface VotersRequest {
  /** Wanted from now on: 1, 3, 5 or 7. */
  readonly metadataVoters: number;
  readonly epoch: number;
}

export interface VotersStatus {
  /** Wanted number of metadata voters. */
  readonly metadataVoters: number;
  /** How many there are. */
  readonly voters: number;
}

export interface AdminError {
  readonly code: string;
  readonly reason: RefusalReason | null;
  readonly message: string;
}

/**
 * Names and data of the Raft core. Servers are disks, not nodes (DESIGN I3): a replaced disk is a new
 * server, and the old one never votes again.
 */
import type { LogIndex, NodeId, Term } from '../../base/units.ts';

/** A Raft server: `nodeId` and the id of the disk that holds its state, as `nodeId/diskId`. */
export type ServerId = string & { readonly server: unique symbol };

/** A member as the configuration names it. The address is a hint: messages carry newer ones. */
export interface Member {
  readonly id: ServerId;
  /** Peer address, `host:port`. */
  readonly address: string;
}

/** Who belongs to the cluster. Takes effect when appended (thesis §4.1). */
export interface Configuration {
  readonly voters: readonly Member[];
  readonly learners: readonly Member[];
}

/** A configuration with where it stands in the log: (term, index) says how new it is (ADR 0121). */
export interface IndexedConfiguration {
  /** Of its entry; 0: given by no entry. */
  readonly index: LogIndex;
  /**
   * Of its entry, or of the snapshot that stands for it: that is no lower, and no higher than that of any entry
   * behind the snapshot, so that the order of committed configurations is the same.
   */
  readonly term: Term;
  readonly configuration: Configuration;
}

export type Role = 'Follower' | 'PreCandidate' | 'Candidate' | 'Leader' | 'Learner';

/** One change of the membership; only one may be uncommitted at a time (thesis §4.1). */
export type MembershipChange =
  | { readonly type: 'AddLearner'; readonly member: Member }
  | { readonly type: 'PromoteLearner'; readonly id: ServerId }
  | { readonly type: 'DemoteVoter'; readonly id: ServerId }
  | { readonly type: 'RemoveServer'; readonly id: ServerId };

/** What must survive a crash before anything that depends on it leaves the node. */
export interface HardState {
  readonly currentTerm: Term;
  readonly votedFor: ServerId | null;
}

/** Makes a server id. */
export function serverId(nodeId: NodeId, diskId: string): ServerId {
  return `${nodeId}/${diskId}` as ServerId;
}

/** The disk of a server. */
export function diskOfServer(id: ServerId): string {
  return id.slice(id.indexOf('/') + 1);
}

/** The node of a server. */
export function nodeOfServer(id: ServerId): number {
  return Number(id.slice(0, id.indexOf('/')));
}

/** The replicated state machine above Raft. All calls are synchronous and in index order. */
export interface StateMachine {
  /** Applies one committed command and returns its result for the proposer (not replicated). */
  apply(index: LogIndex, command: Uint8Array): unknown;
  /**
   * The whole state at the last applied index, in slices that are taken one by one while further commands are
   * applied: they are of the state at the call all the same.
   */
  snapshot(): Iterable<Uint8Array>;
  /** Replaces the state by that of a snapshot. */
  restore(index: LogIndex, snapshot: Uint8Array): void;
}

/** A view of the group for status pages, metrics and the controller. */
export interface RaftStatus {
  readonly id: ServerId;
  readonly role: Role;
  readonly currentTerm: Term;
  readonly leaderId: ServerId | null;
  readonly commitIndex: LogIndex;
  readonly lastApplied: LogIndex;
  readonly lastIndex: LogIndex;
  readonly configuration: Configuration;
  /** On the leader: what it knows of each peer. */
  readonly progress: readonly {
    readonly id: ServerId;
    readonly matchIndex: LogIndex;
    /** Heard from in the last election time-out. */
    readonly isActive: boolean;
    /** Heard from since this server leads. */
    readonly hasAnswered: boolean;
  }[];
}

/**
 * One node's Raft: the core, its durable log, its timer and its messages.
 * Callers get promises that settle exactly once; a rejection is a WalrusError: NOT_LEADER (for certain not
 * proposed; `details.leader` names the server id when known), TIMED_OUT (outcome unknown), OVERLOADED,
 * SHUTTING_DOWN, INVALID_MEMBERSHIP.
 */
export interface RaftNode {
  /**
   * Proposes a command on the leader; resolves after it was applied here, with the apply result.
   * @param term - Only while it leads in this term: what a leader decided in one is not for a later one.
   */
  propose(
    command: Uint8Array,
    term?: Term,
  ): Promise<{ readonly index: LogIndex; readonly result: unknown }>;
  /**
   * Resolves once this node has applied everything that was committed when the call was made (read index,
   * thesis §6.4), on any server: followers ask the leader.
   */
  readBarrier(): Promise<LogIndex>;
  changeMembership(change: MembershipChange): Promise<LogIndex>;
  /** Hands leadership to another voter (thesis §3.10); resolves when this node is no longer leader. */
  transferLeadership(to: ServerId): Promise<void>;
  /** Gives a message of another node to the core. `message` is valid during the call only. */
  receive(from: ServerId, message: Uint8Array): void;
  /** Where a server has said itself that it is, newest first of all that is known; null when it has not. */
  heardAddressOf(id: ServerId): string | null;
  status(): RaftStatus;
  /** Called after each change of role, term or leader, and with every advance of lastApplied. */
  onChange(listener: (status: RaftStatus) => void): void;
  stop(): void;
}

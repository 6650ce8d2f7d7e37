/**
 * Inputs and outputs of the Raft core.
 *
 * THE DURABILITY RULE. The driver acts on the parts of an output in their order, and makes `hardState`
 * durable before it goes on to the next part. Log writes become durable later and are reported by
 * `Persisted`. So the core may put into `messages` only what depends on
 * (a) the hard state of this output or an earlier one: votes, terms; and
 * (b) log writes that were reported by `Persisted`: append acknowledgements, the leader's own share in a
 *     commit, commits handed out to be applied.
 * Both are asserted where the message is made (send.ts).
 */
import type { LogIndex, Term } from '../../base/units.ts';
import type { Entry } from './entry.ts';
import type { Message, OutgoingMessage } from './messages.ts';
import type { SnapshotInfo } from './snapshotInfo.ts';
import type { HardState, MembershipChange, Role, ServerId } from './types.ts';

export type RaftEvent =
  /** One unit of time has passed. */
  | { readonly type: 'Tick' }
  /** A message has arrived. */
  | { readonly type: 'Receive'; readonly from: ServerId; readonly message: Message }
  /** Commands to append, in order: all are taken, or none. */
  | { readonly type: 'Propose'; readonly commands: readonly Uint8Array[] }
  /** All log writes up to this one are durable. */
  | { readonly type: 'Persisted'; readonly writeId: number }
  /** The snapshot of an `installSnapshot` is durable, and the state machine and the log are at it. */
  | { readonly type: 'SnapshotPersisted'; readonly snapshot: SnapshotInfo }
  /** The bytes of an `installSnapshot` were not what they should be; they are forgotten. */
  | { readonly type: 'SnapshotRefused' }
  /** A snapshot of this server's own state is durable. */
  | { readonly type: 'SnapshotTaken'; readonly snapshot: SnapshotInfo }
  /** Committed entries up to this one are applied. */
  | { readonly type: 'Applied'; readonly index: LogIndex }
  /** A read wants to know which index it must wait for. `context` is unique over all lives of this server. */
  | { readonly type: 'ReadIndex'; readonly context: number }
  | { readonly type: 'ProposeMembership'; readonly change: MembershipChange }
  | { readonly type: 'TransferLeadership'; readonly to: ServerId }
  /** A message to this peer could not be sent. */
  | { readonly type: 'PeerUnreachable'; readonly id: ServerId }
  /** Stand for election now, without waiting for the time-out. */
  | { readonly type: 'Campaign' }
  /** Whether this server may promise anything: votes, acknowledgements, leadership (ADR 0011). */
  | { readonly type: 'SetAdmitted'; readonly isAdmitted: boolean };

/** Why an event was not acted on. */
export type RejectReason = 'NOT_LEADER' | 'TRANSFERRING' | 'INVALID_MEMBERSHIP' | 'INVALID_TARGET';

export interface Rejection {
  readonly reason: RejectReason;
  readonly leaderId: ServerId | null;
  /** For people: what was wrong and what to do. */
  readonly message: string;
}

/** One write to the log: whatever it holds from `prevIndex + 1` on is replaced by `entries`. */
export interface LogWrite {
  readonly writeId: number;
  readonly prevIndex: LogIndex;
  readonly entries: readonly Entry[];
}

/** A part of a snapshot that arrived in order. Offset 0 begins a new one and voids an unfinished one. */
export interface SnapshotChunk {
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface Envelope {
  readonly to: ServerId;
  readonly message: OutgoingMessage;
}

/** What a step asks of the driver, in the order in which it must act. */
export interface RaftOutput {
  /** 1. Make durable before anything below. */
  hardState: HardState | null;
  /** 2a. Hand to the log in order; durability is reported as `Persisted`. */
  writes: LogWrite[];
  /** 2b. Keep the bytes of an arriving snapshot. */
  snapshotChunk: SnapshotChunk | null;
  /** 2c. Make the arrived snapshot durable and restore it, then report `SnapshotPersisted`. */
  installSnapshot: SnapshotInfo | null;
  /** 2d. The log needs nothing up to this entry any more. */
  compactTo: LogIndex | null;
  /** 3. Send now. */
  messages: Envelope[];
  /** 4. Apply these in order and report `Applied`. */
  committed: { readonly from: LogIndex; readonly to: LogIndex } | null;
  /** 5. Answers to `ReadIndex`: wait until `index` is applied; null when it must be asked again. */
  readStates: { readonly context: number; readonly index: LogIndex | null }[];
  /** Role, term or leader have changed. */
  roleChange: {
    readonly role: Role;
    readonly leaderId: ServerId | null;
    readonly currentTerm: Term;
  } | null;
  /** The first index that a `Propose` or `ProposeMembership` was given, with the term. */
  proposed: { readonly firstIndex: LogIndex; readonly term: Term } | null;
  /** Why the event was refused. */
  rejected: Rejection | null;
  /** A leadership transfer was given up: this server goes on as leader. */
  transferAborted: boolean;
}

/** An output that asks for nothing. */
export function newOutput(): RaftOutput {
  return {
    hardState: null,
    writes: [],
    snapshotChunk: null,
    installSnapshot: null,
    compactTo: null,
    messages: [],
    committed: null,
    readStates: [],
    roleChange: null,
    proposed: null,
    rejected: null,
    transferAborted: false,
  };
}

/**
 * The RPCs of Raft (Raft Figures 2 and 13, thesis §3.10, §6.4, §9.6). Each carries its sender's term.
 * Their bytes are in messageCodec.ts.
 */
import type { LogIndex, Term } from '../../base/units.ts';
import type { Entry } from './entry.ts';
import type { SnapshotInfo } from './snapshotInfo.ts';

/** Asks for a vote; with `isPreVote`, asks whether one would be given (thesis §9.6). */
export interface RequestVote {
  readonly type: 'RequestVote';
  /** The term of the election; with `isPreVote` one above the sender's own. */
  readonly term: Term;
  readonly isPreVote: boolean;
  /** The leader has asked the candidate to stand, so no lease protects it (thesis §4.2.3). */
  readonly isTransfer: boolean;
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
}

export interface RequestVoteResponse {
  readonly type: 'RequestVoteResponse';
  /** The responder's term; for a pre-vote that is granted, the term that was asked for. */
  readonly term: Term;
  readonly isPreVote: boolean;
  readonly voteGranted: boolean;
}

export interface AppendEntries {
  readonly type: 'AppendEntries';
  readonly term: Term;
  readonly prevLogIndex: LogIndex;
  readonly prevLogTerm: Term;
  readonly leaderCommit: LogIndex;
  /** The leader's heartbeat round; answers name the newest one seen (read index). */
  readonly round: number;
  readonly entries: readonly Entry[];
}

/** An AppendEntries as the core emits it: the driver attaches the entries up to `lastIndex`. */
export interface AppendEntriesRange extends Omit<AppendEntries, 'entries'> {
  readonly lastIndex: LogIndex;
}

export interface AppendEntriesResponse {
  readonly type: 'AppendEntriesResponse';
  readonly term: Term;
  readonly round: number;
  /** What came of it; a refusal for an old term has neither. */
  readonly outcome:
    | {
        readonly type: 'Match';
        /** Durable, and equal to the leader's log. */ readonly matchIndex: LogIndex;
      }
    | {
        readonly type: 'Conflict';
        /** The `prevLogIndex` that did not match. */
        readonly rejectedIndex: LogIndex;
        /** Where the logs may still agree, and the term there. */
        readonly hintIndex: LogIndex;
        readonly hintTerm: Term;
      }
    | { readonly type: 'StaleTerm' };
}

export interface InstallSnapshot {
  readonly type: 'InstallSnapshot';
  readonly term: Term;
  readonly snapshot: SnapshotInfo;
  /** Where the chunk lies in the snapshot's bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** An InstallSnapshot as the core emits it: the driver attaches the bytes. */
export interface InstallSnapshotRange extends Omit<InstallSnapshot, 'data'> {
  readonly lengthBytes: number;
}

export interface InstallSnapshotResponse {
  readonly type: 'InstallSnapshotResponse';
  readonly term: Term;
  readonly round: number;
  /** Which snapshot this is about. */
  readonly index: LogIndex;
  /** The bytes received in order so far: where the next chunk begins. */
  readonly nextOffset: number;
}

/** Tells a voter to stand for election at once (thesis §3.10). */
export interface TimeoutNow {
  readonly type: 'TimeoutNow';
  readonly term: Term;
}

/** A follower asks the leader for a read index (thesis §6.4). */
export interface ReadIndexRequest {
  readonly type: 'ReadIndexRequest';
  readonly term: Term;
  readonly context: number;
}

export interface ReadIndexResponse {
  readonly type: 'ReadIndexResponse';
  readonly term: Term;
  readonly context: number;
  /** Null: not the leader, or too many reads; ask again. */
  readonly index: LogIndex | null;
}

/** A message as it arrives. */
export type Message =
  | RequestVote
  | RequestVoteResponse
  | AppendEntries
  | AppendEntriesResponse
  | InstallSnapshot
  | InstallSnapshotResponse
  | TimeoutNow
  | ReadIndexRequest
  | ReadIndexResponse;

/** A message as the core emits it: bytes are named by ranges. */
export type OutgoingMessage =
  Exclude<Message, AppendEntries | InstallSnapshot> | AppendEntriesRange | InstallSnapshotRange;

/**
 * The state of one Raft server (Raft Figure 2), owned by its driver and changed only by `step`.
 *
 * Deterministic: time is `Tick`, chance is the `random` passed in. Bytes of commands and snapshots stay outside.
 */
import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import { logIndex, MIB, KIB, term } from '../../base/units.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { NO_BUGS } from './bugs.ts';
import type { Bugs } from './bugs.ts';
import { EMPTY_CONFIGURATION, isVoter } from './configuration.ts';
import { newOutput } from './events.ts';
import type { RaftOutput } from './events.ts';
import type { SnapshotInfo } from './snapshotInfo.ts';
import type { Progress } from './progress.ts';
import { Trail } from './trail.ts';
import type { Configuration, HardState, IndexedConfiguration, Role, ServerId } from './types.ts';

/** Settings of the core. Times are in ticks. */
export interface RaftOptions {
  /** A follower that hears nothing for a random time in this range stands for election. */
  readonly electionTicksMin: number;
  readonly electionTicksMax: number;
  readonly heartbeatTicks: number;
  /** Entries in one AppendEntries, unless a single one is larger. */
  readonly appendBytesMax: number;
  /** Messages with entries to one peer that are not acknowledged. */
  readonly inFlightMessagesMax: number;
  readonly inFlightBytesMax: number;
  readonly snapshotChunkBytes: number;
  /** Entries kept below a snapshot, so that a peer that is a little behind needs no snapshot. */
  readonly trailingEntries: number;
  /** How far behind the commit a learner may be when it is promoted. */
  readonly promoteLagMax: number;
  /** Reads that wait for a round of heartbeats. */
  readonly readsMax: number;
}

export const DEFAULT_RAFT_OPTIONS: RaftOptions = {
  electionTicksMin: 10,
  electionTicksMax: 20,
  heartbeatTicks: 2,
  appendBytesMax: MIB,
  inFlightMessagesMax: 64,
  inFlightBytesMax: 8 * MIB,
  snapshotChunkBytes: 256 * KIB,
  trailingEntries: 1000,
  promoteLagMax: 1000,
  readsMax: 10_000,
};

/** A read that waits for its round, or for an own-term commit. */
export interface PendingRead {
  readonly context: number;
  /** Who asked; null: this server itself. */
  readonly from: ServerId | null;
  /** Null until the leader has committed an entry of its own term. */
  index: LogIndex | null;
  round: number;
}

/** A snapshot that is arriving. */
export interface IncomingSnapshot {
  readonly snapshot: SnapshotInfo;
  readonly from: ServerId;
  receivedBytes: number;
  /** All bytes are there and the driver is at work on it. */
  isInstalling: boolean;
}

export interface Raft {
  readonly id: ServerId;
  readonly options: RaftOptions;
  readonly random: Random;
  readonly bugs: Bugs;
  /** Whether it may promise anything: votes, acknowledgements, leadership (ADR 0011). */
  isAdmitted: boolean;

  currentTerm: Term;
  votedFor: ServerId | null;
  /** What the driver has been told to make durable. */
  savedHardState: HardState;

  readonly trail: Trail;
  /** Everything up to here is durable in this server's log or snapshot. */
  persistedIndex: LogIndex;
  /** Writes that are not known to be durable; truncation cuts their `lastIndex`. */
  pendingWrites: { readonly writeId: number; lastIndex: LogIndex }[];
  lastWriteId: number;
  commitIndex: LogIndex;
  /** Handed out in `committed`. */
  handedIndex: LogIndex;
  lastApplied: LogIndex;
  snapshot: SnapshotInfo | null;
  incoming: IncomingSnapshot | null;
  /** Ascending; the last one is in effect, the first one is as old as `lastApplied` needs. */
  configurations: IndexedConfiguration[];

  role: Role;
  leaderId: ServerId | null;
  electionElapsedTicks: number;
  electionTimeoutTicks: number;
  /** Since the leader was heard; votes are ignored while this is short (thesis §4.2.3). */
  leaderElapsedTicks: number;
  heartbeatElapsedTicks: number;

  /** Candidates: who has answered, and how. */
  votes: Map<ServerId, boolean>;
  isTransferElection: boolean;

  /** Followers: up to here the log equals that of the leader of `currentTerm`. */
  matchedIndex: LogIndex;
  /** Followers: the newest heartbeat round of the leader of `currentTerm`. */
  roundSeen: number;

  /** Leaders: each peer, this server not included; in the order in which they joined. */
  progress: Map<ServerId, Progress>;
  quorumElapsedTicks: number;
  transfer: { readonly to: ServerId; elapsedTicks: number } | null;
  /** The newest round of heartbeats that was started. */
  round: number;
  reads: PendingRead[];

  /** The output of the step under way. */
  output: RaftOutput;
}

/** What a server finds on its disk at start. */
export interface PersistedState {
  readonly hardState: HardState;
  readonly snapshot: SnapshotInfo | null;
  /** The entry before the first one that is kept. */
  readonly baseIndex: LogIndex;
  readonly baseTerm: Term;
  /** The entries after the base, all of them durable. */
  readonly entries: Iterable<{
    readonly term: Term;
    readonly sizeBytes: number;
    readonly configuration: Configuration | null;
  }>;
}

export interface RaftConfig {
  readonly id: ServerId;
  readonly random: Random;
  readonly persisted: PersistedState;
  readonly options?: Partial<RaftOptions>;
  /** Set by tests only. */
  readonly bugs?: Partial<Bugs>;
}

/** Makes a server from what its disk holds. The state machine must be at the snapshot. */
export function newRaft({ id, random, persisted, options, bugs }: RaftConfig): Raft {
  const trail = new Trail(persisted.baseIndex, persisted.baseTerm);
  const { snapshot, hardState } = persisted;
  const configurations: IndexedConfiguration[] = [
    {
      index: snapshot?.configurationIndex ?? logIndex(0),
      term: snapshot?.term ?? term(0),
      configuration: snapshot?.configuration ?? EMPTY_CONFIGURATION,
    },
  ];
  const start = snapshot?.index ?? logIndex(0);
  for (const entry of persisted.entries) {
    trail.append(entry.term, entry.sizeBytes);
    if (entry.configuration !== null && trail.lastIndex > start)
      configurations.push({
        index: trail.lastIndex,
        term: entry.term,
        configuration: entry.configuration,
      });
  }
  assert(trail.baseIndex <= start, 'The log must begin at the snapshot or below it');
  assert(trail.lastIndex >= start, 'The log must reach the snapshot');
  const raft: Raft = {
    id,
    options: { ...DEFAULT_RAFT_OPTIONS, ...options },
    random,
    bugs: { ...NO_BUGS, ...bugs },
    isAdmitted: true,
    currentTerm: hardState.currentTerm,
    votedFor: hardState.votedFor,
    savedHardState: hardState,
    trail,
    persistedIndex: trail.lastIndex,
    pendingWrites: [],
    lastWriteId: 0,
    commitIndex: start,
    handedIndex: start,
    lastApplied: start,
    snapshot,
    incoming: null,
    configurations,
    role: 'Follower',
    leaderId: null,
    electionElapsedTicks: 0,
    electionTimeoutTicks: 0,
    leaderElapsedTicks: 0,
    heartbeatElapsedTicks: 0,
    votes: new Map(),
    isTransferElection: false,
    matchedIndex: logIndex(0),
    roundSeen: 0,
    progress: new Map(),
    quorumElapsedTicks: 0,
    transfer: null,
    round: 0,
    reads: [],
    output: newOutput(),
  };
  checkOptions(raft.options);
  assert(raft.currentTerm >= trail.lastTerm, 'The term must not be behind the log');
  resetElectionTimeout(raft);
  raft.role = followerRole(raft);
  return raft;
}

function checkOptions(options: RaftOptions): void {
  assert(options.heartbeatTicks >= 1, 'heartbeatTicks must be at least 1');
  assert(
    options.electionTicksMin > options.heartbeatTicks,
    'Elections must be rarer than heartbeats',
  );
  assert(
    options.electionTicksMax >= options.electionTicksMin,
    'electionTicksMax must not be below min',
  );
  assert(options.inFlightMessagesMax >= 1, 'inFlightMessagesMax must be at least 1');
  assert(options.snapshotChunkBytes >= 1, 'snapshotChunkBytes must be at least 1');
}

/** Draws a new election time-out and starts to wait for it (Raft §5.2). */
export function resetElectionTimeout(raft: Raft): void {
  const { electionTicksMin, electionTicksMax } = raft.options;
  const span = electionTicksMax - electionTicksMin + 1;
  raft.electionTimeoutTicks = electionTicksMin + (raft.random.uint32() % span);
  raft.electionElapsedTicks = 0;
}

/** The configuration in effect: the newest one in the log (thesis §4.1). */
export function latestConfiguration(raft: Raft): IndexedConfiguration {
  const latest = raft.configurations.at(-1);
  assert(latest !== undefined, 'A server always has a configuration');
  return latest;
}

/** The configuration as of an entry that is not below `lastApplied`: what a snapshot there names. */
export function configurationAt(raft: Raft, index: LogIndex): IndexedConfiguration {
  const found = raft.configurations.findLast((one) => one.index <= index);
  assert(found !== undefined, 'Configurations are kept from lastApplied on');
  return found;
}

/** A follower that has no vote is a learner. */
export function followerRole(raft: Raft): Role {
  return isVoter(latestConfiguration(raft).configuration, raft.id) ? 'Follower' : 'Learner';
}

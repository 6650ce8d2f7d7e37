/**
 * The Raft core: one event in, one output out. Synchronous and total; no I/O, no clock, no randomness of its own.
 * Order of acting on the output and the durability rule: events.ts.
 */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import { recordPersisted } from './appendLog.ts';
import { campaignPreVote, isPromotable, tickElection } from './election.ts';
import { newOutput } from './events.ts';
import type { RaftEvent, RaftOutput } from './events.ts';
import { proposeMembership } from './membership.ts';
import { propose } from './propose.ts';
import type { Raft } from './raft.ts';
import { requestRead } from './readIndex.ts';
import { receive } from './recv/receive.ts';
import { advanceCommit } from './commit.ts';
import { tickLeader } from './leader.ts';
import { peerUnreachable } from './replication.ts';
import { sendMatch } from './send.ts';
import { snapshotPersisted, snapshotTaken } from './snapshot.ts';
import { becomeFollower } from './terms.ts';
import { transferLeadership } from './transfer.ts';

/** Acts on an event and says what the driver must do, in order. */
export function step(raft: Raft, event: RaftEvent): RaftOutput {
  const before = {
    role: raft.role,
    currentTerm: raft.currentTerm,
    leaderId: raft.leaderId,
    votedFor: raft.votedFor,
    commitIndex: raft.commitIndex,
  };
  raft.output = newOutput();
  dispatch(raft, event);
  const { output } = raft;
  finishOutput(raft, output);
  const isChanged =
    raft.role !== before.role ||
    raft.leaderId !== before.leaderId ||
    raft.currentTerm !== before.currentTerm;
  if (isChanged) {
    const { role, leaderId, currentTerm } = raft;
    output.roleChange = { role, leaderId, currentTerm };
  }
  assert(raft.currentTerm >= before.currentTerm, 'The term never falls');
  assert(raft.commitIndex >= before.commitIndex, 'The commit index never falls');
  if (raft.currentTerm === before.currentTerm && before.votedFor !== null)
    assert(raft.votedFor === before.votedFor, 'A server votes at most once in a term');
  assertState(raft);
  return output;
}

function dispatch(raft: Raft, event: RaftEvent): void {
  switch (event.type) {
    case 'Tick':
      if (raft.role === 'Leader') tickLeader(raft);
      else tickElection(raft);
      return;
    case 'Receive':
      receive(raft, event.from, event.message);
      return;
    case 'Propose':
      propose(raft, event.commands);
      return;
    case 'Persisted':
      persisted(raft, event.writeId);
      return;
    case 'Applied':
      applied(raft, event.index);
      return;
    case 'ReadIndex':
      requestRead(raft, event.context, null);
      return;
    case 'ProposeMembership':
      proposeMembership(raft, event.change);
      return;
    case 'TransferLeadership':
      transferLeadership(raft, event.to);
      return;
    default:
      dispatchRare(raft, event);
  }
}

type FrequentEvent =
  | 'Tick'
  | 'Receive'
  | 'Propose'
  | 'Persisted'
  | 'Applied'
  | 'ReadIndex'
  | 'ProposeMembership'
  | 'TransferLeadership';

function dispatchRare(raft: Raft, event: Exclude<RaftEvent, { type: FrequentEvent }>): void {
  switch (event.type) {
    case 'SnapshotPersisted':
      snapshotPersisted(raft, event.snapshot);
      return;
    case 'SnapshotRefused':
      raft.incoming = null;
      return;
    case 'SnapshotTaken':
      snapshotTaken(raft, event.snapshot);
      return;
    case 'PeerUnreachable':
      peerUnreachable(raft, event.id);
      return;
    case 'Campaign':
      if (raft.role === 'Follower' && isPromotable(raft)) campaignPreVote(raft);
      return;
    case 'SetAdmitted':
      raft.isAdmitted = event.isAdmitted;
      if (!raft.isAdmitted && raft.role !== 'Learner')
        becomeFollower(raft, raft.currentTerm, raft.role === 'Follower' ? raft.leaderId : null);
      return;
  }
}

/** Log writes are durable: a leader counts itself, a follower acknowledges what it had to hold back. */
function persisted(raft: Raft, writeId: number): void {
  const before = raft.persistedIndex;
  recordPersisted(raft, writeId);
  if (raft.persistedIndex === before) return;
  if (raft.role === 'Leader') advanceCommit(raft);
  else if (raft.leaderId !== null && raft.matchedIndex > before) sendMatch(raft, raft.leaderId);
}

function applied(raft: Raft, index: number): void {
  assert(index <= raft.handedIndex, 'Only what was handed out is applied');
  // A snapshot may have overtaken the entries.
  raft.lastApplied = logIndex(Math.max(raft.lastApplied, index));
  const { configurations, lastApplied } = raft;
  const needed = configurations.findLastIndex((one) => one.index <= lastApplied);
  if (needed > 0) configurations.splice(0, needed);
}

/** Adds what follows from the new state as a whole. */
function finishOutput(raft: Raft, output: RaftOutput): void {
  const { savedHardState, currentTerm, votedFor } = raft;
  const isTermNew = currentTerm !== savedHardState.currentTerm;
  const isVoteNew = votedFor !== savedHardState.votedFor && !raft.bugs.voteNotPersisted;
  if (isTermNew || isVoteNew) {
    output.hardState = { currentTerm, votedFor: raft.bugs.voteNotPersisted ? null : votedFor };
    raft.savedHardState = output.hardState;
  }
  // Applied entries are durable here, so that a snapshot never gets ahead of the log.
  const handTo = logIndex(Math.min(raft.commitIndex, raft.persistedIndex));
  if (handTo > raft.handedIndex && raft.incoming?.isInstalling !== true) {
    output.committed = { from: logIndex(raft.handedIndex + 1), to: handTo };
    raft.handedIndex = handTo;
  }
}

function assertState(raft: Raft): void {
  assert(raft.lastApplied <= raft.handedIndex, 'lastApplied <= handedIndex');
  assert(raft.handedIndex <= raft.commitIndex, 'handedIndex <= commitIndex');
  assert(raft.commitIndex <= raft.trail.lastIndex, 'commitIndex <= lastIndex');
  assert(raft.persistedIndex <= raft.trail.lastIndex, 'persistedIndex <= lastIndex');
  assert(raft.currentTerm >= raft.trail.lastTerm, 'currentTerm >= lastTerm');
  if (raft.role === 'Leader') assert(raft.leaderId === raft.id, 'A leader follows itself');
  for (const progress of raft.progress.values())
    assert(progress.matchIndex < progress.nextIndex, 'matchIndex < nextIndex');
}

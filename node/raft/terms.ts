/** The rules on terms that hold for every message (Raft §5.1, thesis §4.2.3, §9.6), and stepping down. */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { Term } from '../../base/units.ts';
import type { Message, RequestVote } from './messages.ts';
import { followerRole, resetElectionTimeout } from './raft.ts';
import type { Raft } from './raft.ts';
import { abortReads } from './readIndex.ts';
import { send, sendVote } from './send.ts';
import type { ServerId } from './types.ts';

/** Becomes a follower in a term that is not older than the present one. */
export function becomeFollower(raft: Raft, term: Term, leaderId: ServerId | null): void {
  assert(term >= raft.currentTerm, 'The term never falls');
  if (term > raft.currentTerm) {
    raft.currentTerm = term;
    raft.votedFor = null;
    raft.matchedIndex = logIndex(0);
    raft.roundSeen = 0;
  }
  if (raft.role === 'Leader') abortReads(raft);
  raft.role = followerRole(raft);
  raft.leaderId = leaderId;
  raft.votes.clear();
  raft.progress.clear();
  raft.transfer = null;
  resetElectionTimeout(raft);
}

/**
 * "If a server receives a RequestVote request within the minimum election timeout of hearing from a current
 * leader, it does not update its term or grant its vote" (thesis §4.2.3). The candidate may be a removed server.
 */
function isLeaderFresh(raft: Raft): boolean {
  if (raft.role === 'Leader') return true;
  return raft.leaderId !== null && raft.leaderElapsedTicks < raft.options.electionTicksMin;
}

/** Applies the rules on terms; false when the message must not be looked at any further. */
export function admitTerm(raft: Raft, from: ServerId, message: Message): boolean {
  if (message.type === 'RequestVote' && !message.isTransfer && isLeaderFresh(raft)) {
    // A peer with a higher term cannot follow this leader. The answer tells the leader, which steps down.
    if (message.term < raft.currentTerm) refuseStale(raft, from, message);
    return false;
  }
  if (message.term > raft.currentTerm) {
    if (movesTerm(message)) becomeFollower(raft, message.term, null);
    return true;
  }
  if (message.term === raft.currentTerm) return true;
  // Answers to reads are confirmed whatever came after them.
  if (message.type === 'ReadIndexRequest' || message.type === 'ReadIndexResponse') return true;
  refuseStale(raft, from, message);
  return false;
}

/** A pre-vote is about a term that nobody is in yet. */
function movesTerm(message: Message): boolean {
  if (message.type === 'RequestVote') return !message.isPreVote;
  if (message.type === 'RequestVoteResponse') return !(message.isPreVote && message.voteGranted);
  return true;
}

/** "Reply false if term < currentTerm" (Raft Figure 2), so that the sender learns of the newer term. */
function refuseStale(raft: Raft, from: ServerId, message: Message): void {
  if (message.type === 'RequestVote') {
    sendVote(raft, from, message satisfies RequestVote, false);
  } else if (message.type === 'AppendEntries' || message.type === 'InstallSnapshot') {
    send(raft, from, {
      type: 'AppendEntriesResponse',
      term: raft.currentTerm,
      round: 0,
      outcome: { type: 'StaleTerm' },
    });
  }
}

/** A valid message of the leader of this term has arrived. */
export function heardFromLeader(raft: Raft, from: ServerId): void {
  assert(raft.role !== 'Leader', 'A term has at most one leader');
  assert(raft.leaderId === null || raft.leaderId === from, 'A term has at most one leader');
  if (raft.role === 'Candidate' || raft.role === 'PreCandidate' || raft.leaderId === null)
    becomeFollower(raft, raft.currentTerm, from);
  raft.electionElapsedTicks = 0;
  raft.leaderElapsedTicks = 0;
}

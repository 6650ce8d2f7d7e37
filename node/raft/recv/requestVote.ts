/** Receiving RequestVote (Raft Figure 2, §5.4.1; thesis §9.6). */
import type { RequestVote } from '../messages.ts';
import { resetElectionTimeout } from '../raft.ts';
import type { Raft } from '../raft.ts';
import { sendVote } from '../send.ts';
import type { ServerId } from '../types.ts';

/**
 * Votes. Also for a candidate that is not in this server's configuration, and also as a learner: the candidate's
 * log may hold a configuration that this server has not seen (thesis §4.2.3).
 */
export function recvRequestVote(raft: Raft, from: ServerId, request: RequestVote): void {
  if (!raft.isAdmitted) return; // not even a vote that nobody hears of
  const isUpToDate = isLogUpToDate(raft, request) || raft.bugs.voteForStaleLog;
  if (request.isPreVote) {
    sendVote(raft, from, request, isUpToDate && request.term > raft.currentTerm);
    return;
  }
  // "If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log,
  // grant vote" (Raft Figure 2).
  const isFree = raft.votedFor === from || (raft.votedFor === null && raft.leaderId === null);
  const voteGranted = isFree && isUpToDate;
  if (voteGranted) {
    raft.votedFor = from;
    resetElectionTimeout(raft);
  }
  sendVote(raft, from, request, voteGranted);
}

/** "The log with the later term is more up-to-date; with the same term, the longer one" (Raft §5.4.1). */
function isLogUpToDate(raft: Raft, { lastLogTerm, lastLogIndex }: RequestVote): boolean {
  const { lastTerm, lastIndex } = raft.trail;
  return lastLogTerm > lastTerm || (lastLogTerm === lastTerm && lastLogIndex >= lastIndex);
}

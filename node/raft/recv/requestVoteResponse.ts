/** Receiving the answer to RequestVote. */
import { countVotes } from '../election.ts';
import type { RequestVoteResponse } from '../messages.ts';
import type { Raft } from '../raft.ts';
import type { ServerId } from '../types.ts';

/** Counts an answer, if it belongs to the election under way. */
export function recvRequestVoteResponse(
  raft: Raft,
  from: ServerId,
  { term, isPreVote, voteGranted }: RequestVoteResponse,
): void {
  if (raft.role !== (isPreVote ? 'PreCandidate' : 'Candidate')) return;
  const electionTerm = isPreVote && voteGranted ? raft.currentTerm + 1 : raft.currentTerm;
  if (term !== electionTerm || raft.votes.has(from)) return;
  raft.votes.set(from, voteGranted);
  countVotes(raft);
}

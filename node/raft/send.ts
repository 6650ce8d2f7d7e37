/** Puts messages into the output, and asserts the durability rule (events.ts) where they are made. */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { OutgoingMessage, RequestVote } from './messages.ts';
import type { Raft } from './raft.ts';
import type { ServerId } from './types.ts';

/**
 * Sends a message. The output's hard state, which comes first, covers the term. A server that is not admitted
 * promises nothing (ADR 0011): it takes what a leader sends, may ask what it must wait for to read, and is
 * silent otherwise.
 */
export function send(raft: Raft, to: ServerId, message: OutgoingMessage): void {
  assert(to !== raft.id, 'A server sends nothing to itself');
  if (!raft.isAdmitted && message.type !== 'ReadIndexRequest') return;
  raft.output.messages.push({ to, message });
}

/** Answers a vote request. A vote depends on `votedFor`, which this or an earlier output makes durable. */
export function sendVote(
  raft: Raft,
  to: ServerId,
  request: RequestVote,
  voteGranted: boolean,
): void {
  const { isPreVote } = request;
  if (voteGranted && !isPreVote) {
    assert(raft.votedFor === to, 'A vote is sent only to the one that got it');
    assert(raft.currentTerm === request.term, 'A vote is given in the term that was asked for');
  }
  const term = voteGranted && isPreVote ? request.term : raft.currentTerm;
  send(raft, to, { type: 'RequestVoteResponse', term, isPreVote, voteGranted });
}

/** Acknowledges what is both durable here and equal to the leader's log. */
export function sendMatch(raft: Raft, to: ServerId): void {
  let matchIndex = logIndex(Math.min(raft.persistedIndex, raft.matchedIndex));
  if (raft.bugs.ackBeforePersisted) matchIndex = raft.matchedIndex;
  else if (raft.bugs.ackUnmatched) matchIndex = raft.persistedIndex;
  else assert(matchIndex <= raft.persistedIndex, 'Only durable entries are acknowledged');
  send(raft, to, {
    type: 'AppendEntriesResponse',
    term: raft.currentTerm,
    round: raft.roundSeen,
    outcome: { type: 'Match', matchIndex },
  });
}

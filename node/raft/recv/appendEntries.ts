/** Receiving AppendEntries (Raft Figure 2). */
import { assert } from '../../../base/assert.ts';
import { logIndex } from '../../../base/units.ts';
import { appendEntries, truncateFrom } from '../appendLog.ts';
import type { AppendEntries } from '../messages.ts';
import type { Raft } from '../raft.ts';
import { send, sendMatch } from '../send.ts';
import { heardFromLeader } from '../terms.ts';
import type { ServerId } from '../types.ts';

/**
 * Takes the leader's entries. The acknowledgement of new ones waits until they are durable (`Persisted`);
 * everything else is answered at once.
 */
export function recvAppendEntries(raft: Raft, from: ServerId, message: AppendEntries): void {
  heardFromLeader(raft, from);
  raft.roundSeen = Math.max(raft.roundSeen, message.round);
  // The log is about to be replaced; the leader's next heartbeat finds it.
  if (raft.incoming?.isInstalling === true) return;
  if (!isConsistent(raft, message)) {
    sendConflict(raft, from, message);
    return;
  }
  const hasWritten = takeEntries(raft, message);
  const lastNewIndex = logIndex(message.prevLogIndex + message.entries.length);
  // Everything committed equals the leader's log (Leader Completeness).
  raft.matchedIndex = logIndex(Math.max(raft.matchedIndex, lastNewIndex, raft.commitIndex));
  followCommit(raft, message, lastNewIndex);
  if (!hasWritten || raft.bugs.ackBeforePersisted) sendMatch(raft, from);
}

/**
 * "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (step 2).
 * Committed entries always match, also those that are compacted here.
 */
function isConsistent(raft: Raft, { prevLogIndex, prevLogTerm }: AppendEntries): boolean {
  if (prevLogIndex <= raft.commitIndex) return true;
  const term = raft.trail.termAt(prevLogIndex);
  return raft.bugs.prevTermNotCompared ? term !== null : term === prevLogTerm;
}

/** "If an existing entry conflicts with a new one, delete it and all that follow; append any new entries." */
function takeEntries(raft: Raft, { prevLogIndex, entries }: AppendEntries): boolean {
  let known = Math.min(Math.max(raft.commitIndex - prevLogIndex, 0), entries.length);
  while (known < entries.length) {
    const term = raft.trail.termAt(prevLogIndex + 1 + known);
    if (term !== entries[known]?.term) break;
    known += 1;
  }
  if (known === entries.length) return false;
  const firstNew = logIndex(prevLogIndex + 1 + known);
  if (firstNew <= raft.trail.lastIndex) truncateFrom(raft, firstNew);
  assert(firstNew === raft.trail.lastIndex + 1, 'A log has no gaps');
  appendEntries(raft, entries.slice(known));
  return true;
}

/** "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" (step 5). */
function followCommit(raft: Raft, { leaderCommit }: AppendEntries, lastNewIndex: number): void {
  const limit = raft.bugs.commitBeyondMatch ? raft.trail.lastIndex : lastNewIndex;
  const commitIndex = Math.min(leaderCommit, limit);
  raft.commitIndex = logIndex(Math.max(raft.commitIndex, commitIndex));
}

/** Tells the leader where the logs may still agree, so that it skips whole terms (thesis §3.5). */
function sendConflict(raft: Raft, to: ServerId, message: AppendEntries): void {
  const hintIndex = raft.trail.lastAgreeing(message.prevLogIndex, message.prevLogTerm);
  send(raft, to, {
    type: 'AppendEntriesResponse',
    term: raft.currentTerm,
    round: raft.roundSeen,
    outcome: {
      type: 'Conflict',
      rejectedIndex: message.prevLogIndex,
      hintIndex,
      hintTerm: raft.trail.termAt(hintIndex) ?? message.prevLogTerm,
    },
  });
}

/** Receiving the answer to AppendEntries (Raft §5.3). */
import type { AppendEntriesResponse } from '../messages.ts';
import { advanceMatch, becomeProbe, becomeReplicate } from '../progress.ts';
import type { Progress } from '../progress.ts';
import type { Raft } from '../raft.ts';
import { advanceReads } from '../readIndex.ts';
import { advanceCommit } from '../commit.ts';
import { sendEntries } from '../replication.ts';
import { continueTransfer } from '../transfer.ts';
import type { ServerId } from '../types.ts';

/** Takes note of what the peer holds, sends what it lacks, commits what a majority holds. */
export function recvAppendEntriesResponse(
  raft: Raft,
  from: ServerId,
  { outcome, round }: AppendEntriesResponse,
): void {
  const progress = raft.progress.get(from);
  if (raft.role !== 'Leader' || progress === undefined) return;
  progress.isActive = true;
  progress.hasAnswered = true;
  progress.ackedRound = Math.max(progress.ackedRound, Math.min(round, raft.round));
  if (outcome.type === 'Match') {
    recordMatch(raft, progress, Math.min(outcome.matchIndex, raft.trail.lastIndex));
    advanceCommit(raft);
  } else if (outcome.type === 'Conflict') {
    backUp(raft, progress, outcome);
  }
  // A commit may have removed this leader or the peer.
  if (raft.progress.get(from) !== progress) return;
  sendEntries(raft, from, progress);
  if (raft.transfer?.to === from) continueTransfer(raft);
  advanceReads(raft);
}

function recordMatch(raft: Raft, progress: Progress, matchIndex: number): void {
  advanceMatch(progress, matchIndex as Progress['matchIndex']);
  switch (progress.state) {
    case 'Probe':
      becomeReplicate(progress);
      return;
    case 'Replicate':
      return;
    case 'Snapshot': {
      // The peer holds an entry from which the log goes on, or all that this snapshot can give it.
      const goal = progress.transfer?.snapshot.index ?? 0;
      if (progress.matchIndex >= Math.min(raft.trail.baseIndex, goal)) becomeReplicate(progress);
    }
  }
}

/** "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry" (Raft Figure 2). */
function backUp(
  raft: Raft,
  progress: Progress,
  conflict: Extract<AppendEntriesResponse['outcome'], { type: 'Conflict' }>,
): void {
  const { rejectedIndex, hintIndex, hintTerm } = conflict;
  // Old news: the peer has confirmed this entry since, or another one is being asked about.
  if (rejectedIndex <= progress.matchIndex || progress.state === 'Snapshot') return;
  if (progress.state === 'Replicate') {
    becomeProbe(progress);
    return;
  }
  if (rejectedIndex !== progress.nextIndex - 1) return;
  const agreeing = raft.trail.lastAgreeing(Math.min(hintIndex, rejectedIndex - 1), hintTerm);
  // What is compacted here cannot be compared: the entry after the hint needs a snapshot.
  const next = Math.min(agreeing, hintIndex) + 1;
  becomeProbe(progress, Math.min(next, rejectedIndex));
}

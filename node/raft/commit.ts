/** What is committed (Raft §5.3, §5.4), and what follows from it for the leader. */
import { logIndex } from '../../base/units.ts';
import { isVoter, majority, quorumValue } from './configuration.ts';
import { latestConfiguration } from './raft.ts';
import type { Raft } from './raft.ts';
import { advanceReads } from './readIndex.ts';
import { broadcastEntries, syncProgress } from './replication.ts';
import { send } from './send.ts';
import { becomeFollower } from './terms.ts';
import type { ServerId } from './types.ts';

/** The index that the logs of a majority of the voters have reached durably. */
function replicatedIndex(raft: Raft): number {
  const { voters, learners } = latestConfiguration(raft).configuration;
  const matchOf = (id: ServerId): number =>
    id === raft.id ? raft.persistedIndex : (raft.progress.get(id)?.matchIndex ?? 0);
  if (raft.bugs.learnerCounted) {
    const all = [...voters, ...learners].map(({ id }) => matchOf(id)).sort((a, b) => b - a);
    return all[majority(voters.length) - 1] ?? 0;
  }
  return quorumValue(voters.map(({ id }) => matchOf(id)));
}

/**
 * "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term ==
 * currentTerm: set commitIndex = N" (Raft Figure 2).
 */
export function advanceCommit(raft: Raft): void {
  const index = logIndex(replicatedIndex(raft));
  if (index <= raft.commitIndex) return;
  if (raft.trail.termAt(index) !== raft.currentTerm && !raft.bugs.commitOlderTerm) return;
  raft.commitIndex = index;
  broadcastEntries(raft);
  advanceReads(raft);
  const latest = latestConfiguration(raft);
  if (latest.index > raft.commitIndex) return;
  syncProgress(raft);
  if (!isVoter(latest.configuration, raft.id)) leaveOffice(raft);
}

/**
 * A leader that was removed or demoted steps down once that is committed (thesis §4.2.2), and asks the voter
 * with the longest log to stand at once, so that nobody has to wait for a time-out.
 */
function leaveOffice(raft: Raft): void {
  let best: ServerId | null = null;
  let bestIndex = -1;
  for (const { id } of latestConfiguration(raft).configuration.voters) {
    const matchIndex = raft.progress.get(id)?.matchIndex ?? 0;
    if (matchIndex <= bestIndex) continue;
    best = id;
    bestIndex = matchIndex;
  }
  if (best !== null) send(raft, best, { type: 'TimeoutNow', term: raft.currentTerm });
  becomeFollower(raft, raft.currentTerm, null);
}

/**
 * Membership changes, one server at a time (thesis §4.1, §4.2.1). A change takes effect when its entry is
 * appended; the next one waits until it is committed.
 */
import { appendEntries } from './appendLog.ts';
import { changeConfiguration, encodeConfiguration } from './configuration.ts';
import type { RejectReason } from './events.ts';
import { logIndex } from '../../base/units.ts';
import { latestConfiguration } from './raft.ts';
import type { Raft } from './raft.ts';
import { advanceCommit } from './commit.ts';
import { broadcastEntries, syncProgress } from './replication.ts';
import type { MembershipChange } from './types.ts';

/** Refuses the event under way. */
export function reject(raft: Raft, reason: RejectReason, message: string): void {
  raft.output.rejected = { reason, leaderId: raft.leaderId, message };
}

/** Appends a membership change, if the rules allow it now. */
export function proposeMembership(raft: Raft, change: MembershipChange): void {
  if (raft.role !== 'Leader') {
    reject(raft, 'NOT_LEADER', 'Cannot change the membership: this server does not lead');
    return;
  }
  const blocked = whyBlocked(raft) ?? whyNotReady(raft, change);
  if (blocked !== null) {
    reject(raft, 'INVALID_MEMBERSHIP', blocked);
    return;
  }
  const result = changeConfiguration(latestConfiguration(raft).configuration, change);
  if (result.type === 'Refused') {
    reject(raft, 'INVALID_MEMBERSHIP', result.message);
    return;
  }
  const { configuration } = result;
  const { currentTerm } = raft;
  const payload = encodeConfiguration(configuration);
  const before = raft.trail.lastIndex;
  raft.output.proposed = { firstIndex: logIndex(before + 1), term: currentTerm };
  appendEntries(raft, [{ term: currentTerm, type: 'Configuration', payload, configuration }]);
  syncProgress(raft, before);
  broadcastEntries(raft);
  advanceCommit(raft);
}

/**
 * Why no change may be made now. Two uncommitted changes, or one before an own-term commit, could leave two
 * majorities that do not overlap (the bug of the thesis, raft-dev 2015).
 */
function whyBlocked(raft: Raft): string | null {
  if (raft.transfer !== null)
    return 'Cannot change the membership: leadership is being handed over';
  if (raft.bugs.concurrentMembershipChanges) return null;
  if (raft.trail.termAt(raft.commitIndex) !== raft.currentTerm)
    return 'Cannot change the membership: the leader has not committed an entry of its term yet';
  if (latestConfiguration(raft).index > raft.commitIndex)
    return 'Cannot change the membership: another change is not committed yet';
  return null;
}

/** A learner votes only once it has caught up, so that it does not stall the commit (thesis §4.2.1). */
function whyNotReady(raft: Raft, change: MembershipChange): string | null {
  if (change.type !== 'PromoteLearner') return null;
  const progress = raft.progress.get(change.id);
  if (progress === undefined) return null;
  if (
    progress.matchIndex + raft.options.promoteLagMax >= raft.commitIndex &&
    progress.matchIndex > 0
  )
    return null;
  return `Cannot promote ${change.id}: it has not caught up (at ${progress.matchIndex} of ${raft.commitIndex})`;
}

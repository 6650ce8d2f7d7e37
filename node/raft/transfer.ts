/** Handing leadership to another voter (thesis §3.10). */
import { isVoter } from './configuration.ts';
import { reject } from './membership.ts';
import { latestConfiguration } from './raft.ts';
import type { Raft } from './raft.ts';
import { sendEntries } from './replication.ts';
import { send } from './send.ts';
import type { ServerId } from './types.ts';

/** Stops taking proposals, brings the target up to date and tells it to stand. */
export function transferLeadership(raft: Raft, to: ServerId): void {
  if (raft.role !== 'Leader') {
    reject(raft, 'NOT_LEADER', 'Cannot transfer leadership: this server does not lead');
    return;
  }
  const progress = raft.progress.get(to);
  if (progress === undefined || !isVoter(latestConfiguration(raft).configuration, to)) {
    reject(raft, 'INVALID_TARGET', `Cannot transfer leadership to ${to}: it is not another voter`);
    return;
  }
  if (raft.transfer !== null) {
    reject(raft, 'TRANSFERRING', `Cannot transfer leadership: ${raft.transfer.to} is getting it`);
    return;
  }
  raft.transfer = { to, elapsedTicks: 0 };
  sendEntries(raft, to, progress);
  continueTransfer(raft);
}

/** Tells the target to stand once its log is as long as the leader's. Sent again with each heartbeat answer. */
export function continueTransfer(raft: Raft): void {
  if (raft.transfer === null) return;
  const { to } = raft.transfer;
  if (raft.progress.get(to)?.matchIndex === raft.trail.lastIndex)
    send(raft, to, { type: 'TimeoutNow', term: raft.currentTerm });
}

/** Receiving TimeoutNow (thesis §3.10). */
import { campaign, isPromotable } from '../election.ts';
import type { Raft } from '../raft.ts';
import type { ServerId } from '../types.ts';

/** Stands for election at once: the leader wishes it, so neither pre-vote nor leases apply. */
export function recvTimeoutNow(raft: Raft, from: ServerId): void {
  if (raft.role === 'Leader' || raft.role === 'Candidate') return;
  if (raft.leaderId !== null && raft.leaderId !== from) return;
  if (isPromotable(raft)) campaign(raft, true);
}

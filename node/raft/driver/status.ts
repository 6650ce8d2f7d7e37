/** A server's state for people, metrics and the controller. */
import { latestConfiguration } from '../raft.ts';
import type { Raft } from '../raft.ts';
import type { RaftStatus } from '../types.ts';

/** A copy of what matters in the state of a server. */
export function statusOf(raft: Raft): RaftStatus {
  return {
    id: raft.id,
    role: raft.role,
    currentTerm: raft.currentTerm,
    leaderId: raft.leaderId,
    commitIndex: raft.commitIndex,
    lastApplied: raft.lastApplied,
    lastIndex: raft.trail.lastIndex,
    configuration: latestConfiguration(raft).configuration,
    progress: [...raft.progress].map(([id, { matchIndex, isActive, hasAnswered }]) => ({
      id,
      matchIndex,
      isActive,
      hasAnswered,
    })),
  };
}

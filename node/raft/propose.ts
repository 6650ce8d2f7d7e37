/** Taking commands on the leader. */
import { logIndex } from '../../base/units.ts';
import { appendEntries } from './appendLog.ts';
import type { Entry } from './entry.ts';
import { reject } from './membership.ts';
import type { Raft } from './raft.ts';
import { advanceCommit } from './commit.ts';
import { broadcastEntries } from './replication.ts';

/** Appends commands and sends them on at once: the own disk writes while they travel (thesis §10.2.1). */
export function propose(raft: Raft, commands: readonly Uint8Array[]): void {
  if (raft.role !== 'Leader') {
    reject(raft, 'NOT_LEADER', 'Cannot propose: this server does not lead');
    return;
  }
  if (raft.transfer !== null) {
    reject(raft, 'TRANSFERRING', 'Cannot propose: leadership is being handed over');
    return;
  }
  const { currentTerm } = raft;
  const entries = commands.map((payload): Entry => ({
    term: currentTerm,
    type: 'Command',
    payload,
    configuration: null,
  }));
  raft.output.proposed = { firstIndex: logIndex(raft.trail.lastIndex + 1), term: currentTerm };
  appendEntries(raft, entries);
  broadcastEntries(raft);
  advanceCommit(raft);
}

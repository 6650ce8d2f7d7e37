/** What a leader does with time: heartbeats, and stepping down when nobody answers (thesis §6.2). */
import { majority } from './configuration.ts';
import { latestConfiguration } from './raft.ts';
import type { Raft } from './raft.ts';
import { heartbeat } from './replication.ts';
import { sendChunk } from './snapshot.ts';
import { becomeFollower } from './terms.ts';

/** One tick of a leader: heartbeats, and a check that a majority still answers (thesis §6.2). */
export function tickLeader(raft: Raft): void {
  raft.quorumElapsedTicks += 1;
  if (raft.quorumElapsedTicks >= raft.options.electionTicksMin) {
    raft.quorumElapsedTicks = 0;
    if (!checkQuorum(raft)) {
      becomeFollower(raft, raft.currentTerm, null);
      return;
    }
  }
  tickTransfer(raft);
  tickSnapshots(raft);
  raft.heartbeatElapsedTicks += 1;
  if (raft.heartbeatElapsedTicks >= raft.options.heartbeatTicks) heartbeat(raft);
}

/** A leader that a majority does not answer steps down, so that clients go elsewhere (thesis §6.2). */
function checkQuorum(raft: Raft): boolean {
  const { voters } = latestConfiguration(raft).configuration;
  const active = voters.filter(
    ({ id }) => id === raft.id || raft.progress.get(id)?.isActive === true,
  );
  for (const progress of raft.progress.values()) progress.isActive = false;
  return active.length >= majority(voters.length);
}

/** A transfer that takes longer than an election is given up (thesis §3.10). */
function tickTransfer(raft: Raft): void {
  if (raft.transfer === null) return;
  raft.transfer.elapsedTicks += 1;
  if (raft.transfer.elapsedTicks < raft.options.electionTicksMin) return;
  raft.transfer = null;
  raft.output.transferAborted = true;
}

/** A chunk that is not answered within an election time-out is sent again. */
function tickSnapshots(raft: Raft): void {
  for (const [id, progress] of raft.progress) {
    if (progress.transfer === null) continue;
    progress.transfer.idleTicks += 1;
    if (progress.transfer.idleTicks >= raft.options.electionTicksMin) sendChunk(raft, id, progress);
  }
}

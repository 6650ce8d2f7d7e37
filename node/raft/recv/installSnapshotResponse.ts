/** Receiving the answer to InstallSnapshot. */
import type { InstallSnapshotResponse } from '../messages.ts';
import type { Raft } from '../raft.ts';
import { advanceReads } from '../readIndex.ts';
import { sendChunk } from '../snapshot.ts';
import type { ServerId } from '../types.ts';

/** Sends the chunk that the peer needs next. */
export function recvInstallSnapshotResponse(
  raft: Raft,
  from: ServerId,
  { index, nextOffset, round }: InstallSnapshotResponse,
): void {
  const progress = raft.progress.get(from);
  if (raft.role !== 'Leader' || progress === undefined) return;
  progress.isActive = true;
  progress.hasAnswered = true;
  progress.ackedRound = Math.max(progress.ackedRound, Math.min(round, raft.round));
  advanceReads(raft);
  const { transfer } = progress;
  if (transfer?.snapshot.index !== index || nextOffset > transfer.snapshot.sizeBytes) return;
  // A repeated answer must not make a second stream of chunks.
  if (nextOffset === transfer.offset) return;
  transfer.offset = nextOffset;
  sendChunk(raft, from, progress);
}

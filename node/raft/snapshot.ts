/** Snapshots: taking, sending in chunks, installing (Raft §7, Figure 13). */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex } from '../../base/units.ts';
import { restartLog } from './appendLog.ts';
import type { SnapshotInfo } from './snapshotInfo.ts';
import type { Progress } from './progress.ts';
import { followerRole } from './raft.ts';
import type { Raft } from './raft.ts';
import { send, sendMatch } from './send.ts';
import type { ServerId } from './types.ts';

/** Sends the next chunk of the snapshot that a peer is getting. One chunk is in flight at a time. */
export function sendChunk(raft: Raft, to: ServerId, progress: Progress): void {
  const { transfer } = progress;
  assert(transfer !== null, 'Chunks go to peers that get a snapshot');
  transfer.idleTicks = 0;
  const { snapshot, offset } = transfer;
  const lengthBytes = Math.min(raft.options.snapshotChunkBytes, snapshot.sizeBytes - offset);
  assert(lengthBytes >= 0, 'A chunk lies within the snapshot');
  send(raft, to, {
    type: 'InstallSnapshot',
    term: raft.currentTerm,
    snapshot,
    offset,
    lengthBytes,
  });
}

/** The snapshots whose bytes peers are still getting; the driver keeps them. */
export function snapshotsInUse(raft: Raft): Set<LogIndex> {
  const inUse = new Set<LogIndex>();
  if (raft.snapshot !== null) inUse.add(raft.snapshot.index);
  for (const { transfer } of raft.progress.values())
    if (transfer !== null) inUse.add(transfer.snapshot.index);
  return inUse;
}

/** A snapshot of this server's state is durable: the log below it is not needed but for stragglers. */
export function snapshotTaken(raft: Raft, snapshot: SnapshotInfo): void {
  assert(snapshot.index <= raft.lastApplied, 'A snapshot holds applied entries only');
  if (raft.snapshot !== null && snapshot.index <= raft.snapshot.index) return;
  assert(snapshot.term === raft.trail.termAt(snapshot.index), 'A snapshot names its last entry');
  raft.snapshot = snapshot;
  const compactTo = logIndex(Math.max(snapshot.index - raft.options.trailingEntries, 0));
  if (compactTo <= raft.trail.baseIndex) return;
  raft.trail.compactTo(compactTo);
  raft.output.compactTo = compactTo;
}

/**
 * The snapshot that the leader sent is durable and restored. It replaces the whole log, because the log did
 * not hold its last entry (Raft Figure 13, step 7).
 */
export function snapshotPersisted(raft: Raft, snapshot: SnapshotInfo): void {
  const from = raft.incoming?.from ?? null;
  assert(snapshot.index > raft.commitIndex, 'A snapshot never takes the state back');
  raft.incoming = null;
  raft.snapshot = snapshot;
  raft.trail.restartAfter(snapshot.index, snapshot.term);
  restartLog(raft, snapshot.index);
  raft.commitIndex = snapshot.index;
  raft.handedIndex = snapshot.index;
  raft.lastApplied = snapshot.index;
  raft.configurations = [
    {
      index: snapshot.configurationIndex,
      term: snapshot.term,
      configuration: snapshot.configuration,
    },
  ];
  if (raft.role === 'Follower' || raft.role === 'Learner') raft.role = followerRole(raft);
  // A committed prefix equals the log of every later leader.
  raft.matchedIndex = snapshot.index;
  if (from !== null && raft.leaderId === from) sendMatch(raft, from);
}

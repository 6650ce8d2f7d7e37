/** Receiving InstallSnapshot (Raft Figure 13). */
import { logIndex } from '../../../base/units.ts';
import type { LogIndex } from '../../../base/units.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { InstallSnapshot } from '../messages.ts';
import type { Raft } from '../raft.ts';
import { send, sendMatch } from '../send.ts';
import { heardFromLeader } from '../terms.ts';
import type { ServerId } from '../types.ts';

/**
 * Takes one chunk. Chunks are taken in order; the answer names the next offset, so that a transfer goes on
 * where it was, also under a new leader, or begins anew when this server has restarted.
 */
export function recvInstallSnapshot(raft: Raft, from: ServerId, message: InstallSnapshot): void {
  heardFromLeader(raft, from);
  if (raft.incoming?.isInstalling === true) return;
  const { snapshot, offset, data } = message;
  if (hasAlready(raft, snapshot)) {
    raft.incoming = null;
    raft.commitIndex = logIndex(Math.max(raft.commitIndex, snapshot.index));
    raft.matchedIndex = logIndex(Math.max(raft.matchedIndex, raft.commitIndex));
    sendMatch(raft, from);
    return;
  }
  const receivedBytes =
    raft.incoming !== null && isSameSnapshot(raft.incoming.snapshot, snapshot)
      ? raft.incoming.receivedBytes
      : 0;
  const incoming = { snapshot, from, receivedBytes, isInstalling: false };
  raft.incoming = incoming;
  if (offset !== incoming.receivedBytes) {
    sendNextOffset(raft, from, snapshot.index, incoming.receivedBytes);
    return;
  }
  incoming.receivedBytes += data.length;
  raft.output.snapshotChunk = { offset, data };
  if (incoming.receivedBytes < snapshot.sizeBytes) {
    sendNextOffset(raft, from, snapshot.index, incoming.receivedBytes);
    return;
  }
  // Complete; the acknowledgement waits until it is durable (SnapshotPersisted).
  incoming.isInstalling = true;
  raft.output.installSnapshot = snapshot;
}

/** "If existing log entry has same index and term as snapshot's last included entry, retain it" (step 6). */
function hasAlready(raft: Raft, { index, term }: SnapshotInfo): boolean {
  return index <= raft.commitIndex || raft.trail.termAt(index) === term;
}

function isSameSnapshot(a: SnapshotInfo, b: SnapshotInfo): boolean {
  return (
    a.index === b.index &&
    a.term === b.term &&
    a.sizeBytes === b.sizeBytes &&
    a.checksum === b.checksum
  );
}

function sendNextOffset(raft: Raft, to: ServerId, index: LogIndex, nextOffset: number): void {
  send(raft, to, {
    type: 'InstallSnapshotResponse',
    term: raft.currentTerm,
    round: raft.roundSeen,
    index,
    nextOffset,
  });
}

/** The leader's side of log replication: what to send to whom (Raft §5.3). */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { membersOf } from './configuration.ts';
import { becomeProbe, becomeSnapshot, isPaused, newProgress, recordSent } from './progress.ts';
import type { Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { send } from './send.ts';
import { sendChunk } from './snapshot.ts';
import type { ServerId } from './types.ts';

/**
 * Keeps a progress for each peer. While a membership change is not committed, those that it removes are
 * kept, too, so that they learn of their removal.
 * @param knownTo - Where newcomers are probed: the entries behind it are sent first.
 */
export function syncProgress(raft: Raft, knownTo = raft.trail.lastIndex): void {
  const wanted = new Set<ServerId>();
  const { configurations } = raft;
  const committed = configurations.findLastIndex((one) => one.index <= raft.commitIndex);
  for (const { configuration } of configurations.slice(Math.max(committed, 0)))
    for (const { id } of membersOf(configuration)) if (id !== raft.id) wanted.add(id);
  for (const id of [...raft.progress.keys()]) if (!wanted.has(id)) raft.progress.delete(id);
  for (const id of wanted) if (!raft.progress.has(id)) raft.progress.set(id, newProgress(knownTo));
}

/** Sends every peer what it lacks. */
export function broadcastEntries(raft: Raft): void {
  for (const [id, progress] of raft.progress) sendEntries(raft, id, progress);
}

/** Sends a peer what it lacks, as far as the limits allow, and an advance of the commit index at once. */
export function sendEntries(raft: Raft, to: ServerId, progress: Progress): void {
  while (!isPaused(progress, raft.options) && progress.nextIndex <= raft.trail.lastIndex) {
    const prevTerm = raft.trail.termAt(progress.nextIndex - 1);
    if (prevTerm === null) {
      startSnapshot(raft, to, progress);
      return;
    }
    const from = progress.nextIndex;
    const { last, sizeBytes } = raft.trail.lastFitting(from, raft.options.appendBytesMax);
    sendRange(raft, to, { progress, prevTerm, lastIndex: last });
    if (progress.state === 'Probe') progress.isProbeSent = true;
    else recordSent(progress, last, sizeBytes);
  }
  if (progress.state === 'Replicate' && progress.sentCommit < raft.commitIndex)
    sendEmpty(raft, to, progress);
}

function sendRange(
  raft: Raft,
  to: ServerId,
  range: { readonly progress: Progress; readonly prevTerm: Term; readonly lastIndex: LogIndex },
): void {
  range.progress.sentCommit = raft.commitIndex;
  send(raft, to, {
    type: 'AppendEntries',
    term: raft.currentTerm,
    prevLogIndex: logIndex(range.progress.nextIndex - 1),
    prevLogTerm: range.prevTerm,
    lastIndex: range.lastIndex,
    leaderCommit: raft.commitIndex,
    round: raft.round,
  });
}

/**
 * Sends an AppendEntries without entries: a heartbeat, a round of a read, or an advanced commit index. Its
 * consistency check finds out messages that were lost; a peer that gets a snapshot is asked nothing (index 0).
 */
export function sendEmpty(raft: Raft, to: ServerId, progress: Progress): void {
  const prevIndex = logIndex(progress.nextIndex - 1);
  const prevTerm = raft.trail.termAt(prevIndex);
  if (progress.state !== 'Snapshot' && prevTerm !== null) {
    sendRange(raft, to, { progress, prevTerm, lastIndex: prevIndex });
    return;
  }
  // What was in flight is compacted: if it was lost, nothing else would ever find that out.
  if (progress.state !== 'Snapshot') startSnapshot(raft, to, progress);
  send(raft, to, {
    type: 'AppendEntries',
    term: raft.currentTerm,
    prevLogIndex: logIndex(0),
    prevLogTerm: 0 as Term,
    lastIndex: logIndex(0),
    leaderCommit: raft.commitIndex,
    round: raft.round,
  });
}

function startSnapshot(raft: Raft, to: ServerId, progress: Progress): void {
  const { snapshot } = raft;
  assert(snapshot !== null, 'A log is compacted only below a snapshot');
  becomeSnapshot(progress, snapshot);
  sendChunk(raft, to, progress);
}

/** Sends a heartbeat to every peer; one that was probed in vain is probed again. */
export function heartbeat(raft: Raft): void {
  raft.heartbeatElapsedTicks = 0;
  for (const [id, progress] of raft.progress) {
    progress.isProbeSent = false;
    sendEmpty(raft, id, progress);
  }
}

/** A peer could not be reached: what is in flight to it is taken for lost. */
export function peerUnreachable(raft: Raft, id: ServerId): void {
  const progress = raft.progress.get(id);
  if (progress?.state === 'Replicate') becomeProbe(progress);
}

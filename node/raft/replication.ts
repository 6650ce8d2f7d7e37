/** The leader's side of log replication: what to send to whom, and what is committed (Raft §5.3, §5.4). */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { isVoter, majority, membersOf, quorumValue } from './configuration.ts';
import { becomeProbe, becomeSnapshot, isPaused, newProgress, recordSent } from './progress.ts';
import type { Progress } from './progress.ts';
import { latestConfiguration } from './raft.ts';
import type { Raft } from './raft.ts';
import { advanceReads } from './readIndex.ts';
import { send } from './send.ts';
import { sendChunk } from './snapshot.ts';
import { becomeFollower } from './terms.ts';
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

/** Sends a heartbeat to every peer; one that was probed in vain is probed again. */
export function heartbeat(raft: Raft): void {
  raft.heartbeatElapsedTicks = 0;
  for (const [id, progress] of raft.progress) {
    progress.isProbeSent = false;
    sendEmpty(raft, id, progress);
  }
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

/** A peer could not be reached: what is in flight to it is taken for lost. */
export function peerUnreachable(raft: Raft, id: ServerId): void {
  const progress = raft.progress.get(id);
  if (progress?.state === 'Replicate') becomeProbe(progress);
}

/** The index that the logs of a majority of the voters have reached durably. */
function replicatedIndex(raft: Raft): number {
  const { voters, learners } = latestConfiguration(raft).configuration;
  const matchOf = (id: ServerId): number =>
    id === raft.id ? raft.persistedIndex : (raft.progress.get(id)?.matchIndex ?? 0);
  if (raft.bugs.learnerCounted) {
    const all = [...voters, ...learners].map(({ id }) => matchOf(id)).sort((a, b) => b - a);
    return all[majority(voters.length) - 1] ?? 0;
  }
  return quorumValue(voters.map(({ id }) => matchOf(id)));
}

/**
 * "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and log[N].term ==
 * currentTerm: set commitIndex = N" (Raft Figure 2).
 */
export function advanceCommit(raft: Raft): void {
  const index = logIndex(replicatedIndex(raft));
  if (index <= raft.commitIndex) return;
  if (raft.trail.termAt(index) !== raft.currentTerm && !raft.bugs.commitOlderTerm) return;
  raft.commitIndex = index;
  broadcastEntries(raft);
  advanceReads(raft);
  const latest = latestConfiguration(raft);
  if (latest.index > raft.commitIndex) return;
  syncProgress(raft);
  if (!isVoter(latest.configuration, raft.id)) leaveOffice(raft);
}

/**
 * A leader that was removed or demoted steps down once that is committed (thesis §4.2.2), and asks the voter
 * with the longest log to stand at once, so that nobody has to wait for a time-out.
 */
function leaveOffice(raft: Raft): void {
  let best: ServerId | null = null;
  let bestIndex = -1;
  for (const { id } of latestConfiguration(raft).configuration.voters) {
    const matchIndex = raft.progress.get(id)?.matchIndex ?? 0;
    if (matchIndex <= bestIndex) continue;
    best = id;
    bestIndex = matchIndex;
  }
  if (best !== null) send(raft, best, { type: 'TimeoutNow', term: raft.currentTerm });
  becomeFollower(raft, raft.currentTerm, null);
}

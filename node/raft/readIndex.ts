/**
 * Linearizable reads without log entries (thesis §6.4): the leader notes its commit index, makes sure by a
 * round of heartbeats that it still leads, and the reader waits until that index is applied.
 *
 * Rounds are numbered; every AppendEntries names the newest one, and every answer the newest one seen. Reads
 * that come while a round is under way share the next one.
 */
import { logIndex } from '../../base/units.ts';
import { quorumValue } from './configuration.ts';
import { latestConfiguration } from './raft.ts';
import type { PendingRead, Raft } from './raft.ts';
import { heartbeat } from './replication.ts';
import { send } from './send.ts';
import type { ServerId } from './types.ts';

/** Starts a read of this server (`from` null) or of a follower. */
export function requestRead(raft: Raft, context: number, from: ServerId | null): void {
  if (raft.role === 'Leader') {
    leaderRead(raft, context, from);
  } else if (from === null && raft.leaderId !== null) {
    send(raft, raft.leaderId, { type: 'ReadIndexRequest', term: raft.currentTerm, context });
  } else {
    answer(raft, { context, from, index: null, round: 0 });
  }
}

function leaderRead(raft: Raft, context: number, from: ServerId | null): void {
  const read: PendingRead = { context, from, index: null, round: 0 };
  if (raft.reads.length >= raft.options.readsMax) {
    answer(raft, read);
    return;
  }
  raft.reads.push(read);
  advanceReads(raft);
}

/**
 * Moves reads on: gives them an index once an entry of this term is committed ("a leader must have the latest
 * information on which entries are committed"), starts a round, answers those whose round is complete.
 */
export function advanceReads(raft: Raft): void {
  if (raft.role !== 'Leader' || raft.reads.length === 0) return;
  if (raft.trail.termAt(raft.commitIndex) !== raft.currentTerm) return;
  for (const read of raft.reads) {
    if (read.index !== null) continue;
    read.index = raft.commitIndex;
    read.round = raft.round + 1;
  }
  finishReads(raft);
  // One round at a time: reads that came meanwhile go with the next one.
  if (raft.reads.length > 0 && completedRound(raft) >= raft.round) {
    raft.round += 1;
    heartbeat(raft);
    finishReads(raft);
  }
}

/** The newest round that a majority of the voters has answered. */
function completedRound(raft: Raft): number {
  if (raft.bugs.readWithoutQuorum) return Number.MAX_SAFE_INTEGER;
  const { voters } = latestConfiguration(raft).configuration;
  return quorumValue(
    voters.map(({ id }) =>
      id === raft.id ? raft.round : (raft.progress.get(id)?.ackedRound ?? 0),
    ),
  );
}

function finishReads(raft: Raft): void {
  const completed = completedRound(raft);
  const done = raft.reads.filter((read) => read.index !== null && read.round <= completed);
  if (done.length === 0) return;
  raft.reads = raft.reads.filter((read) => read.index === null || read.round > completed);
  for (const read of done) answer(raft, read);
}

/** Tells all readers to ask again: this server does not lead any more. */
export function abortReads(raft: Raft): void {
  const aborted = raft.reads;
  raft.reads = [];
  for (const read of aborted) answer(raft, { ...read, index: null });
}

function answer(raft: Raft, { context, from, index }: PendingRead): void {
  const known = index === null ? null : logIndex(index);
  if (from === null) raft.output.readStates.push({ context, index: known });
  else
    send(raft, from, {
      type: 'ReadIndexResponse',
      term: raft.currentTerm,
      context,
      index: known,
    });
}

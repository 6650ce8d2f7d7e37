/**
 * What the leader knows of one peer's log, and what may be sent to it.
 *
 * - `Probe`: the match is not known; one message with entries at a time, one more at each heartbeat.
 * - `Replicate`: the match is known; messages are pipelined within the limits on what is in flight.
 * - `Snapshot`: the entries that the peer needs are compacted; chunks of a snapshot go out one by one.
 *
 * Invariant: `0 <= matchIndex < nextIndex`.
 */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex } from '../../base/units.ts';
import type { SnapshotInfo } from './snapshotInfo.ts';

export type ProgressState = 'Probe' | 'Replicate' | 'Snapshot';

interface InFlight {
  readonly lastIndex: LogIndex;
  readonly sizeBytes: number;
}

/** A snapshot on its way to a peer. */
export interface SnapshotTransfer {
  readonly snapshot: SnapshotInfo;
  /** The bytes that the peer has acknowledged: where the next chunk begins. */
  offset: number;
  /** Ticks since the last chunk was sent or acknowledged. */
  idleTicks: number;
}

export interface Progress {
  state: ProgressState;
  matchIndex: LogIndex;
  nextIndex: LogIndex;
  /** Heard from since the last quorum check. */
  isActive: boolean;
  /** Heard from at all since this server leads. */
  hasAnswered: boolean;
  /** In `Probe`: a message with entries is out and neither answered nor overtaken by a heartbeat. */
  isProbeSent: boolean;
  /** The commit index that was sent last, so that an advance is sent on at once, and once. */
  sentCommit: LogIndex;
  /** The newest heartbeat round that the peer has answered (read index). */
  ackedRound: number;
  inFlight: InFlight[];
  inFlightBytes: number;
  transfer: SnapshotTransfer | null;
}

/** A peer of which a new leader knows nothing (Raft Figure 2: nextIndex, matchIndex). */
export function newProgress(lastIndex: LogIndex): Progress {
  return {
    state: 'Probe',
    matchIndex: logIndex(0),
    nextIndex: logIndex(lastIndex + 1),
    isActive: true,
    hasAnswered: false,
    isProbeSent: false,
    sentCommit: logIndex(0),
    ackedRound: 0,
    inFlight: [],
    inFlightBytes: 0,
    transfer: null,
  };
}

/** Goes back to one message at a time, from what is known to match or from `nextIndex`. */
export function becomeProbe(progress: Progress, nextIndex = progress.matchIndex + 1): void {
  progress.state = 'Probe';
  progress.nextIndex = logIndex(Math.max(nextIndex, progress.matchIndex + 1));
  progress.isProbeSent = false;
  progress.sentCommit = logIndex(0);
  progress.inFlight = [];
  progress.inFlightBytes = 0;
  progress.transfer = null;
}

/** Starts pipelining from what is known to match. */
export function becomeReplicate(progress: Progress): void {
  becomeProbe(progress);
  progress.state = 'Replicate';
}

/** Starts sending a snapshot from its first byte. */
export function becomeSnapshot(progress: Progress, snapshot: SnapshotInfo): void {
  becomeProbe(progress);
  progress.state = 'Snapshot';
  progress.transfer = { snapshot, offset: 0, idleTicks: 0 };
}

/** Records that the peer holds everything up to `matchIndex`; false when that is old news. */
export function advanceMatch(progress: Progress, matchIndex: LogIndex): boolean {
  progress.nextIndex = logIndex(Math.max(progress.nextIndex, matchIndex + 1));
  if (matchIndex <= progress.matchIndex) return false;
  progress.matchIndex = matchIndex;
  let done = 0;
  for (const sent of progress.inFlight) {
    if (sent.lastIndex > matchIndex) break;
    progress.inFlightBytes -= sent.sizeBytes;
    done += 1;
  }
  if (done > 0) progress.inFlight.splice(0, done);
  return true;
}

/** Records that entries up to `lastIndex` are on their way. */
export function recordSent(progress: Progress, lastIndex: LogIndex, sizeBytes: number): void {
  assert(progress.state === 'Replicate', 'Only a replicating peer has messages in flight');
  progress.inFlight.push({ lastIndex, sizeBytes });
  progress.inFlightBytes += sizeBytes;
  progress.nextIndex = logIndex(lastIndex + 1);
}

/** Whether no further entries may be sent now. */
export function isPaused(
  progress: Progress,
  limits: { readonly inFlightMessagesMax: number; readonly inFlightBytesMax: number },
): boolean {
  switch (progress.state) {
    case 'Probe':
      return progress.isProbeSent;
    case 'Replicate':
      return (
        progress.inFlight.length >= limits.inFlightMessagesMax ||
        progress.inFlightBytes >= limits.inFlightBytesMax
      );
    case 'Snapshot':
      return true;
  }
}

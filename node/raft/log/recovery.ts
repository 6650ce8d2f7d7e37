/**
 * Replaying the segments in order gives the hard state and the entries; the newest snapshot says from where on
 * they count. What cannot be explained by a crash is an error, never a shorter log.
 */
import type { Disk } from '../../../base/disk.ts';
import { messageOf } from '../../../base/errors.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';
import { decodeConfiguration } from '../configuration.ts';
import { entryTypeOf } from '../entry.ts';
import type { Entry } from '../entry.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { HardState, ServerId } from '../types.ts';
import { decodeUtf8 } from '../../../base/bytes.ts';
import { corrupt, decodeHeader, HEADER_BYTES, RECORD_TYPES } from './format.ts';
import type { LogRecord, SegmentHeader } from './format.ts';
import { scanSegment } from './segmentScan.ts';
import type { ScannedSegment } from './segmentScan.ts';

const NAME = /^log-([0-9a-f]{16})$/;

/** A segment file as the log keeps track of it. */
export interface SegmentFile {
  readonly path: string;
  readonly sequence: number;
  /** No entry in it is above this index. */
  maxIndex: number;
}

export interface Replayed {
  readonly segments: SegmentFile[];
  readonly last: ScannedSegment | null;
  readonly hardState: HardState;
  readonly baseIndex: LogIndex;
  readonly baseTerm: Term;
  readonly entries: Entry[];
  /** The snapshot has replaced the log, and the log does not say so yet. */
  readonly needsRestart: boolean;
}

/** Mutable state of a replay. */
interface Replay {
  hardState: HardState;
  baseIndex: number;
  /** Null: the entry before the first one is known by its index only. */
  baseTerm: number | null;
  entries: Entry[];
}

/** The path of a segment. */
export function segmentPath(directory: string, sequence: number): string {
  return `${directory}/log-${sequence.toString(16).padStart(16, '0')}`;
}

/** Reads all segments. @throws {WalrusError} CORRUPT_SEGMENT, UNSUPPORTED_VERSION. */
export function replay(disk: Disk, directory: string, snapshot: SnapshotInfo | null): Replayed {
  const paths = disk
    .list(directory)
    .filter((name) => NAME.test(name))
    .map((name) => `${directory}/${name}`);
  const headers = paths.map((path) => readHeader(disk, path));
  const state: Replay = {
    hardState: { currentTerm: term(0), votedFor: null },
    baseIndex: 0,
    baseTerm: 0,
    entries: [],
  };
  const segments: SegmentFile[] = [];
  let last: ScannedSegment | null = null;
  for (const [position, path] of paths.entries()) {
    const header = headers[position] as SegmentHeader;
    checkOrder(path, header, headers[position - 1]);
    last = scanSegment(disk, path, headers[position + 1]?.previousEnd ?? null);
    if (position === 0) startAt(state, header);
    segments.push({ path, sequence: header.sequence, maxIndex: replaySegment(state, last, path) });
  }
  return { segments, last, hardState: state.hardState, ...settle(state, snapshot, directory) };
}

function readHeader(disk: Disk, path: string): SegmentHeader {
  const file = disk.open(path);
  try {
    const bytes = new Uint8Array(HEADER_BYTES);
    return decodeHeader(bytes.subarray(0, file.read(bytes, 0)), path);
  } finally {
    file.close();
  }
}

function checkOrder(path: string, header: SegmentHeader, before: SegmentHeader | undefined): void {
  if (!path.endsWith(header.sequence.toString(16).padStart(16, '0')))
    throw corrupt(path, 'it belongs under another name', 16);
  if (before !== undefined && header.sequence !== before.sequence + 1)
    throw corrupt(path, `segment ${before.sequence + 1} before it is missing`, 16);
}

function startAt(state: Replay, header: SegmentHeader): void {
  const { currentTerm, votedFor } = header;
  state.hardState = { currentTerm, votedFor };
  state.baseIndex = header.lastIndex;
  state.baseTerm = header.lastTerm;
}

/** Applies a segment's records; returns the highest index in it. */
function replaySegment(state: Replay, segment: ScannedSegment, path: string): number {
  let maxIndex = 0;
  for (const record of segment.records) {
    maxIndex = Math.max(maxIndex, record.index);
    try {
      replayRecord(state, record);
    } catch (error) {
      throw corrupt(path, messageOf(error), 0);
    }
  }
  return maxIndex;
}

function replayRecord(state: Replay, record: LogRecord): void {
  switch (record.type) {
    case RECORD_TYPES.entry:
      replayEntry(state, record);
      return;
    case RECORD_TYPES.hardState: {
      const votedFor = decodeUtf8(record.payload);
      state.hardState = {
        currentTerm: term(record.term),
        votedFor: votedFor === '' ? null : (votedFor as ServerId),
      };
      return;
    }
    case RECORD_TYPES.mark:
      return;
    case RECORD_TYPES.restart:
      state.baseIndex = record.index;
      state.baseTerm = record.term;
      state.entries = [];
      return;
    default:
      throw new Error(`a record has the unknown type ${record.type}`);
  }
}

function replayEntry(state: Replay, record: LogRecord): void {
  const { index, payload } = record;
  const type = entryTypeOf(record.entryType);
  if (type === undefined) throw new Error(`an entry has the unknown type ${record.entryType}`);
  const configuration = type === 'Configuration' ? decodeConfiguration(payload) : null;
  if (index > state.baseIndex + state.entries.length + 1)
    throw new Error(`the entries before ${index} are missing`);
  if (index <= state.baseIndex) {
    // It replaces entries of segments that are gone; the base moves down with it.
    state.baseIndex = index - 1;
    state.baseTerm = null;
    state.entries = [];
  }
  state.entries.length = index - state.baseIndex - 1;
  state.entries.push({ term: term(record.term), type, payload, configuration });
}

/** Fits the log to the snapshot. */
function settle(
  state: Replay,
  snapshot: SnapshotInfo | null,
  directory: string,
): Pick<Replayed, 'baseIndex' | 'baseTerm' | 'entries' | 'needsRestart'> {
  const { baseIndex, baseTerm, entries } = state;
  const end = { index: snapshot?.index ?? logIndex(0), term: snapshot?.term ?? term(0) };
  if (baseIndex > end.index)
    throw corrupt(
      directory,
      `the log begins after ${baseIndex}, the snapshot ends at ${end.index}`,
      0,
    );
  if (!agrees(state, end))
    return { baseIndex: end.index, baseTerm: end.term, entries: [], needsRestart: true };
  if (baseTerm !== null)
    return {
      baseIndex: logIndex(baseIndex),
      baseTerm: term(baseTerm),
      entries,
      needsRestart: false,
    };
  const kept = entries.slice(end.index - baseIndex);
  return { baseIndex: end.index, baseTerm: end.term, entries: kept, needsRestart: false };
}

/**
 * Whether the log holds the snapshot's last entry. When it does not, the snapshot came from the leader, and the
 * node stopped before the log was begun anew.
 */
function agrees({ baseIndex, baseTerm, entries }: Replay, end: SnapshotEnd): boolean {
  if (end.index === baseIndex) return baseTerm === null || baseTerm === end.term;
  return entries[end.index - baseIndex - 1]?.term === end.term;
}

interface SnapshotEnd {
  readonly index: LogIndex;
  readonly term: Term;
}

/**
 * Reading one segment file back. Decides between a torn write, which is cut off, and damage, which is an error:
 * a bad record is damage when a segment after this one, or an intact record behind it, says that the place was
 * durable (DESIGN D1). A write that was never synced can tear in any way and leave intact pieces behind it.
 */
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { corrupt, decodeHeader, HEADER_BYTES, readRecord, recordBytes, seedOf } from './format.ts';
import type { LogRecord, SegmentHeader } from './format.ts';

export interface ScannedSegment {
  readonly header: SegmentHeader;
  readonly records: readonly LogRecord[];
  /** Where the records end. */
  readonly end: number;
  /** Everything below is known to have been synced: the rest may be in the page cache only. */
  readonly provenEnd: number;
}

/** Reads a whole file. */
export function readWhole(file: DiskFile): Uint8Array {
  const bytes = new Uint8Array(file.sizeBytes());
  const count = file.read(bytes, 0);
  return bytes.subarray(0, count);
}

/**
 * Reads a segment.
 * @param knownEnd - Where its records must end, as the next segment says; null for the last segment.
 * @throws {WalrusError} CORRUPT_SEGMENT when something durable is not intact.
 */
export function scanSegment(disk: Disk, path: string, knownEnd: number | null): ScannedSegment {
  const file = disk.open(path);
  try {
    return scanBytes(readWhole(file), path, knownEnd);
  } finally {
    file.close();
  }
}

function scanBytes(bytes: Uint8Array, path: string, knownEnd: number | null): ScannedSegment {
  const header = decodeHeader(bytes, path);
  const seed = seedOf(header.sequence);
  const limit = knownEnd ?? bytes.length;
  const records: LogRecord[] = [];
  let [end, provenEnd] = [HEADER_BYTES, HEADER_BYTES];
  while (end < limit) {
    const record = readRecord(bytes, end, seed);
    if (record === null) break;
    records.push(record);
    provenEnd = Math.max(provenEnd, record.syncedTo);
    end += recordBytes(record.payload.length);
  }
  if (knownEnd !== null) {
    if (end !== knownEnd) throw corrupt(path, 'a durable record is not intact', end);
    return { header, records, end, provenEnd: end };
  }
  if (isDurableAt(bytes, end, seed)) throw corrupt(path, 'a durable record is not intact', end);
  return { header, records, end, provenEnd };
}

/** Whether an intact record behind `position` says that `position` was durable when it was written. */
function isDurableAt(bytes: Uint8Array, position: number, seed: number): boolean {
  for (let at = position + 8; at < bytes.length; at += 8) {
    // Most of what lies there is zeros; a record never begins with a zero length and type.
    if (bytes[at + 8] === 0) continue;
    const record = readRecord(bytes, at, seed);
    if (record !== null && record.syncedTo > position) return true;
  }
  return false;
}

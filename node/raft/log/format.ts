/**
 * The bytes of the Raft log's segment files. Little-endian; records are aligned to 8 bytes.
 *
 * A segment file is pre-written or recycled: behind its last record lie zeros or records of an earlier
 * life. Each checksum is seeded with the file's sequence number, so old records are never taken for new.
 *
 * Header, 512 bytes, written and synced before the file gets its name:
 *
 * | offset | bytes | what                                                               |
 * |--------|-------|--------------------------------------------------------------------|
 * | 0      | 8     | magic, `WALRRAFT`                                                  |
 * | 8      | 4     | CRC-32C of bytes 12 to 511                                         |
 * | 12     | 4     | format version, 1                                                  |
 * | 16     | 8     | sequence number of the segment, from 1, never reused               |
 * | 24     | 8     | where the records of the segment before end; all of them are synced |
 * | 32     | 8     | currentTerm when the segment was begun                             |
 * | 40     | 8     | last index of the log when the segment was begun                   |
 * | 48     | 8     | its term                                                           |
 * | 56     | 4 + n | votedFor, UTF-8, empty for none                                    |
 * | ...    |       | zeros                                                              |
 *
 * Record:
 *
 * | offset | bytes | what                                                               |
 * |--------|-------|--------------------------------------------------------------------|
 * | 0      | 4     | CRC-32C of bytes 4 to the end of the payload, seeded as above       |
 * | 4      | 4     | length of the payload                                              |
 * | 8      | 1     | record type: 1 entry, 2 hard state, 3 mark, 4 restart              |
 * | 9      | 1     | entry type (entry.ts), else 0                                      |
 * | 10     | 6     | zeros                                                              |
 * | 16     | 8     | bytes of this file that were durable when the record was written   |
 * | 24     | 8     | term (entry, restart), currentTerm (hard state), else 0            |
 * | 32     | 8     | index (entry, restart), else 0                                     |
 * | 40     | n     | payload: of the entry; votedFor (hard state); padded to 8 bytes     |
 *
 * An entry whose index is not behind the last one replaces everything from its index on. `restart` voids
 * all entries: the log goes on after (index, term), the end of a snapshot. `mark` only says what is durable.
 */
import { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { WalrusError } from '../../../base/errors.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';
import type { ServerId } from '../types.ts';

export const HEADER_BYTES = 512;
export const RECORD_HEADER_BYTES = 40;
const MAGIC = 0x54_46_41_52_52_4c_41_57n; // "WALRRAFT", first byte lowest
const FORMAT_VERSION = 1;
const NUMBER_MAX = 2 ** 52;

export const RECORD_TYPES = { entry: 1, hardState: 2, mark: 3, restart: 4 } as const;

/** The first bytes of a segment file. */
export interface SegmentHeader {
  readonly sequence: number;
  readonly previousEnd: number;
  readonly currentTerm: Term;
  readonly votedFor: ServerId | null;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

/** A record as it is stored. */
export interface LogRecord {
  readonly type: number;
  readonly entryType: number;
  readonly syncedTo: number;
  readonly term: number;
  readonly index: number;
  readonly payload: Uint8Array;
}

/** The bytes of a segment's header. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const writer = new ByteWriter(HEADER_BYTES).u32(FORMAT_VERSION);
  writer.u64(header.sequence).u64(header.previousEnd).u64(header.currentTerm);
  writer
    .u64(header.lastIndex)
    .u64(header.lastTerm)
    .text(header.votedFor ?? '');
  bytes.set(writer.view(), 12);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setUint32(8, crc32c(bytes.subarray(12)), true);
  return bytes;
}

/** @throws {WalrusError} CORRUPT_SEGMENT, or UNSUPPORTED_VERSION for an intact header of another version. */
export function decodeHeader(bytes: Uint8Array, path: string): SegmentHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isIntact =
    bytes.length >= HEADER_BYTES &&
    view.getBigUint64(0, true) === MAGIC &&
    view.getUint32(8, true) === crc32c(bytes.subarray(12, HEADER_BYTES));
  if (!isIntact) throw corrupt(path, 'its header is damaged', 0);
  const reader = new ByteReader(bytes.subarray(12, HEADER_BYTES), 'Raft log header');
  const version = reader.u32();
  if (version !== FORMAT_VERSION)
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot open ${path}: it has format version ${version}, this build knows ${FORMAT_VERSION}`,
    );
  const [sequence, previousEnd, currentTerm] = [reader.u64(), reader.u64(), term(reader.u64())];
  const [lastIndex, lastTerm] = [logIndex(reader.u64()), term(reader.u64())];
  const votedFor = reader.text();
  return {
    sequence,
    previousEnd,
    currentTerm,
    lastIndex,
    lastTerm,
    votedFor: votedFor === '' ? null : (votedFor as ServerId),
  };
}

/** Damage that is named, with where it is. */
export function corrupt(path: string, problem: string, position: number): WalrusError {
  return new WalrusError(
    'CORRUPT_SEGMENT',
    `Cannot open the Raft log: ${path} is damaged at byte ${position}: ${problem}`,
    { details: { path, position } },
  );
}

/** The bytes that a record with a payload of this length takes. */
export function recordBytes(payloadBytes: number): number {
  return RECORD_HEADER_BYTES + Math.ceil(payloadBytes / 8) * 8;
}

/** The seed that ties a record to its file. */
export function seedOf(sequence: number): number {
  return crc32c(new ByteWriter(8).u64(sequence).view());
}

/** Appends a record to a staging buffer. */
export function writeRecord(writer: ByteWriter, record: LogRecord, seed: number): void {
  const start = writer.length;
  writer.u32(0).u32(record.payload.length).u8(record.type).u8(record.entryType).u16(0).u32(0);
  writer.u64(record.syncedTo).u64(record.term).u64(record.index).raw(record.payload);
  writer.patchU32(start, crc32c(writer.view().subarray(start + 4), seed));
  while ((writer.length - start) % 8 !== 0) writer.u8(0);
}

/** Reads the record at a position; null when there is no intact record of this file. */
export function readRecord(bytes: Uint8Array, position: number, seed: number): LogRecord | null {
  if (position + RECORD_HEADER_BYTES > bytes.length) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + position, bytes.length - position);
  const length = view.getUint32(4, true);
  if (length > view.byteLength - RECORD_HEADER_BYTES) return null;
  const end = position + RECORD_HEADER_BYTES + length;
  if (view.getUint32(0, true) !== crc32c(bytes.subarray(position + 4, end), seed)) return null;
  const numbers = [16, 24, 32].map((at) => Number(view.getBigUint64(at, true)));
  const [syncedTo = 0, recordTerm = 0, index = 0] = numbers;
  if (Math.max(syncedTo, recordTerm, index) > NUMBER_MAX) return null;
  const payload = bytes.slice(position + RECORD_HEADER_BYTES, end);
  return {
    type: view.getUint8(8),
    entryType: view.getUint8(9),
    syncedTo,
    term: recordTerm,
    index,
    payload,
  };
}

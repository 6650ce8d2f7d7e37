/**
 * The fields of a record batch (RecordBatch v2, big-endian) that the engine reads. The rest is opaque to it.
 *
 * | at | bytes | field                | | at | bytes | field           |
 * |---:|------:|----------------------|-|---:|------:|-----------------|
 * |  0 |     8 | baseOffset           | | 21 |     2 | attributes      |
 * |  8 |     4 | batchLength (from 12)| | 23 |     4 | lastOffsetDelta |
 * | 12 |     4 | partitionLeaderEpoch | | 35 |     8 | maxTimestamp    |
 * | 16 |     1 | magic = 2            | | 57 |     4 | recordsCount    |
 * | 17 |     4 | crc of 21..          | | 61 |       | records         |
 */
import { crc32c } from '../../base/crc32c.ts';

export const BATCH_HEADER_BYTES = 61;
export const BATCH_CRC_START = 21;
const BATCH_MAGIC = 2;
/** The largest offset a batch may reach. */
const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

/** What is wrong with a batch's header, or null. `length` is the number of bytes that the batch should have. */
export function batchProblem(view: DataView, at: number, length: number): string | null {
  if (length < BATCH_HEADER_BYTES) return `it has ${length} bytes, fewer than a header`;
  if (view.getInt8(at + 16) !== BATCH_MAGIC) return `its magic is ${view.getInt8(at + 16)}, not 2`;
  const stated = view.getInt32(at + 8) + 12;
  if (stated !== length) return `it has ${length} bytes and states ${stated}`;
  const count = batchCount(view, at);
  if (count < 1) return `it states ${count} records`;
  if (view.getInt32(at + 23) !== count - 1) return 'its last offset does not fit its record count';
  if (view.getInt32(at) < 0 || batchBaseOffset(view, at) + count > OFFSET_MAX) {
    return 'its base offset is out of range';
  }
  return null;
}

/** The offset of the batch's first record. */
export function batchBaseOffset(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** The number of records, as many as offsets. */
export function batchCount(view: DataView, at: number): number {
  return view.getInt32(at + 57);
}

/** The checksum that the batch states. */
export function batchCrc(view: DataView, at: number): number {
  return view.getUint32(at + 17);
}

/** The latest time of a record, in ms since 1970. */
export function batchMaxTimestamp(view: DataView, at: number): number {
  return view.getInt32(at + 35) * 2 ** 32 + view.getUint32(at + 39);
}

/** Whether the checksum is right. `bytes` is at `at` in its buffer's `view`. */
export function isBatchCrcRight(bytes: Uint8Array, at: number, length: number): boolean {
  const body = bytes.subarray(at + BATCH_CRC_START, at + length);
  const stated =
    (((bytes[at + 17] ?? 0) << 24) |
      ((bytes[at + 18] ?? 0) << 16) |
      ((bytes[at + 19] ?? 0) << 8) |
      (bytes[at + 20] ?? 0)) >>>
    0;
  return crc32c(body) === stated;
}

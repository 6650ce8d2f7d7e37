/**
 * The header of a record batch: Kafka's RecordBatch v2, on the wire, between replicas and on disk.
 * Nodes treat the records as opaque bytes: they check this header and the CRC, and patch the two fields that
 * the CRC does not cover. All integers are big-endian (Kafka's order; our own formats are little-endian).
 *
 * | at | size | field                | notes                                                         |
 * |----|------|----------------------|---------------------------------------------------------------|
 * | 0  | 8    | baseOffset           | offset of the first record; set by the segment's leader       |
 * | 8  | 4    | batchLength          | bytes after this field; the whole batch is 12 bytes larger    |
 * | 12 | 4    | partitionLeaderEpoch | set by nodes                                                  |
 * | 16 | 1    | magic                | 2                                                             |
 * | 17 | 4    | crc                  | CRC-32C of everything from `attributes` to the end            |
 * | 21 | 2    | attributes           | bits 0-2 compression, 3 log append time, 4 transactional,     |
 * |    |      |                      | 5 control, 6 delete horizon                                   |
 * | 23 | 4    | lastOffsetDelta      | recordsCount - 1                                              |
 * | 27 | 8    | baseTimestamp        | ms since 1970 of the first record                             |
 * | 35 | 8    | maxTimestamp         | the highest of the records                                    |
 * | 43 | 8    | producerId           | -1 without idempotence                                        |
 * | 51 | 2    | producerEpoch        | -1 without idempotence                                        |
 * | 53 | 4    | baseSequence         | sequence of the first record; -1 without idempotence          |
 * | 57 | 4    | recordsCount         | at least 1                                                    |
 * | 61 |      | records              | see recordIterator.ts                                         |
 *
 * @see Apache Kafka documentation, "Record Batch"; KIP-98
 */
import { assert } from '../base/assert.ts';
import { crc32c } from '../base/crc32c.ts';
import { WalrusError } from '../base/errors.ts';
import type { Offset } from '../base/units.ts';
import {
  readInt16,
  readInt32,
  readInt64,
  readInt8,
  readUint32,
  writeInt32,
  writeInt64,
} from './bigEndian.ts';

/** Where each field of the header begins. */
export const BATCH_FIELD = {
  BASE_OFFSET: 0,
  BATCH_LENGTH: 8,
  PARTITION_LEADER_EPOCH: 12,
  MAGIC: 16,
  CRC: 17,
  ATTRIBUTES: 21,
  LAST_OFFSET_DELTA: 23,
  BASE_TIMESTAMP: 27,
  MAX_TIMESTAMP: 35,
  PRODUCER_ID: 43,
  PRODUCER_EPOCH: 51,
  BASE_SEQUENCE: 53,
  RECORDS_COUNT: 57,
} as const;

/** The size of a batch without its records. */
export const BATCH_HEADER_BYTES = 61;
/** The bytes that `batchLength` does not count: `baseOffset` and itself. */
export const BATCH_LOG_OVERHEAD_BYTES = 12;
export const BATCH_MAGIC = 2;
/** The smallest record: length, attributes, two deltas, no key, no value, no headers. */
export const RECORD_MIN_BYTES = 7;
/** Sequences are 31 bits and start again at 0 after the highest. */
export const SEQUENCE_MODULUS = 2 ** 31;

/** Bits of `attributes`. */
export const BATCH_ATTRIBUTE = {
  COMPRESSION_MASK: 0x07,
  LOG_APPEND_TIME: 0x08,
  TRANSACTIONAL: 0x10,
  CONTROL: 0x20,
} as const;

const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
/** How the records are compressed. */
export type Compression = (typeof COMPRESSIONS)[number];

/** The offset of the batch's first record. */
export function baseOffsetOf(bytes: Uint8Array, at = 0): Offset {
  return readInt64(bytes, at + BATCH_FIELD.BASE_OFFSET) as Offset;
}

/** The whole size of the batch in bytes, header included, as the header states it. */
export function batchSizeOf(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + BATCH_FIELD.BATCH_LENGTH) + BATCH_LOG_OVERHEAD_BYTES;
}

export function partitionLeaderEpochOf(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + BATCH_FIELD.PARTITION_LEADER_EPOCH);
}

/** The stored CRC-32C, unsigned. */
export function crcOf(bytes: Uint8Array, at = 0): number {
  return readUint32(bytes, at + BATCH_FIELD.CRC);
}

export function attributesOf(bytes: Uint8Array, at = 0): number {
  return readInt16(bytes, at + BATCH_FIELD.ATTRIBUTES);
}

export function lastOffsetDeltaOf(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + BATCH_FIELD.LAST_OFFSET_DELTA);
}

/** The offset after the batch's last record. */
export function nextOffsetOf(bytes: Uint8Array, at = 0): Offset {
  return (baseOffsetOf(bytes, at) + lastOffsetDeltaOf(bytes, at) + 1) as Offset;
}

/** The time of the first record, in ms since 1970. */
export function baseTimestampOf(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + BATCH_FIELD.BASE_TIMESTAMP);
}

/** The highest time of a record, in ms since 1970. */
export function maxTimestampOf(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + BATCH_FIELD.MAX_TIMESTAMP);
}

/** The producer's id, -1 without idempotence. */
export function producerIdOf(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + BATCH_FIELD.PRODUCER_ID);
}

export function producerEpochOf(bytes: Uint8Array, at = 0): number {
  return readInt16(bytes, at + BATCH_FIELD.PRODUCER_EPOCH);
}

/** The sequence of the first record, -1 without idempotence. */
export function baseSequenceOf(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + BATCH_FIELD.BASE_SEQUENCE);
}

/** The sequence of the last record, -1 without idempotence. */
export function lastSequenceOf(bytes: Uint8Array, at = 0): number {
  const base = baseSequenceOf(bytes, at);
  if (base < 0) return -1;
  return (base + lastOffsetDeltaOf(bytes, at)) % SEQUENCE_MODULUS;
}

export function recordsCountOf(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + BATCH_FIELD.RECORDS_COUNT);
}

export function isTransactional(bytes: Uint8Array, at = 0): boolean {
  return (attributesOf(bytes, at) & BATCH_ATTRIBUTE.TRANSACTIONAL) !== 0;
}

/** Whether the batch holds markers of the log itself, which consumers skip. */
export function isControl(bytes: Uint8Array, at = 0): boolean {
  return (attributesOf(bytes, at) & BATCH_ATTRIBUTE.CONTROL) !== 0;
}

/** How the records are compressed; undefined for a number that no codec has. */
export function compressionOf(bytes: Uint8Array, at = 0): Compression | undefined {
  return COMPRESSIONS[attributesOf(bytes, at) & BATCH_ATTRIBUTE.COMPRESSION_MASK];
}

/** Gives the batch its place in the partition. The CRC does not cover it. */
export function setBaseOffset(bytes: Uint8Array, at: number, offset: Offset): void {
  assert(at + BATCH_HEADER_BYTES <= bytes.length, 'setBaseOffset() needs a whole batch header');
  writeInt64(bytes, at + BATCH_FIELD.BASE_OFFSET, offset);
}

/** Notes the leader's epoch (0..2^31-1). The CRC does not cover it. */
export function setPartitionLeaderEpoch(bytes: Uint8Array, at: number, epoch: number): void {
  assert(at + BATCH_HEADER_BYTES <= bytes.length, 'setPartitionLeaderEpoch() needs a whole header');
  writeInt32(bytes, at + BATCH_FIELD.PARTITION_LEADER_EPOCH, epoch);
}

/** The CRC-32C that the batch ought to have. */
export function computeBatchCrc(bytes: Uint8Array, at: number, sizeBytes: number): number {
  return crc32c(bytes.subarray(at + BATCH_FIELD.ATTRIBUTES, at + sizeBytes));
}

/**
 * What is wrong with a batch. INCOMPLETE: the bytes end before the batch does (a torn write, a half read);
 * every other kind is damage or a producer's mistake.
 */
export type BatchProblemKind = 'INCOMPLETE' | 'LENGTH' | 'MAGIC' | 'COUNT' | 'FIELD' | 'CRC';

export interface BatchProblem {
  readonly kind: BatchProblemKind;
  /** The end of a sentence that begins with "the batch": "has magic 1, not 2". */
  readonly message: string;
}

/**
 * Checks the batch that begins at `at` and must end at or before `limit`: lengths, magic, counts, ranges of
 * the fields, then the CRC. The records are not looked into.
 * @returns null when the batch is sound; it then takes `batchSizeOf(bytes, at)` bytes.
 */
export function validateBatch(bytes: Uint8Array, at: number, limit: number): BatchProblem | null {
  const problem = validateBatchHeader(bytes, at, limit);
  if (problem !== null) return problem;
  const computed = computeBatchCrc(bytes, at, batchSizeOf(bytes, at));
  const stored = crcOf(bytes, at);
  if (computed === stored) return null;
  return {
    kind: 'CRC',
    message: `has CRC-32C ${hex(computed)}, but its header says ${hex(stored)}`,
  };
}

/** The same without the CRC: for bytes that were checked when they came in. */
export function validateBatchHeader(
  bytes: Uint8Array,
  at: number,
  limit: number,
): BatchProblem | null {
  assert(at >= 0 && limit <= bytes.length, 'A batch must be looked for inside the bytes');
  const available = limit - at;
  if (available < BATCH_HEADER_BYTES) {
    return { kind: 'INCOMPLETE', message: `ends after ${available} bytes, inside its header` };
  }
  const magic = readInt8(bytes, at + BATCH_FIELD.MAGIC);
  if (magic !== BATCH_MAGIC) {
    return { kind: 'MAGIC', message: `has magic ${magic}, not ${BATCH_MAGIC}` };
  }
  const sizeBytes = batchSizeOf(bytes, at);
  if (sizeBytes < BATCH_HEADER_BYTES) {
    return { kind: 'LENGTH', message: `states ${sizeBytes} bytes, fewer than its header takes` };
  }
  if (sizeBytes > available) {
    return { kind: 'INCOMPLETE', message: `states ${sizeBytes} bytes and ${available} are there` };
  }
  return countProblem(bytes, at, sizeBytes) ?? fieldProblem(bytes, at);
}

function countProblem(bytes: Uint8Array, at: number, sizeBytes: number): BatchProblem | null {
  const count = recordsCountOf(bytes, at);
  const lastOffsetDelta = lastOffsetDeltaOf(bytes, at);
  if (count < 1) return { kind: 'COUNT', message: `has ${count} records, not 1 or more` };
  if (lastOffsetDelta !== count - 1) {
    const message = `has ${count} records and lastOffsetDelta ${lastOffsetDelta}, not ${count - 1}`;
    return { kind: 'COUNT', message };
  }
  const isPlain = compressionOf(bytes, at) === 'none';
  if (isPlain && count * RECORD_MIN_BYTES > sizeBytes - BATCH_HEADER_BYTES) {
    const message = `announces ${count} records, which do not fit into ${sizeBytes} bytes`;
    return { kind: 'COUNT', message };
  }
  return null;
}

function fieldProblem(bytes: Uint8Array, at: number): BatchProblem | null {
  const fail = (message: string): BatchProblem => ({ kind: 'FIELD', message });
  const baseOffset = baseOffsetOf(bytes, at);
  if (baseOffset < 0) return fail(`has the base offset ${baseOffset}`);
  if (!Number.isSafeInteger(nextOffsetOf(bytes, at)))
    return fail(`reaches beyond the highest offset, 2^53-1`);
  if (!isTimestamp(baseTimestampOf(bytes, at)) || !isTimestamp(maxTimestampOf(bytes, at)))
    return fail('has a timestamp beyond 2^52 ms');
  if (compressionOf(bytes, at) === undefined)
    return fail('names a compression that does not exist');
  const producerId = producerIdOf(bytes, at);
  if (producerId < -1 || producerId > Number.MAX_SAFE_INTEGER)
    return fail(`has the producer id ${producerId}`);
  if (producerId >= 0 && (producerEpochOf(bytes, at) < 0 || baseSequenceOf(bytes, at) < 0))
    return fail(`has a producer id without an epoch and a sequence`);
  return null;
}

function isTimestamp(value: number): boolean {
  return value >= -1 && value < 2 ** 52;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

/** Makes the error for a problem. */
export function batchError(problem: BatchProblem): WalrusError {
  return new WalrusError(
    'CORRUPT_BATCH',
    `Cannot use a record batch: the batch ${problem.message}`,
    {
      details: { problem: problem.kind },
    },
  );
}

/**
 * Visits the batches of a concatenation in order, checking each as `validateBatch` does.
 * @param visit - Gets where a batch begins and its size.
 * @returns the first problem, or null when the batches take all the bytes, without a rest.
 */
export function walkBatches(
  bytes: Uint8Array,
  visit: (at: number, sizeBytes: number) => void,
): BatchProblem | null {
  let at = 0;
  while (at < bytes.length) {
    const problem = validateBatch(bytes, at, bytes.length);
    if (problem !== null) return problem;
    const sizeBytes = batchSizeOf(bytes, at);
    visit(at, sizeBytes);
    at += sizeBytes;
  }
  return null;
}

/**
 * Cuts a concatenation into views of its batches, checking headers but not CRCs.
 * @throws {WalrusError} CORRUPT_BATCH when the bytes are not whole batches.
 */
export function splitBatches(bytes: Uint8Array): Uint8Array[] {
  const batches: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const problem = validateBatchHeader(bytes, at, bytes.length);
    if (problem !== null) throw batchError(problem);
    const sizeBytes = batchSizeOf(bytes, at);
    batches.push(bytes.subarray(at, at + sizeBytes));
    at += sizeBytes;
  }
  return batches;
}

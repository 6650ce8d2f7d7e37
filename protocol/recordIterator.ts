/**
 * Reads the records of a batch (recordBatch.ts) one after the other, without an object for each.
 * Every length is checked: a record never reaches outside its batch, whatever the bytes say.
 *
 * A record (all varints zigzag, varint.ts):
 *
 * | field          | type           | notes                                |
 * |----------------|----------------|--------------------------------------|
 * | length         | varint         | bytes of the record after this field |
 * | attributes     | int8           | unused                               |
 * | timestampDelta | varlong        | from the batch's baseTimestamp       |
 * | offsetDelta    | varint         | 0, 1, 2, ... in order                |
 * | keyLength      | varint         | -1: no key                           |
 * | key            | bytes          |                                      |
 * | valueLength    | varint         | -1: null (a tombstone)               |
 * | value          | bytes          |                                      |
 * | headersCount   | varint         |                                      |
 * | headers        | (key, value)[] | each: varint length, bytes; the      |
 * |                |                | value's length may be -1             |
 *
 * @see Apache Kafka documentation, "Record"
 */
import { decodeUtf8 } from '../base/bytes.ts';
import { WalrusError } from '../base/errors.ts';
import type { Offset } from '../base/units.ts';
import {
  BATCH_ATTRIBUTE,
  BATCH_HEADER_BYTES,
  attributesOf,
  baseOffsetOf,
  baseTimestampOf,
  batchError,
  batchSizeOf,
  compressionOf,
  maxTimestampOf,
  recordsCountOf,
  validateBatchHeader,
} from './recordBatch.ts';
import type { RecordHeader } from './recordBatchBuilder.ts';
import { VarintCursor } from './varint.ts';

/** A length that says that a key or value is absent. */
export const ABSENT_LENGTH = -1;

/**
 * Walks over a batch: after `next()` has returned true, the properties describe the present record.
 * Keys and values are ranges of `bytes`; `key()` and `value()` make views of them.
 */
export class RecordIterator {
  readonly bytes: Uint8Array;
  /** Offset of the present record. */
  offset = 0 as Offset;
  /** Time of the present record, in ms since 1970. */
  timestampMs = 0;
  keyStart = 0;
  /** ABSENT_LENGTH when there is no key. */
  keyLength = ABSENT_LENGTH;
  valueStart = 0;
  /** ABSENT_LENGTH when the value is null. */
  valueLength = ABSENT_LENGTH;
  headersCount = 0;

  readonly #cursor: VarintCursor;
  readonly #end: number;
  readonly #count: number;
  readonly #baseOffset: number;
  readonly #baseTimestampMs: number;
  /** The time of every record when the log sets it, else null. */
  readonly #logAppendTimeMs: number | null;
  #index = -1;
  #headersStart = 0;

  /**
   * Begins before the first record of the batch at `at`. The CRC is taken as checked (`validateBatch`).
   * @throws {WalrusError} CORRUPT_BATCH when the header is wrong, UNSUPPORTED_VERSION when the records are
   * compressed.
   */
  constructor(bytes: Uint8Array, at = 0) {
    const problem = validateBatchHeader(bytes, at, bytes.length);
    if (problem !== null) throw batchError(problem);
    const compression = compressionOf(bytes, at) ?? 'none';
    if (compression !== 'none') throw compressed(compression);
    this.bytes = bytes;
    this.#end = at + batchSizeOf(bytes, at);
    this.#cursor = new VarintCursor(bytes, at + BATCH_HEADER_BYTES, this.#end);
    this.#count = recordsCountOf(bytes, at);
    this.#baseOffset = baseOffsetOf(bytes, at);
    this.#baseTimestampMs = baseTimestampOf(bytes, at);
    const isLogTime = (attributesOf(bytes, at) & BATCH_ATTRIBUTE.LOG_APPEND_TIME) !== 0;
    this.#logAppendTimeMs = isLogTime ? maxTimestampOf(bytes, at) : null;
  }

  /** How many records the batch has. */
  get count(): number {
    return this.#count;
  }

  /**
   * Steps to the next record.
   * @returns false after the last one.
   * @throws {WalrusError} CORRUPT_BATCH when the record or the end of the batch is wrong.
   */
  next(): boolean {
    const cursor = this.#cursor;
    cursor.limit = this.#end;
    const index = this.#index + 1;
    if (index >= this.#count) {
      if (cursor.at !== this.#end) cursor.fail(`${this.#end - cursor.at} bytes are left over`);
      return false;
    }
    const length = cursor.varint();
    if (length < 0 || length > this.#end - cursor.at) {
      cursor.fail(`it states ${length} bytes and ${this.#end - cursor.at} are left`);
    }
    cursor.limit = cursor.at + length;
    this.#readBody(cursor, index);
    if (cursor.at !== cursor.limit)
      cursor.fail(`it has ${cursor.limit - cursor.at} bytes too many`);
    this.#index = index;
    return true;
  }

  #readBody(cursor: VarintCursor, index: number): void {
    cursor.int8();
    const timestampMs = this.#baseTimestampMs + cursor.varlong();
    this.timestampMs = this.#logAppendTimeMs ?? timestampMs;
    const offsetDelta = cursor.varint();
    if (offsetDelta !== index) cursor.fail(`its offsetDelta is ${offsetDelta}, not ${index}`);
    this.offset = (this.#baseOffset + index) as Offset;
    this.keyLength = readLength(cursor);
    this.keyStart = cursor.skip(Math.max(this.keyLength, 0));
    this.valueLength = readLength(cursor);
    this.valueStart = cursor.skip(Math.max(this.valueLength, 0));
    this.headersCount = cursor.varint();
    this.#headersStart = cursor.at;
    if (this.headersCount !== 0) skipHeaders(cursor, this.headersCount);
  }

  /** A view of the present record's key; null when it has none. */
  key(): Uint8Array | null {
    if (this.keyLength < 0) return null;
    return this.bytes.subarray(this.keyStart, this.keyStart + this.keyLength);
  }

  /** A view of the present record's value; null when it is a tombstone. */
  value(): Uint8Array | null {
    if (this.valueLength < 0) return null;
    return this.bytes.subarray(this.valueStart, this.valueStart + this.valueLength);
  }

  /**
   * The present record's headers, their values as views.
   * @throws {WalrusError} CORRUPT_BATCH when a header's key is not UTF-8.
   */
  headers(): RecordHeader[] {
    const headers: RecordHeader[] = [];
    const cursor = new VarintCursor(this.bytes, this.#headersStart, this.#cursor.limit);
    for (let i = 0; i < this.headersCount; i += 1) {
      const key = readHeaderKey(cursor);
      const length = readLength(cursor);
      const start = cursor.skip(Math.max(length, 0));
      headers.push({ key, value: length < 0 ? null : this.bytes.subarray(start, start + length) });
    }
    return headers;
  }
}

function readLength(cursor: VarintCursor): number {
  const length = cursor.varint();
  if (length < ABSENT_LENGTH) cursor.fail(`a length is ${length}`);
  return length;
}

function skipHeaders(cursor: VarintCursor, count: number): void {
  if (count < 0) cursor.fail(`it has ${count} headers`);
  for (let i = 0; i < count; i += 1) {
    const keyLength = cursor.varint();
    if (keyLength < 0) cursor.fail(`a header key has the length ${keyLength}`);
    cursor.skip(keyLength);
    cursor.skip(Math.max(readLength(cursor), 0));
  }
}

function readHeaderKey(cursor: VarintCursor): string {
  const length = cursor.varint();
  const start = cursor.skip(length);
  try {
    return decodeUtf8(cursor.bytes.subarray(start, start + length));
  } catch (cause) {
    throw new WalrusError('CORRUPT_BATCH', 'Cannot read a record: a header key is not UTF-8', {
      cause,
    });
  }
}

function compressed(compression: string): WalrusError {
  const message = `Cannot read records compressed with ${compression}: this version reads none but plain ones`;
  return new WalrusError('UNSUPPORTED_VERSION', message, { details: { compression } });
}

/**
 * Visits the values of a batch, in order, as ranges of `bytes`: the fast path. A null value has ABSENT_LENGTH.
 * @throws {WalrusError} CORRUPT_BATCH, UNSUPPORTED_VERSION
 */
export function forEachValue(
  bytes: Uint8Array,
  at: number,
  visit: (start: number, length: number, offset: Offset) => void,
): void {
  const records = new RecordIterator(bytes, at);
  while (records.next()) visit(records.valueStart, records.valueLength, records.offset);
}

/**
 * Checks every record of a batch; what a producer's check of a whole batch needs beside `validateBatch`.
 * @throws {WalrusError} CORRUPT_BATCH, UNSUPPORTED_VERSION
 */
export function checkRecords(bytes: Uint8Array, at: number): void {
  const records = new RecordIterator(bytes, at);
  while (records.next());
}

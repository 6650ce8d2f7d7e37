/**
 * Builds record batches (recordBatch.ts) by appending records straight into the batch's bytes: one copy of each
 * value, one CRC for the batch, no object for a record.
 *
 * Invariant: `#bytes` holds BATCH_HEADER_BYTES of room for the header, then `#count` whole records up to `#length`.
 */
import { assert } from '../base/assert.ts';
import { encodeUtf8 } from '../base/bytes.ts';
import { WalrusError } from '../base/errors.ts';
import { writeInt16, writeInt32, writeInt64 } from './bigEndian.ts';
import {
  BATCH_ATTRIBUTE,
  BATCH_FIELD,
  BATCH_HEADER_BYTES,
  BATCH_LOG_OVERHEAD_BYTES,
  BATCH_MAGIC,
  SEQUENCE_MODULUS,
  computeBatchCrc,
} from './recordBatch.ts';
import { varintSize, varlongSize, writeVarint, writeVarlong } from './varint.ts';

/** A named value beside a record. */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record to append. */
export interface NewRecord {
  /** Time of the record, in ms since 1970. */
  readonly timestampMs: number;
  readonly key?: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
}

/** Who produced a batch, for idempotence. */
export interface ProducerInfo {
  readonly producerId: number;
  /** 0..32767. */
  readonly producerEpoch: number;
  /** The sequence of the batch's first record, 0..2^31-1. */
  readonly baseSequence: number;
  readonly isTransactional?: boolean;
}

export interface RecordBatchBuilderOptions {
  /** The largest batch, header included, in bytes. */
  readonly maxBytes: number;
  /** The room to begin with, in bytes; it grows up to `maxBytes`. */
  readonly initialBytes?: number;
}

const INITIAL_BYTES = 16 * 1024;
/** Buffers that came back and are kept. */
const SPARES_MAX = 16;
/** Larger records do not fit the 32-bit lengths of the format. */
const RECORD_MAX_BYTES = 2 ** 30;
/** Values up to this size have a path of their own. */
const SHORT_VALUE_BYTES_MAX = 2 ** 20;
/** What a record of such a value takes beside it, at most: four single bytes and three varints of 32 bits. */
const SHORT_OVERHEAD_BYTES = 4 + 3 * 5;
/** The varint of -1: no key. */
const ABSENT = 1;

interface EncodedHeader {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Collects records into a batch, then gives its bytes and starts the next one. */
export class RecordBatchBuilder {
  readonly #maxBytes: number;
  #bytes: Uint8Array<ArrayBuffer>;
  /** Buffers of `maxBytes` for the batches to come. */
  readonly #spares: Uint8Array<ArrayBuffer>[] = [];
  #length = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestampMs = 0;
  #maxTimestampMs = 0;

  constructor(options: RecordBatchBuilderOptions) {
    assert(options.maxBytes >= 2 * BATCH_HEADER_BYTES, 'A batch must have room for a record');
    assert(options.maxBytes <= RECORD_MAX_BYTES, 'A batch can have at most 2^30 bytes');
    this.#maxBytes = options.maxBytes;
    this.#bytes = new Uint8Array(
      Math.max(BATCH_HEADER_BYTES, Math.min(options.initialBytes ?? INITIAL_BYTES, this.#maxBytes)),
    );
  }

  /** How many records the batch holds so far. */
  get count(): number {
    return this.#count;
  }

  /** The size of the batch if it were finished now, header included. */
  get sizeBytes(): number {
    return this.#length;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /**
   * Appends a record of a value alone: the fast path.
   * @returns false when the batch has no room left: finish it, then append again.
   * @throws {WalrusError} TOO_LARGE when the record does not even fit into an empty batch.
   */
  appendValue(value: Uint8Array, timestampMs: number): boolean {
    const { length } = value;
    // A batch's first record, and one of another time, take the long way. So do long values and a full buffer.
    const isPlain =
      this.#count > 0 && timestampMs === this.#baseTimestampMs && length <= SHORT_VALUE_BYTES_MAX;
    if (isPlain && this.#length + length + SHORT_OVERHEAD_BYTES <= this.#bytes.length) {
      this.#appendShort(value);
      return true;
    }
    return this.appendValueRange(value, 0, { length, timestampMs });
  }

  /** A record of the base time, for which there is room: nothing is left to be checked. */
  #appendShort(value: Uint8Array): void {
    const bytes = this.#bytes;
    const count = this.#count;
    const { length } = value;
    // attributes, time delta, no key, no headers: one byte each
    const bodyBytes = 4 + varintSize(count) + varintSize(length) + length;
    let at = writeVarint(bytes, this.#length, bodyBytes);
    bytes[at] = 0; // attributes
    bytes[at + 1] = 0; // time delta
    at = writeVarint(bytes, at + 2, count);
    bytes[at] = ABSENT;
    at = writeVarint(bytes, at + 1, length);
    bytes.set(value, at);
    at += length;
    bytes[at] = 0; // no headers
    this.#count = count + 1;
    this.#length = at + 1;
  }

  /** The same for `length` bytes of `source` from `start`: lines of a file without a view of each. */
  appendValueRange(
    source: Uint8Array,
    start: number,
    record: { readonly length: number; readonly timestampMs: number },
  ): boolean {
    const { length, timestampMs } = record;
    const delta = this.#timestampDelta(timestampMs);
    // attributes, no key, no headers: one byte each
    const bodyBytes =
      3 + varlongSize(delta) + varintSize(this.#count) + varintSize(length) + length;
    if (!this.#reserve(bodyBytes)) return false;
    let at = this.#beginRecord(bodyBytes, delta);
    const bytes = this.#bytes;
    bytes[at] = ABSENT;
    at = writeVarint(bytes, at + 1, length);
    bytes.set(length === source.length ? source : source.subarray(start, start + length), at);
    at += length;
    bytes[at] = 0; // no headers
    this.#endRecord(at + 1, timestampMs);
    return true;
  }

  /**
   * Appends a record with a key or headers.
   * @returns false when the batch has no room left: finish it, then append again.
   * @throws {WalrusError} TOO_LARGE when the record does not even fit into an empty batch.
   */
  append(record: NewRecord): boolean {
    const key = record.key ?? null;
    const headers = (record.headers ?? []).map(encodeHeader);
    const delta = this.#timestampDelta(record.timestampMs);
    let bodyBytes = 1 + varlongSize(delta) + varintSize(this.#count);
    bodyBytes += nullableSize(key) + nullableSize(record.value) + varintSize(headers.length);
    for (const header of headers)
      bodyBytes += nullableSize(header.key) + nullableSize(header.value);
    if (!this.#reserve(bodyBytes)) return false;
    let at = this.#beginRecord(bodyBytes, delta);
    at = writeNullable(this.#bytes, at, key);
    at = writeNullable(this.#bytes, at, record.value);
    at = writeVarint(this.#bytes, at, headers.length);
    for (const header of headers) {
      at = writeNullable(this.#bytes, at, header.key);
      at = writeNullable(this.#bytes, at, header.value);
    }
    this.#endRecord(at, record.timestampMs);
    return true;
  }

  /**
   * Closes the batch with base offset 0 and hands its bytes over; the builder then holds an empty batch.
   * @param producer - Without it the batch is not idempotent.
   */
  finish(producer?: ProducerInfo): Uint8Array<ArrayBuffer> {
    const sizeBytes = this.#close(producer);
    const bytes = this.#bytes;
    // A buffer that is mostly empty is kept and its content copied: the batch may live long.
    if (sizeBytes < bytes.length / 2) return bytes.slice(0, sizeBytes);
    this.#bytes = this.#spares.pop() ?? new Uint8Array(bytes.length);
    return bytes.subarray(0, sizeBytes);
  }

  /** Takes the bytes of a finished batch back, to build another one in: nobody reads them any more. */
  reuse(batch: Uint8Array<ArrayBuffer>): void {
    const isWhole = batch.byteOffset === 0 && batch.buffer.byteLength === this.#maxBytes;
    if (!isWhole || this.#spares.length >= SPARES_MAX) return;
    assert(
      !this.#spares.some(({ buffer }) => buffer === batch.buffer) &&
        batch.buffer !== this.#bytes.buffer,
      'The bytes of a batch come back once',
    );
    this.#spares.push(new Uint8Array(batch.buffer));
  }

  /**
   * The same for a receiver that copies the batch at once: a view, valid until the next record is appended.
   * No buffer is made, so that a builder in steady use allocates nothing.
   */
  finishView(producer?: ProducerInfo): Uint8Array<ArrayBuffer> {
    const sizeBytes = this.#close(producer);
    return this.#bytes.subarray(0, sizeBytes);
  }

  /** Completes the batch and begins the next one in the same buffer; returns the size of the completed one. */
  #close(producer: ProducerInfo | undefined): number {
    assert(this.#count > 0, 'A batch must have at least one record');
    const sizeBytes = this.#length;
    this.#writeHeader(producer);
    writeInt32(this.#bytes, BATCH_FIELD.CRC, computeBatchCrc(this.#bytes, 0, sizeBytes));
    this.#length = BATCH_HEADER_BYTES;
    this.#count = 0;
    return sizeBytes;
  }

  #writeHeader(producer: ProducerInfo | undefined): void {
    if (producer !== undefined) checkProducer(producer);
    const bytes = this.#bytes;
    const attributes = producer?.isTransactional === true ? BATCH_ATTRIBUTE.TRANSACTIONAL : 0;
    writeInt64(bytes, BATCH_FIELD.BASE_OFFSET, 0);
    writeInt32(bytes, BATCH_FIELD.BATCH_LENGTH, this.#length - BATCH_LOG_OVERHEAD_BYTES);
    writeInt32(bytes, BATCH_FIELD.PARTITION_LEADER_EPOCH, -1);
    bytes[BATCH_FIELD.MAGIC] = BATCH_MAGIC;
    writeInt16(bytes, BATCH_FIELD.ATTRIBUTES, attributes);
    writeInt32(bytes, BATCH_FIELD.LAST_OFFSET_DELTA, this.#count - 1);
    writeInt64(bytes, BATCH_FIELD.BASE_TIMESTAMP, this.#baseTimestampMs);
    writeInt64(bytes, BATCH_FIELD.MAX_TIMESTAMP, this.#maxTimestampMs);
    writeInt64(bytes, BATCH_FIELD.PRODUCER_ID, producer?.producerId ?? -1);
    writeInt16(bytes, BATCH_FIELD.PRODUCER_EPOCH, producer?.producerEpoch ?? -1);
    writeInt32(bytes, BATCH_FIELD.BASE_SEQUENCE, producer?.baseSequence ?? -1);
    writeInt32(bytes, BATCH_FIELD.RECORDS_COUNT, this.#count);
  }

  #timestampDelta(timestampMs: number): number {
    assert(isTimestampMs(timestampMs), 'A timestamp must be an integer in 0..2^51 ms');
    return this.#count === 0 ? 0 : timestampMs - this.#baseTimestampMs;
  }

  /** Makes room for a record of `bodyBytes` and its length; false when the batch is full. */
  #reserve(bodyBytes: number): boolean {
    const needed = this.#length + varintSize(bodyBytes) + bodyBytes;
    if (needed <= this.#bytes.length) return true;
    if (bodyBytes > RECORD_MAX_BYTES || needed > this.#maxBytes) {
      if (this.#count > 0) return false;
      throw tooLarge(bodyBytes, this.#maxBytes);
    }
    const grown = new Uint8Array(
      Math.min(this.#maxBytes, Math.max(2 * this.#bytes.length, needed)),
    );
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    return true;
  }

  /** Writes what every record begins with; returns where the key goes. */
  #beginRecord(bodyBytes: number, timestampDelta: number): number {
    const bytes = this.#bytes;
    const at = writeVarint(bytes, this.#length, bodyBytes);
    bytes[at] = 0; // attributes
    return writeVarint(bytes, writeVarlong(bytes, at + 1, timestampDelta), this.#count);
  }

  #endRecord(end: number, timestampMs: number): void {
    const isFirst = this.#count === 0;
    if (isFirst) this.#baseTimestampMs = timestampMs;
    if (isFirst || timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs;
    this.#count += 1;
    this.#length = end;
  }
}

function isTimestampMs(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= 2 ** 51;
}

function checkProducer(producer: ProducerInfo): void {
  const { producerId, producerEpoch, baseSequence } = producer;
  assert(isIntegerUpTo(producerId, Number.MAX_SAFE_INTEGER), 'A producer id is 0..2^53-1');
  assert(isIntegerUpTo(producerEpoch, 0x7fff), 'A producer epoch is 0..32767');
  assert(isIntegerUpTo(baseSequence, SEQUENCE_MODULUS - 1), 'A sequence is 0..2^31-1');
}

function isIntegerUpTo(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

function tooLarge(recordBytes: number, maxBytes: number): WalrusError {
  const message = `Cannot batch a record of ${recordBytes} bytes: a batch may have ${maxBytes} bytes`;
  return new WalrusError('TOO_LARGE', message, { details: { recordBytes, maxBytes } });
}

function encodeHeader(header: RecordHeader): EncodedHeader {
  return { key: encodeUtf8(header.key), value: header.value };
}

function nullableSize(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : varintSize(bytes.length) + bytes.length;
}

function writeNullable(bytes: Uint8Array, at: number, value: Uint8Array | null): number {
  if (value === null) {
    bytes[at] = ABSENT;
    return at + 1;
  }
  const start = writeVarint(bytes, at, value.length);
  bytes.set(value, start);
  return start + value.length;
}

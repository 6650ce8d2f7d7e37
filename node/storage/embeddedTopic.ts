/**
 * One topic of an embedded store: a log of records with offsets from 0, on one segment replica.
 *
 * A record is copied into the open batch; everything else (room, limits, checksum, the engine) is done for a batch.
 */
import { assert } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import { KIB, MIB, offset, type Offset } from '../../base/units.ts';
import { batchSizeOf, setBaseOffset } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import type { RecordHeader } from '../../protocol/recordBatchBuilder.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import type { StoredReplica } from './replica.ts';
import type { AppendCredentials, ReadResult } from './types.ts';

/** Nobody else appends here, so that a token has nothing to tell apart. */
export const EMBEDDED_TOKEN = '0'.repeat(32);
const CREDENTIALS: AppendCredentials = { token: EMBEDDED_TOKEN, epoch: 0 };
/** Records are sealed into batches of about this size. */
const BATCH_BYTES = 64 * KIB;
/** What a record takes beside its key, value and headers, at most; also what a header takes beside its value. */
const RECORD_OVERHEAD_BYTES_MAX = 64;
/** The room that an idle topic keeps. */
const BUILDER_BYTES = KIB;
/** The largest record, a batch of its own. */
export const RECORD_BYTES_MAX = 2 * MIB;
/** How much one step of an iteration reads. */
const ITERATION_BYTES = MIB;
const NO_HEADERS: readonly RecordHeader[] = [];

/** What a topic needs of its store. */
export interface TopicHost {
  /** @throws {WalrusError} SHUTTING_DOWN when the store is closed */
  checkOpen(): void;
  /** `bytes` more are about to be accepted. @throws {WalrusError} OVERLOADED, DISK_FAILED */
  admit(bytes: number): void;
  /** The room that a batch has been given (or has given back), which counts as pending. */
  addOpenBytes(bytes: number): void;
  /** The open batch of a topic is about to get its first record: it is sealed at the end of the turn. */
  enlist(topic: EmbeddedTopic): void;
  /** Seals the open batch; a failure is for whoever waits for the turn. */
  seal(topic: EmbeddedTopic): void;
  flushed(): Promise<void>;
  wallMs(): number;
}

/** A record to append; without a time it gets that of its batch's beginning. */
export interface EmbeddedNewRecord {
  readonly key?: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** In ms since 1970. */
  readonly timestampMs?: number;
}

/** A record of an iteration. Key, value and headers' values are views, valid until the next step. */
export interface EmbeddedRecord {
  readonly offset: Offset;
  /** In ms since 1970. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  /** null for a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

export class EmbeddedTopic {
  readonly name: string;
  /** For the store only. */
  readonly replica: StoredReplica;
  readonly #host: TopicHost;
  readonly #builder = new RecordBatchBuilder({
    maxBytes: RECORD_BYTES_MAX + KIB,
    initialBytes: BUILDER_BYTES,
  });
  /** Of the open batch: the offset of its first record, its time, and the size that it has been given room for. */
  #firstOffset = 0;
  #batchTimeMs = 0;
  #admittedBytes = 0;
  #isDeleted = false;

  /** For the store only. */
  constructor(host: TopicHost, name: string, replica: StoredReplica) {
    this.#host = host;
    this.name = name;
    this.replica = replica;
  }

  /** The offset that the next record gets. */
  get nextOffset(): Offset {
    return offset(this.replica.tail + this.#builder.count);
  }

  /** The offset below which everything is durable and can be read. */
  get durableOffset(): Offset {
    return this.replica.durableTail;
  }

  /**
   * Accepts a record (copied) and returns its offset. It is durable when `flushed()` of the store resolves.
   * @param timestampMs - In ms since 1970; by default the time at which its batch was begun.
   * @throws {WalrusError} OVERLOADED, TOO_LARGE, DISK_FAILED, TOPIC_NOT_FOUND, SHUTTING_DOWN
   */
  push(value: Uint8Array, timestampMs?: number): Offset {
    const builder = this.#builder;
    const sizeBytes = builder.sizeBytes + value.length + RECORD_OVERHEAD_BYTES_MAX;
    if (sizeBytes > this.#admittedBytes) this.#makeRoom(value.length);
    const at = this.#firstOffset + builder.count;
    const isAdded = builder.appendValue(value, timestampMs ?? this.#batchTimeMs);
    assert(isAdded, 'A record fits into a batch that has been given room for it');
    return at as Offset; // the first one is the engine's, and a batch has few records
  }

  /** The same for a record with a key or headers. */
  pushRecord(record: EmbeddedNewRecord): Offset {
    const bytes = sizeOf(record);
    const builder = this.#builder;
    if (builder.sizeBytes + bytes + RECORD_OVERHEAD_BYTES_MAX > this.#admittedBytes) {
      this.#makeRoom(bytes);
    }
    const at = this.#firstOffset + builder.count;
    const timestampMs = record.timestampMs ?? this.#batchTimeMs;
    const isAdded = builder.append({ ...record, timestampMs });
    assert(isAdded, 'A record fits into a batch that has been given room for it');
    return at as Offset;
  }

  /** Begins a batch, or lets it grow: what is done for many records at once. */
  #makeRoom(bytes: number): void {
    this.#checkUsable();
    if (bytes > RECORD_BYTES_MAX) {
      const message = `Cannot append a record of ${bytes} bytes: at most ${RECORD_BYTES_MAX}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    const builder = this.#builder;
    const recordBytes = bytes + RECORD_OVERHEAD_BYTES_MAX;
    if (builder.count > 0 && builder.sizeBytes + recordBytes > BATCH_BYTES) this.#host.seal(this);
    const wanted = builder.sizeBytes + recordBytes;
    const size = Math.max(wanted, BUILDER_BYTES, Math.min(BATCH_BYTES, 2 * this.#admittedBytes));
    this.#host.admit(size - this.#admittedBytes);
    this.#setAdmitted(size);
    if (builder.count > 0) return;
    this.#firstOffset = this.replica.tail;
    this.#batchTimeMs = this.#host.wallMs();
    this.#host.enlist(this);
  }

  #setAdmitted(bytes: number): void {
    this.#host.addOpenBytes(bytes - this.#admittedBytes);
    this.#admittedBytes = bytes;
  }

  #checkUsable(): void {
    this.#host.checkOpen();
    if (!this.#isDeleted) return;
    throw new WalrusError('TOPIC_NOT_FOUND', `The topic "${this.name}" has been deleted`);
  }

  /** Accepts a record; resolves when it is durable. All appends of one turn share the promise. */
  append(value: Uint8Array, timestampMs?: number): Promise<void> {
    this.push(value, timestampMs);
    return this.#host.flushed();
  }

  /** The same for a record with a key or headers. */
  appendRecord(record: EmbeddedNewRecord): Promise<void> {
    this.pushRecord(record);
    return this.#host.flushed();
  }

  /** Accepts several records; resolves when they are durable. */
  appendAll(values: readonly Uint8Array[], timestampMs?: number): Promise<void> {
    for (const value of values) this.push(value, timestampMs);
    return this.#host.flushed();
  }

  /**
   * Accepts a whole record batch, whose base offset is set in place, and returns that offset.
   * @throws {WalrusError} CORRUPT_BATCH, OVERLOADED, TOO_LARGE, DISK_FULL, DISK_FAILED, TOPIC_NOT_FOUND, SHUTTING_DOWN
   */
  pushBatch(batch: Uint8Array): Offset {
    this.#checkUsable();
    this.#host.admit(batch.length);
    this.#host.seal(this);
    const at = this.replica.tail;
    setBaseOffset(batch, 0, at);
    this.replica.append(batch, CREDENTIALS);
    return at;
  }

  /** The same; resolves when it is durable. */
  appendBatch(batch: Uint8Array): Promise<void> {
    this.pushBatch(batch);
    return this.#host.flushed();
  }

  /**
   * Whole durable batches from the one that contains `from`, up to about `maxBytes` but at least one; empty at
   * the durable end.
   * @throws {WalrusError} OFFSET_OUT_OF_RANGE, CORRUPT_SEGMENT, DISK_FAILED, TOPIC_NOT_FOUND, SHUTTING_DOWN
   */
  read(from: Offset | number, maxBytes: number): ReadResult {
    this.#checkUsable();
    return this.replica.read(offset(from), this.durableOffset, maxBytes);
  }

  /** The durable records from an offset on, in order; also those that become durable meanwhile. */
  *records(from: Offset | number = 0): Generator<EmbeddedRecord, void, undefined> {
    const first = offset(from);
    for (let at = first; at < this.durableOffset;) {
      const { bytes, nextOffset } = this.read(at, ITERATION_BYTES);
      for (let start = 0; start < bytes.length; start += batchSizeOf(bytes, start)) {
        yield* recordsOf(bytes, start, first);
      }
      at = nextOffset;
    }
  }

  /** The offset of the first batch that has a record with this time or later; null when none has. */
  offsetAt(timestampMs: number): Offset | null {
    this.#checkUsable();
    return this.replica.findByTime(timestampMs);
  }

  /** Gives the open batch to the engine. For the store only. */
  sealNow(): void {
    this.#setAdmitted(0);
    const builder = this.#builder;
    if (builder.count === 0) return;
    const batch = builder.finishView(); // the engine stages a copy
    setBaseOffset(batch, 0, this.replica.tail);
    this.replica.appendOwn(batch);
  }

  /** The topic is deleted: drops what the engine does not have yet. For the store only. */
  discard(): void {
    this.#isDeleted = true;
    this.#setAdmitted(0);
  }
}

/** About the bytes of a record, not fewer. */
function sizeOf(record: EmbeddedNewRecord): number {
  let bytes = (record.key?.length ?? 0) + (record.value?.length ?? 0);
  for (const { key, value } of record.headers ?? NO_HEADERS) {
    bytes += RECORD_OVERHEAD_BYTES_MAX + 3 * key.length + (value?.length ?? 0);
  }
  return bytes;
}

function* recordsOf(bytes: Uint8Array, start: number, from: Offset): Generator<EmbeddedRecord> {
  const records = new RecordIterator(bytes, start);
  while (records.next()) {
    if (records.offset < from) continue;
    yield {
      offset: records.offset,
      timestampMs: records.timestampMs,
      key: records.key(),
      value: records.value(),
      headers: records.headersCount === 0 ? NO_HEADERS : records.headers(),
    };
  }
}

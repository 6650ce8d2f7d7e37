/**
 * The engine without a cluster: topics by name on one disk, one copy each, for programs that want a durable log and for
 * benchmarks. One topic is one segment replica; its name is kept where a cluster keeps the producers' state.
 *
 * Records that are pushed in one turn of the event loop share a record batch for each topic, and all of them share one
 * group commit and one promise.
 */
import { assertDefined } from '../../base/assert.ts';
import { decodeUtf8, encodeUtf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk } from '../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { KIB, MIB, nodeId, offset, segmentId, type Offset } from '../../base/units.ts';
import { batchSizeOf, setBaseOffset } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import { forEachValue } from '../../protocol/recordIterator.ts';
import { openStorage, type Engine } from './engine.ts';
import { formatDisk, readDiskIdentity } from './formatDisk.ts';
import { PENDING_BYTES_MAX } from './groupCommit.ts';
import type { StoredReplica } from './replica.ts';
import type { ReadResult } from './types.ts';

/** Nobody else appends here, so that a token has nothing to tell apart. */
const TOKEN = '0'.repeat(32);
const CREDENTIALS = { token: TOKEN, epoch: 0 };
/** Records are sealed into batches of about this size. */
const BATCH_BYTES = 64 * KIB;
/** What a record takes beside its value, at most. */
const RECORD_OVERHEAD_BYTES_MAX = 64;
/** The room that an idle topic keeps. */
const BUILDER_BYTES = KIB;
/** The largest record, a batch of its own. */
const RECORD_BYTES_MAX = 2 * MIB;
/** Without syncs, what waits is written as soon as it is this much. */
const UNSYNCED_BYTES_MAX = 2 * MIB;
/** How much one step of an iteration reads. */
const ITERATION_BYTES = MIB;
const NAME_BYTES_MAX = 255;

export interface OpenEmbeddedOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** 'none' resolves when the records are written, not when they are synced; a power cut may lose them. */
  readonly sync?: 'always' | 'none';
}

/** A record of an iteration. */
export interface EmbeddedRecord {
  readonly offset: Offset;
  /** Valid until the next step of the iteration; null for a tombstone. */
  readonly value: Uint8Array | null;
}

/**
 * Opens the store of a data directory; formats the directory when it is empty.
 * @throws {WalrusError} DATA_DIR_LOCKED, WRONG_DATA_DIR, UNSUPPORTED_VERSION, DISK_FAILED
 */
export function openEmbedded(options: OpenEmbeddedOptions): EmbeddedStore {
  const { disk, random } = options;
  if (!readDiskIdentity(disk)) {
    formatDisk({ disk, random, clusterId: '0'.repeat(32), nodeId: nodeId(1) });
  }
  const engine = openStorage(options);
  engine.noteRegistered(); // there are no metadata that could refuse it
  return new EmbeddedStore(options, engine);
}

/** Who waits for a group. */
interface Waiting {
  readonly promise: Promise<void>;
  readonly settle: (error: WalrusError | null) => void;
}

/** All topics of one data directory. */
export class EmbeddedStore {
  readonly engine: Engine;
  readonly #clock: Clock;
  readonly #isUnsynced: boolean;
  readonly #topics = new Map<string, EmbeddedTopic>();
  #nextSegment = 1;
  /** The topics whose builders hold records. */
  #open = new Set<EmbeddedTopic>();
  #openBytes = 0;
  #waiting: Waiting | null = null;
  #sealError: WalrusError | null = null;

  /** For `openEmbedded` only. */
  constructor(options: OpenEmbeddedOptions, engine: Engine) {
    this.engine = engine;
    this.#clock = options.clock;
    this.#isUnsynced = options.sync === 'none';
    for (const replica of engine.replicas()) {
      const name = decodeUtf8(replica.producerSnapshot);
      this.#topics.set(name, new EmbeddedTopic(this, name, replica));
      this.#nextSegment = Math.max(this.#nextSegment, replica.segmentId + 1);
    }
  }

  /** The names of all topics, sorted. */
  topicNames(): string[] {
    return [...this.#topics.keys()].sort();
  }

  /** The topic of this name; made when there is none. */
  topic(name: string): EmbeddedTopic {
    const found = this.#topics.get(name);
    if (found) return found;
    const bytes = encodeUtf8(name);
    if (bytes.length === 0 || bytes.length > NAME_BYTES_MAX) {
      const message = `Cannot make a topic: its name has ${bytes.length} bytes, not 1..${NAME_BYTES_MAX}`;
      throw new WalrusError('INVALID_TOPIC_NAME', message);
    }
    const replica = this.engine.createReplica({
      segmentId: segmentId(this.#nextSegment),
      token: TOKEN,
      baseOffset: offset(0),
      producerSnapshot: bytes,
    });
    this.#nextSegment += 1;
    const topic = new EmbeddedTopic(this, name, replica);
    this.#topics.set(name, topic);
    return topic;
  }

  /** Removes a topic and all its records; durable with the next group. */
  deleteTopic(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic) return;
    this.#topics.delete(name);
    this.#open.delete(topic);
    topic.discard();
    this.engine.deleteReplica(topic.replica.segmentId);
  }

  /**
   * One promise for all that was accepted in this turn: resolves when it is durable.
   * Rejects with DISK_FULL, DISK_FAILED or OVERLOADED when a part of it could not be stored.
   */
  flushed(): Promise<void> {
    return (this.#waiting ?? this.#beginTurn()).promise;
  }

  /** Not a part of `flushed()`: a closure in there would cost a context for each append. */
  #beginTurn(): Waiting {
    const waiting = newWaiting();
    this.#waiting = waiting;
    this.#clock.defer(() => {
      this.#seal();
    });
    return waiting;
  }

  /** For topics: a builder has got its first record. */
  enlist(topic: EmbeddedTopic): void {
    this.#open.add(topic);
    void this.flushed();
  }

  /** For topics: `bytes` more are about to be accepted. */
  admit(bytes: number): void {
    const { engine } = this;
    if (this.#isUnsynced && engine.pendingBytes > UNSYNCED_BYTES_MAX) engine.commitNow();
    if (engine.pendingBytes + this.#openBytes + bytes <= PENDING_BYTES_MAX) return;
    const message = 'Cannot append: too much waits for the disk; await what was appended before';
    throw new WalrusError('OVERLOADED', message);
  }

  /** For topics: the room that batches have been given, which counts as pending. */
  addOpenBytes(bytes: number): void {
    this.#openBytes += bytes;
  }

  async close(): Promise<void> {
    await this.flushed();
    await this.engine.close();
  }

  /** Ends the turn: what the builders hold goes to the engine as one group. */
  #seal(): void {
    const waiting = assertDefined(this.#waiting, 'A seal has somebody who waits');
    this.#waiting = null;
    for (const topic of this.#open) this.sealTopic(topic);
    this.#open.clear();
    const sealError = this.#sealError;
    this.#sealError = null;
    this.engine.flush((error) => {
      waiting.settle(error ?? sealError);
    });
    this.engine.commitNow();
  }

  /** Seals a topic's batch; a failure is for whoever waits for the group. */
  sealTopic(topic: EmbeddedTopic): void {
    try {
      topic.seal();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#sealError = error;
    }
  }
}

function newWaiting(): Waiting {
  let settle: Waiting['settle'] = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      if (error) reject(error);
      else resolve();
    };
  });
  // Whoever does not await has chosen not to know; the others get the same rejection.
  promise.catch(() => undefined);
  return { promise, settle };
}

/** One topic: a log of records with offsets from 0. */
export class EmbeddedTopic {
  readonly name: string;
  readonly replica: StoredReplica;
  readonly #store: EmbeddedStore;
  readonly #builder = new RecordBatchBuilder({
    maxBytes: RECORD_BYTES_MAX + KIB,
    initialBytes: BUILDER_BYTES,
  });

  /** The offset of the batch's first record, and the size up to which the batch may grow without being asked. */
  #firstOffset = 0;
  #admittedBytes = 0;
  #isDeleted = false;

  /** For the store only. */
  constructor(store: EmbeddedStore, name: string, replica: StoredReplica) {
    this.#store = store;
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
   * @throws {WalrusError} OVERLOADED, TOO_LARGE, DISK_FULL, DISK_FAILED
   */
  push(value: Uint8Array, timestampMs = 0): Offset {
    const builder = this.#builder;
    const sizeBytes = builder.sizeBytes + value.length + RECORD_OVERHEAD_BYTES_MAX;
    if (sizeBytes > this.#admittedBytes) this.#makeRoom(value.length);
    const at = this.#firstOffset + builder.count;
    builder.appendValue(value, timestampMs);
    return at as Offset; // the engine has checked the first one, and a batch has few records
  }

  /** Begins a batch, or lets it grow: what is done for many records at once. */
  #makeRoom(valueBytes: number): void {
    this.#checkExists();
    if (valueBytes > RECORD_BYTES_MAX) {
      const message = `Cannot append a record of ${valueBytes} bytes: at most ${RECORD_BYTES_MAX}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    const builder = this.#builder;
    const recordBytes = valueBytes + RECORD_OVERHEAD_BYTES_MAX;
    if (builder.count > 0 && builder.sizeBytes + recordBytes > BATCH_BYTES) {
      this.#store.sealTopic(this);
    }
    const isFirst = builder.count === 0;
    const wanted = builder.sizeBytes + recordBytes;
    const size = Math.max(wanted, Math.min(BATCH_BYTES, 2 * this.#admittedBytes), BUILDER_BYTES);
    this.#store.admit(size - this.#admittedBytes);
    this.#setAdmitted(size);
    if (!isFirst) return;
    this.#firstOffset = this.replica.tail;
    this.#store.enlist(this);
  }

  /** Accepts a record; resolves when it is durable. All appends of one turn share the promise. */
  append(value: Uint8Array, timestampMs = 0): Promise<void> {
    this.push(value, timestampMs);
    return this.#store.flushed();
  }

  /** Accepts several records; resolves when they are durable. */
  appendAll(values: readonly Uint8Array[], timestampMs = 0): Promise<void> {
    for (const value of values) this.push(value, timestampMs);
    return this.#store.flushed();
  }

  /**
   * Accepts a whole record batch, whose base offset is set in place, and returns that offset.
   * @throws {WalrusError} CORRUPT_BATCH, OVERLOADED, TOO_LARGE, DISK_FULL, DISK_FAILED
   */
  pushBatch(batch: Uint8Array): Offset {
    this.#store.admit(batch.length);
    this.#store.sealTopic(this);
    const at = this.replica.tail;
    setBaseOffset(batch, 0, at);
    this.replica.append(batch, CREDENTIALS);
    return at;
  }

  /** The same; resolves when it is durable. */
  appendBatch(batch: Uint8Array): Promise<void> {
    this.pushBatch(batch);
    return this.#store.flushed();
  }

  /** Whole durable batches from the one that contains `from`. */
  read(from: Offset, maxBytes: number): ReadResult {
    return this.replica.read(from, this.durableOffset, maxBytes);
  }

  /** The durable records from an offset on, in order. */
  *records(from: Offset = offset(0)): Generator<EmbeddedRecord> {
    for (let at = from; at < this.durableOffset;) {
      const { bytes, nextOffset } = this.read(at, ITERATION_BYTES);
      for (let start = 0; start < bytes.length; start += batchSizeOf(bytes, start)) {
        yield* recordsOf(bytes, start, from);
      }
      at = nextOffset;
    }
  }

  /** The topic is deleted: drops what has not been given to the engine; for the store. */
  discard(): void {
    this.#isDeleted = true;
    this.#setAdmitted(0);
  }

  #checkExists(): void {
    if (!this.#isDeleted) return;
    throw new WalrusError('TOPIC_NOT_FOUND', `The topic "${this.name}" has been deleted`);
  }

  #setAdmitted(bytes: number): void {
    this.#store.addOpenBytes(bytes - this.#admittedBytes);
    this.#admittedBytes = bytes;
  }

  /** Gives the batch in hand to the engine; for the store. */
  seal(): void {
    this.#setAdmitted(0);
    const builder = this.#builder;
    if (builder.count === 0) return;
    const batch = builder.finishView(); // the engine stages a copy
    setBaseOffset(batch, 0, this.replica.tail);
    this.replica.appendOwn(batch);
  }
}

function recordsOf(bytes: Uint8Array, start: number, from: Offset): EmbeddedRecord[] {
  const records: EmbeddedRecord[] = [];
  forEachValue(bytes, start, (valueStart, length, at) => {
    if (at < from) return;
    const value = length < 0 ? null : bytes.subarray(valueStart, valueStart + length);
    records.push({ offset: at, value });
  });
  return records;
}

/** A replica as the replication layer sees it: who may append, fences, reads, evidence (DESIGN section 2). */
import { assert } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import { offset, segmentId, type Offset, type SegmentId } from '../../base/units.ts';
import {
  baseOffsetOf,
  batchSizeOf,
  crcOf,
  recordsCountOf,
  validateBatch,
} from '../../protocol/recordBatch.ts';
import { firstBadHeader } from './blockCheck.ts';
import { PRODUCER_SNAPSHOT_BYTES_MAX } from './catalogRecord.ts';
import { damageError, unreadable } from './damage.ts';
import { formatDigest } from './digest.ts';
import { BATCH_BYTES_MAX, frameBytes, type Frame } from './frame.ts';
import { BLOCK_SPAN } from './geometry.ts';
import type { LogCursor, ReplicaLog } from './replicaLog.ts';
import { readBatches } from './replicaReader.ts';
import type { IndexEntry } from './segmentIndex.ts';
import type { StorageContext } from './storageContext.ts';
import type { AppendCredentials, ReadResult, Replica, ReplicaTail } from './types.ts';

const NOTHING = new Uint8Array(0);

export class StoredReplica implements Replica {
  log: ReplicaLog;
  damage: WalrusError | null = null;
  readonly #context: StorageContext;
  #isDeleted = false;

  constructor(context: StorageContext, log: ReplicaLog) {
    this.#context = context;
    this.log = log;
  }

  get segmentId(): SegmentId {
    return segmentId(this.log.record.segmentId);
  }

  get token(): string {
    return this.log.record.token;
  }

  get baseOffset(): Offset {
    return offset(this.log.record.baseOffset);
  }

  get producerSnapshot(): Uint8Array {
    return this.log.record.producerSnapshot;
  }

  get tail(): Offset {
    return offset(this.log.tail);
  }

  get durableTail(): Offset {
    return offset(this.log.durableTail);
  }

  get fenceEpoch(): number {
    return this.log.record.fenceEpoch;
  }

  get sizeBytes(): number {
    return this.log.sizeBytes;
  }

  append(batch: Uint8Array, credentials: AppendCredentials): Offset {
    this.#admit(credentials);
    if (credentials.isChecked === true) this.#checkSize(batch);
    else this.#checkBatch(batch);
    if (baseOffsetOf(batch) !== this.log.tail) return this.#repeat(batch);
    this.#context.commit.assertWritable(frameBytes(batch.length));
    this.log.push(batch);
    return this.tail;
  }

  /** The same for a batch that this process has just built for this tail: it is not checked again. */
  appendOwn(batch: Uint8Array): Offset {
    this.#checkExists();
    if (this.damage) throw this.damage;
    this.#checkSize(batch);
    this.#context.commit.assertWritable(frameBytes(batch.length));
    this.log.push(batch);
    return this.tail;
  }

  #admit(credentials: AppendCredentials): void {
    this.#checkExists();
    const { record } = this.log;
    if (credentials.token !== record.token) {
      const message = `Cannot append to segment ${record.segmentId}: the session token is another`;
      throw new WalrusError('WRONG_TOKEN', message);
    }
    if (credentials.epoch !== record.fenceEpoch) {
      const message =
        `Cannot append to segment ${record.segmentId} with epoch ${credentials.epoch}: ` +
        `it is fenced with ${record.fenceEpoch}`;
      throw new WalrusError('FENCED', message, { details: { fenceEpoch: record.fenceEpoch } });
    }
    if (this.damage) throw this.damage;
  }

  #checkSize(batch: Uint8Array): void {
    if (batch.length <= BATCH_BYTES_MAX) return;
    const id = this.log.record.segmentId;
    const message = `Cannot append ${batch.length} bytes to segment ${id}: at most ${BATCH_BYTES_MAX}`;
    throw new WalrusError('TOO_LARGE', message);
  }

  #checkBatch(batch: Uint8Array): void {
    this.#checkSize(batch);
    const id = this.log.record.segmentId;
    const problem = batchProblem(batch);
    if (problem === null) return;
    throw new WalrusError('CORRUPT_BATCH', `Cannot append a batch to segment ${id}: ${problem}`);
  }

  /** Accepts a batch that is stored already; anything else leaves a gap or an overlap. */
  #repeat(batch: Uint8Array): Offset {
    const { tail, record } = this.log;
    const base = baseOffsetOf(batch);
    if (base >= record.baseOffset && base < tail) {
      const { frame } = this.#find(base);
      const isSame =
        frame.baseOffset === base &&
        frame.count === recordsCountOf(batch) &&
        frame.crc === crcOf(batch);
      if (isSame) return offset(base + frame.count);
    }
    const message = `Cannot append offset ${base} to segment ${record.segmentId}: its tail is ${tail}`;
    throw new WalrusError('OUT_OF_ORDER_APPEND', message, { details: { tail } });
  }

  fence(epoch: number, done: (error: WalrusError | null, tail: ReplicaTail | null) => void): void {
    this.#checkExists();
    const { record } = this.log;
    if (epoch < record.fenceEpoch) {
      const message =
        `Cannot fence segment ${record.segmentId} with epoch ${epoch}: ` +
        `it is fenced with ${record.fenceEpoch}`;
      const details = { fenceEpoch: record.fenceEpoch };
      this.#context.commit.afterTurn(() =>
        done(new WalrusError('FENCED', message, { details }), null),
      );
      return;
    }
    if (epoch > record.fenceEpoch && this.#context.commit.health.state === 'HEALTHY') {
      record.fenceEpoch = epoch;
      this.#context.catalog.append({ kind: 'FENCE', segmentId: record.segmentId, epoch });
    }
    const tail = { tail: this.tail, digest: formatDigest(this.log.digest) };
    this.#context.commit.whenDurable((error) => {
      const problem = error ?? this.damage;
      if (problem) done(problem, null);
      else done(null, tail);
    }, this.log);
  }

  soundTail(): ReplicaTail {
    this.#checkExists();
    const { log } = this;
    const end = Math.min(placeOf(this.damage), log.tail);
    if (end === log.tail) return { tail: this.tail, digest: formatDigest(log.digest) };
    const entry = log.index.floorByOffset(end);
    if (!entry) return { tail: this.baseOffset, digest: formatDigest({ high: 0, low: 0 }) };
    let tail = entry.offset;
    let digest = { high: entry.digestHigh, low: entry.digestLow };
    log.prepareWalk();
    const cursor = log.cursorAt(entry.place);
    while (tail < end) {
      const frame = this.#peek(cursor, tail);
      if (frame?.baseOffset !== tail || tail + frame.count > end) break;
      tail += frame.count;
      digest = { high: frame.digestHigh, low: frame.digestLow };
      cursor.position += frameBytes(frame.batchLength);
    }
    return { tail: offset(tail), digest: formatDigest(digest) };
  }

  learnProducers(producerSnapshot: Uint8Array): void {
    this.#checkExists();
    const { record } = this.log;
    assert(record.producerSnapshot.length === 0, 'A replica learns its producers once');
    const { segmentId } = record;
    if (producerSnapshot.length > PRODUCER_SNAPSHOT_BYTES_MAX) {
      const message = `Cannot keep ${producerSnapshot.length} bytes of producers of segment ${segmentId}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    const { commit, catalog } = this.#context;
    commit.assertWritable(0);
    record.producerSnapshot = producerSnapshot.slice();
    catalog.append({ kind: 'PRODUCERS', segmentId, snapshot: record.producerSnapshot });
    commit.schedule();
  }

  digestAt(end: Offset): string | null {
    const { log } = this;
    if (end === log.tail) return formatDigest(log.digest);
    if (end < log.record.baseOffset || end > log.tail || this.#isDeleted) return null;
    if (end === log.record.baseOffset) return formatDigest({ high: 0, low: 0 });
    const entry = log.index.floorByOffset(end);
    if (!entry) return null;
    if (entry.offset === end) {
      return formatDigest({ high: entry.digestHigh, low: entry.digestLow });
    }
    const { frame } = this.#walk(
      entry,
      (candidate) => candidate.baseOffset + candidate.count >= end,
    );
    if (frame.baseOffset + frame.count !== end) return null;
    return formatDigest({ high: frame.digestHigh, low: frame.digestLow });
  }

  read(from: Offset, limit: Offset, maxBytes: number): ReadResult {
    this.#checkExists();
    const { log } = this;
    if (from < log.record.baseOffset || from > log.tail) {
      if (this.damage && from > log.tail) throw this.damage;
      const message =
        `Cannot read offset ${from} of segment ${log.record.segmentId}: ` +
        `it has ${log.record.baseOffset}..${log.tail}`;
      throw new WalrusError('OFFSET_OUT_OF_RANGE', message);
    }
    if (from === log.tail && this.damage && limit > from) throw this.damage;
    if (from >= Math.min(limit, log.tail)) return { bytes: NOTHING, nextOffset: from };
    const { cursor, frame } = this.#find(from);
    const options = { cursor, baseOffset: frame.baseOffset, limit, maxBytes };
    const result = readBatches(this.#context, log, frame, options);
    if (result.damage) this.#noteDamage(result.damage);
    if (result.bytes.length > 0) {
      return { bytes: result.bytes, nextOffset: offset(result.nextOffset) };
    }
    if (result.damage) throw result.damage;
    return { bytes: NOTHING, nextOffset: from };
  }

  findByTime(timestampMs: number): Offset | null {
    this.#checkExists();
    if (this.log.maxTimestamp < timestampMs) return null;
    const entry = this.log.index.floorByTime(timestampMs);
    if (!entry) return null;
    const { frame } = this.#walk(entry, (candidate) => candidate.maxTimestamp >= timestampMs);
    return offset(frame.baseOffset);
  }

  onDurable(listener: (durableTail: Offset) => void): void {
    this.log.onDurable = (durableTail) => listener(offset(durableTail));
  }

  scrub(from: Offset, maxBytes: number): ReadResult {
    const result = this.read(from, this.tail, maxBytes);
    const { index, record } = this.log;
    const blockAt = (at: number): number =>
      Math.floor((index.floorByOffset(at)?.place ?? 0) / BLOCK_SPAN);
    const isEnd = result.nextOffset === this.tail;
    const last = isEnd ? record.blocks.length - 1 : blockAt(result.nextOffset);
    const bad = firstBadHeader(this.#context, record, { first: blockAt(from), last });
    if (!bad) return result;
    throw this.#lost(from, { blockIndex: bad.sequence, position: 0 }, bad.problem);
  }

  condemn(problem: string): void {
    this.#lost(this.log.record.baseOffset, undefined, problem);
  }

  /** Goes on with a whole log in the place of the damaged one, which is returned. */
  adopt(log: ReplicaLog): ReplicaLog {
    const old = this.log;
    log.onDurable = old.onDurable;
    this.log = log;
    this.damage = null;
    return old;
  }

  /** The replica is gone: its blocks will be another's. */
  markDeleted(): void {
    this.#isDeleted = true;
    this.log.discard();
  }

  #checkExists(): void {
    if (!this.#isDeleted) return;
    const message = `Segment ${this.log.record.segmentId} has been deleted from this disk`;
    throw new WalrusError('SEGMENT_NOT_FOUND', message);
  }

  /** The lowest damage is kept: below it everything is sound as far as is known. */
  #noteDamage(error: WalrusError): void {
    const isFirst = this.damage === null;
    if (isFirst || placeOf(error) < placeOf(this.damage)) this.damage = error;
    if (isFirst) this.#context.onDamage(this.log.record.segmentId);
  }

  /** The frame that contains an offset of the log. */
  #find(at: number): { frame: Frame; cursor: LogCursor } {
    const entry = this.log.index.floorByOffset(at);
    if (!entry) throw this.#lost(at);
    return this.#walk(entry, (frame) => frame.baseOffset + frame.count > at);
  }

  /** Walks from an index entry to the first frame that meets a condition; there is one before the tail. */
  #walk(entry: IndexEntry, isIt: (frame: Frame) => boolean): { frame: Frame; cursor: LogCursor } {
    const { log } = this;
    log.prepareWalk();
    const cursor = log.cursorAt(entry.place);
    let expected = entry.offset;
    while (expected < log.tail) {
      const frame = this.#peek(cursor, expected);
      if (frame?.baseOffset !== expected) throw this.#lost(expected, cursor);
      if (isIt(frame)) return { frame, cursor };
      expected += frame.count;
      cursor.position += frameBytes(frame.batchLength);
    }
    throw this.#lost(expected, cursor);
  }

  #peek(cursor: LogCursor, at: number): Frame | null {
    try {
      return this.log.peek(cursor);
    } catch (error) {
      throw this.#lost(at, cursor, unreadable(error));
    }
  }

  #lost(at: number, cursor?: LogCursor, problem = 'there is no valid frame'): WalrusError {
    const { record } = this.log;
    const error = damageError({
      segmentId: record.segmentId,
      offset: at,
      block: record.blocks[cursor?.blockIndex ?? 0],
      position: cursor?.position ?? 0,
      problem,
    });
    this.#noteDamage(error);
    return error;
  }
}

/** The first offset that a damage makes unreadable. */
function placeOf(damage: WalrusError | null): number {
  return Number(damage?.details['offset'] ?? Infinity);
}

/** What is wrong with bytes that should be one whole batch; null when nothing is. */
export function batchProblem(batch: Uint8Array): string | null {
  const problem = validateBatch(batch, 0, batch.length);
  if (problem) return `it ${problem.message}`;
  const rest = batch.length - batchSizeOf(batch);
  return rest > 0 ? `${rest} bytes follow it` : null;
}

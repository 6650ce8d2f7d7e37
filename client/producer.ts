/**
 * Sends records to a topic: collects them into batches by partition, keeps a bounded amount of them, and sends each
 * again until it is stored or its time is over, without duplicates and in order (within a partition).
 */
import type { Timer } from '../base/clock.ts';
import { assert, assertDefined } from '../base/assert.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Offset } from '../base/units.ts';
import { KIB } from '../base/units.ts';
import type { ProducedBatch } from '../protocol/client/produce.ts';
import { BATCH_HEADER_BYTES } from '../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../protocol/recordBatchBuilder.ts';
import type { RecordHeader } from '../protocol/recordBatchBuilder.ts';
import { partitionOf } from './partitioner.ts';
import { BATCH_BYTES_MIN, settingsOf } from './producerOptions.ts';
import type { ProducerOptions, ProducerSettings } from './producerOptions.ts';
import { PartitionSender } from './partitionSender.ts';
import type { OutgoingBatch, SenderContext } from './partitionSender.ts';
import { closed } from './pool.ts';

/** A record to send. */
export interface OutgoingRecord {
  readonly key?: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers?: readonly RecordHeader[];
  /** Default: now. */
  readonly timestampMs?: number;
}

/** Where a record is stored. */
export interface StoredRecord {
  readonly partition: number;
  readonly offset: Offset;
}

/** What a producer has done so far. */
export interface ProducerCounts {
  readonly acknowledgedRecords: number;
  readonly acknowledgedBytes: number;
  readonly failedRecords: number;
}

const NO_HEADERS: readonly RecordHeader[] = [];
/** What a batch's header and a record's lengths take beside a record. */
const RECORD_ROOM_BYTES = BATCH_HEADER_BYTES + 64;

/** Whoever waits for the outcome of one record of a batch. */
type Outcome = (error: WalrusError | null, outcome: ProducedBatch | null) => void;

/** The same for one record: with its place in the batch. */
type RecordOutcome = (index: number, ...outcome: Parameters<Outcome>) => void;

/** The batch of a partition that is being filled, and the way to the partition. */
interface Lane {
  readonly partition: number;
  readonly builder: RecordBatchBuilder;
  readonly sender: PartitionSender;
  outcomes: Outcome[];
  timer: Timer | null;
  /** Of the batch that is being filled. */
  deadlineMs: number;
  /** It has lingered, and waits for room. */
  isHeld: boolean;
}

export class Producer {
  readonly #context: SenderContext;
  readonly #options: ProducerSettings;
  readonly #lanes: Lane[] = [];
  readonly #onClose: () => void;
  /** The partition that records without a key go to until its batch is on its way, or waits for room. */
  #sticky: number;
  readonly #fixed: number | null;
  #bufferedBytes = 0;
  /** Batches on their way by their numbers, oldest first. */
  readonly #unsettled = new Set<number>();
  #lastBatchNumber = 0;
  #failure: WalrusError | null = null;
  #isClosing = false;
  #isClosed = false;
  #waiters: (() => void)[] = [];
  #acknowledgedRecords = 0;
  #acknowledgedBytes = 0;
  #failedRecords = 0;

  /** Made by `Client.producer`. */
  constructor(
    context: SenderContext,
    options: ProducerOptions & { readonly partitionCount: number },
    onClose: () => void,
  ) {
    this.#context = context;
    const { partition, partitionCount } = options;
    this.#options = settingsOf(options);
    this.#onClose = onClose;
    for (let i = 0; i < partitionCount; i += 1) this.#lanes.push(this.#makeLane(i));
    this.#fixed = partition ?? null;
    this.#sticky = partition ?? context.world.random.uint32() % partitionCount;
  }

  /** What is stored and what has failed. */
  get counts(): ProducerCounts {
    return {
      acknowledgedRecords: this.#acknowledgedRecords,
      acknowledgedBytes: this.#acknowledgedBytes,
      failedRecords: this.#failedRecords,
    };
  }

  /** Records that are not stored yet, in bytes. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** The largest value of a record without key and headers that the nodes take, in bytes. */
  get maxValueBytes(): number {
    return this.#maxBatchBytes - RECORD_ROOM_BYTES;
  }

  /**
   * Takes a record, which is NOT stored when this returns or its promise resolves: `flush`, `close` and `deliver` wait
   * for that. The bytes are copied.
   * @returns undefined, or, when the buffer is full, a promise to wait for before the next call.
   * @throws {WalrusError} TOO_LARGE; or the failure of an earlier record that nobody else was told of.
   */
  send(record: OutgoingRecord): Promise<void> | undefined {
    this.#check();
    this.#append(this.#laneOf(record.key ?? null), record, null);
    return this.#pressure();
  }

  /** The same for a record that is a value alone: the fast path. */
  sendValue(value: Uint8Array): Promise<void> | undefined {
    return this.sendRange(value, 0, value.length);
  }

  /** The same for `length` bytes of `source` from `start`: lines of a file without a view of each. */
  sendRange(source: Uint8Array, start: number, length: number): Promise<void> | undefined {
    this.#check();
    const record = { length, timestampMs: this.#context.world.clock.wallMs() };
    let lane = this.#laneOf(null);
    let before = lane.builder.sizeBytes;
    try {
      if (!lane.builder.appendValueRange(source, start, record)) {
        this.#seal(lane);
        lane = this.#laneOf(null);
        if (lane.builder.count > 0) this.#seal(lane);
        before = lane.builder.sizeBytes;
        lane.builder.appendValueRange(source, start, record);
      }
      this.#grew(lane, before);
    } catch (error) {
      this.#sendLarge(lane, error, (builder) => builder.appendValueRange(source, start, record));
    }
    return this.#pressure();
  }

  /**
   * Sends a record and resolves when it is stored. Never waits for room: the caller bounds how many it waits for.
   * @throws {WalrusError} why it is not, or that its outcome is unknown (TIMED_OUT).
   */
  async deliver(record: OutgoingRecord): Promise<StoredRecord> {
    this.#check();
    const lane = this.#laneOf(record.key ?? null);
    return await new Promise<StoredRecord>((resolve, reject) => {
      this.#append(lane, record, (index, error, outcome) => {
        if (outcome === null) reject(error ?? closed());
        else resolve({ partition: lane.partition, offset: (outcome.baseOffset + index) as Offset });
      });
    });
  }

  /**
   * Sends what is waiting and resolves when everything that was taken before the call is stored.
   * @throws {WalrusError} the failure of a record that nobody else was told of.
   */
  async flush(): Promise<void> {
    for (const lane of this.#lanes) if (!lane.builder.isEmpty) this.#seal(lane);
    const last = this.#lastBatchNumber;
    while (this.#oldestUnsettled <= last) await this.#change();
    this.#throwFailure();
  }

  get #oldestUnsettled(): number {
    for (const number of this.#unsettled) return number;
    return Number.POSITIVE_INFINITY;
  }

  /** Takes no more records, flushes, then ends. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosing = true;
    try {
      await this.flush();
    } finally {
      this.abort(closed());
    }
  }

  /** Ends at once: what is not stored fails with `error`. */
  abort(error: WalrusError): void {
    if (this.#isClosed) return;
    for (const lane of this.#lanes) if (!lane.builder.isEmpty) this.#seal(lane);
    this.#isClosed = true;
    for (const { sender } of this.#lanes) sender.stop(error);
    this.#onClose();
  }

  #makeLane(partition: number): Lane {
    const { topic, acks, requestTimeoutMs } = this.#options;
    const settled = (
      batch: OutgoingBatch,
      error: WalrusError | null,
      outcome: ProducedBatch | null,
    ): void => {
      this.#settled(batch, error, outcome);
      // The answer to its only sending proves that no socket needs the bytes any more.
      if (error === null && batch.sendingsCount === 1) builder.reuse(batch.bytes);
    };
    const maxBytes = Math.min(this.#options.batchBytes, this.#maxBatchBytes);
    const builder = new RecordBatchBuilder({ maxBytes, initialBytes: KIB });
    const lane: Lane = {
      partition,
      builder,
      sender: new PartitionSender(this.#context, {
        topic,
        partition,
        acks,
        requestTimeoutMs,
        settled,
        roomMade: () => this.#onRoom(lane),
      }),
      outcomes: [],
      timer: null,
      deadlineMs: 0,
      isHeld: false,
    };
    return lane;
  }

  #laneOf(key: Uint8Array | null): Lane {
    const partition =
      key === null || this.#fixed !== null ? this.#sticky : partitionOf(key, this.#lanes.length);
    return assertDefined(this.#lanes[partition], 'A partition is in range');
  }

  /** @param tell - Is told the outcome, with the record's place in its batch. */
  #append(lane: Lane, record: OutgoingRecord, tell: RecordOutcome | null): void {
    const { key = null, value, headers = NO_HEADERS } = record;
    const timestampMs = record.timestampMs ?? this.#context.world.clock.wallMs();
    const whole = { key, value, headers, timestampMs };
    let before = lane.builder.sizeBytes;
    try {
      if (!lane.builder.append(whole)) {
        this.#seal(lane);
        before = lane.builder.sizeBytes;
        lane.builder.append(whole);
      }
    } catch (error) {
      const told: Outcome[] = tell === null ? [] : [(...outcome) => tell(0, ...outcome)];
      this.#sendLarge(lane, error, (builder) => builder.append(whole), told);
      return;
    }
    this.#grew(lane, before);
    if (tell === null) return;
    const index = lane.builder.count - 1;
    lane.outcomes.push((...outcome) => tell(index, ...outcome));
  }

  /** A record that the lane's builder, which is empty now, has no room for: a batch of its own, if the nodes take it. */
  #sendLarge(
    lane: Lane,
    refusal: unknown,
    append: (builder: RecordBatchBuilder) => void,
    outcomes: readonly Outcome[] = [],
  ): void {
    if (!isWalrusError(refusal, 'TOO_LARGE')) throw refusal;
    assert(lane.builder.isEmpty, 'Only an empty batch refuses a record for its size');
    const maxBytes = this.#maxBatchBytes;
    const builder = new RecordBatchBuilder({ maxBytes, initialBytes: KIB });
    try {
      append(builder);
    } catch (error) {
      throw isWalrusError(error, 'TOO_LARGE') ? recordTooLarge(error, this.maxValueBytes) : error;
    }
    this.#bufferedBytes += builder.sizeBytes - BATCH_HEADER_BYTES;
    this.#hand(lane, builder, outcomes);
  }

  /** The largest batch: what the nodes said; before that, what this producer makes by itself. */
  get #maxBatchBytes(): number {
    const { maxBatchBytes } = this.#context.pool;
    const known = maxBatchBytes === Infinity ? this.#options.batchBytes : maxBatchBytes;
    return Math.max(known, BATCH_BYTES_MIN);
  }

  #grew(lane: Lane, before: number): void {
    this.#bufferedBytes += lane.builder.sizeBytes - before;
    if (lane.timer !== null) return;
    lane.deadlineMs = this.#deadlineMs;
    lane.timer = this.#context.world.clock.setTimer(this.#options.lingerMs, () => {
      if (lane.sender.hasRoom) this.#seal(lane);
      else this.#hold(lane);
    });
  }

  get #deadlineMs(): number {
    return this.#context.world.clock.monotonicMs() + this.#options.deliveryTimeoutMs;
  }

  /**
   * A batch that would only wait for its turn takes more records meanwhile: nodes that are slow would else get small
   * batches, and so be slower still. For half of its time at most, so that the last record has the other half.
   */
  #hold(lane: Lane): void {
    const { clock } = this.#context.world;
    const untilMs = lane.deadlineMs - this.#options.deliveryTimeoutMs / 2;
    lane.isHeld = true;
    lane.timer = clock.setTimer(Math.max(0, untilMs - clock.monotonicMs()), () => this.#seal(lane));
    if (lane.partition === this.#sticky) this.#moveOn();
  }

  #onRoom(lane: Lane): void {
    if (lane.isHeld) this.#seal(lane);
    if (this.#laneOf(null).isHeld) this.#moveOn();
  }

  /**
   * Lets records without a key go to the next partition that has room, so that one that is slow, or takes nothing, does
   * not get them all.
   * @returns whether there is one.
   */
  #moveOn(): boolean {
    if (this.#fixed !== null) return false;
    const { length } = this.#lanes;
    for (let i = 1; i <= length; i += 1) {
      const lane = this.#lanes[(this.#sticky + i) % length];
      if (lane?.sender.hasRoom !== true) continue;
      this.#sticky = lane.partition;
      return true;
    }
    return false;
  }

  /** Closes the lane's batch and sends it on its way. */
  #seal(lane: Lane): void {
    lane.timer?.cancel();
    lane.timer = null;
    lane.isHeld = false;
    const { outcomes } = lane;
    lane.outcomes = [];
    this.#hand(lane, lane.builder, outcomes);
  }

  /** Finishes a batch and hands it to the lane's sender. */
  #hand(lane: Lane, builder: RecordBatchBuilder, outcomes: readonly Outcome[]): void {
    const recordsCount = builder.count;
    const deadlineMs = builder === lane.builder ? lane.deadlineMs : this.#deadlineMs;
    const bytes = builder.finish();
    const tell: Outcome = (error, outcome) => {
      for (const each of outcomes) each(error, outcome);
    };
    if (this.#fixed === null && lane.partition === this.#sticky && !this.#moveOn()) {
      this.#sticky = (this.#sticky + 1) % this.#lanes.length;
    }
    this.#lastBatchNumber += 1;
    this.#unsettled.add(this.#lastBatchNumber);
    lane.sender.add({
      number: this.#lastBatchNumber,
      bytes,
      sendingsCount: 0,
      recordsCount,
      sizeBytes: bytes.length - BATCH_HEADER_BYTES,
      deadlineMs,
      stamp: null,
      // A failure that somebody waits for is theirs alone when they wait for all records.
      done: outcomes.length === 0 ? null : tell,
      isWatched: outcomes.length === recordsCount,
    });
  }

  #settled(batch: OutgoingBatch, error: WalrusError | null, outcome: ProducedBatch | null): void {
    this.#bufferedBytes -= batch.sizeBytes;
    this.#unsettled.delete(batch.number);
    if (error === null) {
      this.#acknowledgedRecords += batch.recordsCount;
      this.#acknowledgedBytes += batch.sizeBytes;
    } else {
      this.#failedRecords += batch.recordsCount;
      if (!batch.isWatched) this.#failure ??= error;
    }
    batch.done?.(error, outcome);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  #pressure(): Promise<void> | undefined {
    return this.#bufferedBytes < this.#options.maxBufferedBytes ? undefined : this.#room();
  }

  async #room(): Promise<void> {
    while (this.#bufferedBytes >= this.#options.maxBufferedBytes) await this.#change();
    this.#throwFailure();
  }

  /** Resolves when a batch is done with. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #check(): void {
    if (this.#isClosed || this.#isClosing) throw closed();
    this.#throwFailure();
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }
}

function recordTooLarge(cause: WalrusError, maxValueBytes: number): WalrusError {
  const { recordBytes = 0 } = cause.details;
  const message =
    `Cannot send a record of ${recordBytes} bytes: the nodes take up to ${maxValueBytes}; ` +
    'split it, or raise --max-frame-bytes of every node';
  return new WalrusError('TOO_LARGE', message, { details: { recordBytes, maxValueBytes }, cause });
}

/**
 * One idempotent producer's batches to one partition: their order, their sequences, how many are under way, and
 * what follows from a failure. Pure: whoever owns it sends, keeps the time and gets the producer ids.
 *
 * Invariants:
 * - Batches are sent in the order of `add`; a sequence is given with the first sending and kept while the
 *   producer id is, so that a repeat is recognised by the log.
 * - The batches sent and not settled, and those after the oldest of them, are at most `windowMax`: as many as the
 *   log remembers of a producer (KIP-98), so that a repeat is never taken for a gap.
 * - After a failure nothing is sent until all that is under way has come back; then everything that is not settled
 *   is sent again, from the oldest on, with the same sequences.
 * - A sequence that is given up (a batch that failed for good, or whose time is over) burns the producer id: the rest
 *   goes on under a new one. What may have been stored under the old id is not sent again then: its owner is
 *   told that the outcome is unknown, rather than that the log holds it twice.
 */
import { assert } from '../base/assert.ts';
import { WalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { writeInt16, writeInt32, writeInt64 } from './bigEndian.ts';
import { BATCH_FIELD, SEQUENCE_MODULUS, batchSizeOf, computeBatchCrc } from './recordBatch.ts';

/** The most batches under way at once that a log can tell repeats of (KIP-98). */
export const PIPELINE_WINDOW_MAX = 5;

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** One sending of a batch; its outcome is told with the `attempt`. */
export interface Sending<Batch> {
  readonly batch: Batch;
  readonly identity: ProducerIdentity;
  readonly baseSequence: number;
  /** Never the same twice. */
  readonly attempt: number;
  /** The batch was sent before: its bytes may still be under way somewhere and must not be changed. */
  readonly isRepeat: boolean;
}

export interface ProducerPipelineOptions<Batch, Outcome> {
  /** 1..PIPELINE_WINDOW_MAX. */
  readonly windowMax: number;
  /** Sends a batch; its outcome may be told at once or later. */
  send(sending: Sending<Batch>): void;
  /** A batch is done with: stored, or failed for good. Called once for each, in any order. */
  settled(batch: Batch, error: WalrusError | null, outcome: Outcome | null): void;
  /** Wants `setIdentity`, once for each call. */
  needIdentity(): void;
  /** A failure has stopped the sending: call `resume` after a back-off. */
  paused(error: WalrusError): void;
}

interface Entry<Batch> {
  readonly batch: Batch;
  readonly recordsCount: number;
  /** -1 before the first sending under the present producer id. */
  baseSequence: number;
  /** 0 while not under way. */
  attempt: number;
  wasSent: boolean;
  /** It was sent last while older batches were not settled: those may have come to the log after it. */
  wasBehind: boolean;
  /** An earlier sending has an unknown outcome. */
  isInDoubt: boolean;
  isSettled: boolean;
}

/** Failures after which the batch is not in the log for certain (of this sending). */
/** What the message of an attempt may begin with, before it says why. */
const UNKNOWN_BEGINNING = /^The outcome (of \w+ )?is unknown: /;

const NOT_STORED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'SEGMENT_SEALED',
  'METADATA_UNAVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'OVERLOADED',
  'DISK_FULL',
  'OUT_OF_ORDER_SEQUENCE',
  'UNKNOWN_PRODUCER',
  'PRODUCER_FENCED',
  'TOPIC_NOT_FOUND',
  'PARTITION_NOT_FOUND',
  'CORRUPT_BATCH',
  'TOO_LARGE',
  'MALFORMED',
]);
/**
 * What a log answers to a batch whose predecessor it does not have. Sent behind others it may just have overtaken
 * them; one that was sent alone has lost its place in the log, and only another producer id can mend that.
 */
const PLACE_LOST: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'OUT_OF_ORDER_SEQUENCE',
  'UNKNOWN_PRODUCER',
]);

export class ProducerPipeline<Batch, Outcome> {
  readonly #options: ProducerPipelineOptions<Batch, Outcome>;
  /** Not settled, and settled ones behind an older one that is not. */
  #queue: Entry<Batch>[] = [];
  readonly #underWay = new Map<number, Entry<Batch>>();
  #state: 'Flowing' | 'Settling' | 'Resting' = 'Flowing';
  #identity: ProducerIdentity | null = null;
  #isIdentityAsked = false;
  #mustRenew = false;
  #nextSequence = 0;
  #nextAttempt = 1;
  #lastError: WalrusError | null = null;

  constructor(options: ProducerPipelineOptions<Batch, Outcome>) {
    const { windowMax } = options;
    assert(windowMax >= 1 && windowMax <= PIPELINE_WINDOW_MAX, 'A window has 1 to 5 batches');
    this.#options = options;
  }

  /** Batches that are not settled, or wait behind one that is not. */
  get size(): number {
    return this.#queue.length;
  }

  /** Whether everything that was added is settled and nothing is under way. */
  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#underWay.size === 0;
  }

  /** Whether a batch added now would be sent at once. */
  get hasRoom(): boolean {
    return this.#state === 'Flowing' && this.#queue.length < this.#options.windowMax;
  }

  add(batch: Batch, recordsCount: number): void {
    assert(recordsCount >= 1, 'A batch has at least one record');
    this.#queue.push({
      batch,
      recordsCount,
      baseSequence: -1,
      attempt: 0,
      wasSent: false,
      wasBehind: false,
      isInDoubt: false,
      isSettled: false,
    });
    this.#pump();
  }

  /** Gives the producer id that `needIdentity` asked for: one that this pipeline has never had. */
  setIdentity(identity: ProducerIdentity): void {
    this.#isIdentityAsked = false;
    this.#identity = identity;
    this.#nextSequence = 0;
    this.#pump();
  }

  /** The id could not be had now; it is asked for again by `resume`. */
  identityFailed(error: WalrusError): void {
    this.#isIdentityAsked = false;
    this.#lastError = error;
    this.#state = 'Settling';
    this.#afterSettling();
  }

  /** Goes on after a pause. Harmless when there is none. */
  resume(): void {
    if (this.#state !== 'Resting') return;
    this.#state = 'Flowing';
    this.#pump();
  }

  /** A sending has succeeded. Late answers to sendings that were given up are ignored. */
  acknowledged(attempt: number, outcome: Outcome): void {
    const entry = this.#takeBack(attempt);
    if (entry === null) return;
    this.#settle(entry, null, outcome);
    this.#dropSettled();
    if (this.#state === 'Settling') this.#afterSettling();
    else this.#pump();
  }

  /** A sending has failed, or nothing was heard of it (TIMED_OUT). */
  failed(attempt: number, error: WalrusError): void {
    const entry = this.#takeBack(attempt);
    if (entry === null) return;
    this.#lastError = error;
    if (this.#state === 'Flowing') this.#state = 'Settling';
    if (!entry.isSettled) this.#classify(entry, error);
    this.#afterSettling();
  }

  #classify(entry: Entry<Batch>, error: WalrusError): void {
    if (!NOT_STORED.has(error.code)) entry.isInDoubt = true;
    if (error.code === 'PRODUCER_FENCED') {
      this.#mustRenew = true;
    } else if (PLACE_LOST.has(error.code)) {
      if (!entry.wasBehind) this.#mustRenew = true;
    } else if (!error.retriable) {
      this.#settle(entry, error, null);
      this.#mustRenew = true;
    }
  }

  /**
   * Gives up what has waited too long, with TIMED_OUT.
   * @param isExpired - Says it of a batch.
   */
  expire(isExpired: (batch: Batch) => boolean): void {
    for (const entry of [...this.#queue]) {
      if (entry.isSettled || !isExpired(entry.batch)) continue;
      if (entry.baseSequence >= 0) {
        this.#mustRenew = true;
        this.#state = 'Settling';
      }
      this.#settle(entry, this.#timedOut(entry), null);
    }
    this.#dropSettled();
    this.#afterSettling();
  }

  /** Fails everything; what is under way is given up. */
  stop(error: WalrusError): void {
    this.#underWay.clear();
    const queue = this.#queue;
    this.#queue = [];
    for (const entry of queue) if (!entry.isSettled) this.#settle(entry, error, null);
  }

  #timedOut(entry: Entry<Batch>): WalrusError {
    const mayBeStored = entry.isInDoubt || entry.attempt > 0;
    const what = mayBeStored ? 'The outcome is unknown' : 'Nothing was stored';
    const why = this.#lastError?.message.replace(UNKNOWN_BEGINNING, '') ?? 'no answer in time';
    const options = this.#lastError === null ? {} : { cause: this.#lastError };
    return new WalrusError('TIMED_OUT', `${what}: ${why}`, options);
  }

  #takeBack(attempt: number): Entry<Batch> | null {
    const entry = this.#underWay.get(attempt);
    if (entry === undefined) return null;
    this.#underWay.delete(attempt);
    entry.attempt = 0;
    return entry;
  }

  #settle(entry: Entry<Batch>, error: WalrusError | null, outcome: Outcome | null): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    this.#options.settled(entry.batch, error, outcome);
  }

  #dropSettled(): void {
    while (this.#queue[0]?.isSettled === true) this.#queue.shift();
  }

  /** Once nothing is under way any more, decides how to go on. */
  #afterSettling(): void {
    if (this.#state !== 'Settling' || this.#underWay.size > 0) return;
    if (this.#mustRenew) this.#renew();
    // Under the same id a settled one behind an older one that is not still takes its place in the log's memory.
    else this.#dropSettled();
    if (this.#queue.length === 0) {
      this.#state = 'Flowing';
      return;
    }
    this.#state = 'Resting';
    this.#options.paused(
      this.#lastError ?? new WalrusError('TIMED_OUT', 'A batch was not answered in time'),
    );
  }

  /** Gives the producer id up, and with it what may have been stored under it. */
  #renew(): void {
    this.#mustRenew = false;
    this.#identity = null;
    for (const entry of this.#queue) {
      if (entry.isSettled) continue;
      if (entry.isInDoubt) this.#settle(entry, this.#timedOut(entry), null);
      entry.baseSequence = -1;
    }
    this.#queue = this.#queue.filter((entry) => !entry.isSettled);
  }

  #pump(): void {
    while (this.#state === 'Flowing') {
      const entry = this.#nextToSend();
      if (entry === undefined) return;
      if (this.#identity === null) {
        this.#askIdentity();
        return;
      }
      this.#send(entry, this.#identity);
    }
  }

  #nextToSend(): Entry<Batch> | undefined {
    const count = Math.min(this.#queue.length, this.#options.windowMax);
    for (let i = 0; i < count; i += 1) {
      const entry = this.#queue[i];
      if (entry !== undefined && !entry.isSettled && entry.attempt === 0) return entry;
    }
    return undefined;
  }

  #askIdentity(): void {
    if (this.#isIdentityAsked) return;
    this.#isIdentityAsked = true;
    this.#options.needIdentity();
  }

  #send(entry: Entry<Batch>, identity: ProducerIdentity): void {
    if (entry.baseSequence < 0) {
      entry.baseSequence = this.#nextSequence;
      this.#nextSequence = (this.#nextSequence + entry.recordsCount) % SEQUENCE_MODULUS;
    }
    const { batch, baseSequence, wasSent: isRepeat } = entry;
    const attempt = this.#nextAttempt;
    this.#nextAttempt += 1;
    entry.attempt = attempt;
    entry.wasSent = true;
    entry.wasBehind = this.#queue.find((other) => !other.isSettled) !== entry;
    this.#underWay.set(attempt, entry);
    this.#options.send({ batch, identity, baseSequence, attempt, isRepeat });
  }
}

/** Writes a producer's identity and sequence into a finished batch, and its CRC anew. */
export function stampProducer(
  batch: Uint8Array,
  identity: ProducerIdentity,
  baseSequence: number,
): void {
  writeInt64(batch, BATCH_FIELD.PRODUCER_ID, identity.producerId);
  writeInt16(batch, BATCH_FIELD.PRODUCER_EPOCH, identity.producerEpoch);
  writeInt32(batch, BATCH_FIELD.BASE_SEQUENCE, baseSequence);
  writeInt32(batch, BATCH_FIELD.CRC, computeBatchCrc(batch, 0, batchSizeOf(batch)));
}

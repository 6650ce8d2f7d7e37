/**
 * The shared cursor of one partition, at the leader of its open segment: hands each committed record out once, in
 * order, to the nodes whose clients ask (takers), and knows which have arrived.
 *
 * Invariants:
 * - A record counts as delivered only when it is confirmed. Every offset below `safePosition` is; it never
 *   passes one that is not, so that whoever goes on from a committed position skips nothing.
 * - An offset that was given back is handed out again before any new one, lowest first.
 * - Records are under way through one taker at a time. Whoever asks next waits until they have arrived or were given back, at
 *   most `CONFIRM_MS_MAX`: so none is handed out behind a newer one because an answer or a node was lost.
 */
import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { NodeId, Offset } from '../../base/units.ts';
import type { ReadResult } from '../storage/types.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import type { LocalRead } from './logReader.ts';
import { batchSizeOf } from '../../protocol/recordBatch.ts';
import type { SegmentRecord } from '../state/types.ts';
import { UnderWay } from './underWay.ts';
import type { TakeCall } from './underWay.ts';

/** How long a record may be under way to a client before it is handed out again. */
export const CONFIRM_MS_MAX = 3000;
/** Records under way at once. */
export const OUTSTANDING_COUNT_MAX = 65_536;
/** Requests that wait while records are read. */
const WAITING_COUNT_MAX = 10_000;
const READ_BYTES = 64 * 1024;
/** Bytes of the records that one request takes, one record apart. */
const TAKE_BYTES_MAX = 1024 * 1024;

/** A record that was handed out. */
export interface Taken {
  readonly offset: Offset;
  /** Owned by whoever takes it. */
  readonly value: Uint8Array;
}

/** What a request comes to. */
export interface TakeResult {
  readonly taken: readonly Taken[];
  /** There is nothing more to hand out now. */
  readonly isEnd: boolean;
  /** Why there are no more. */
  readonly error: WalrusError | null;
}

export interface TakeRequest {
  /** The node whose clients wait. */
  readonly taker: NodeId;
  readonly count: number;
  /** Whether anybody waits still: looked at when it is its turn. */
  isWanted(): boolean;
  /** Called once, at once where nothing has to be waited for. */
  done(result: TakeResult): void;
}

export interface PartitionCursorOptions {
  readonly clock: Clock;
  /** The first offset that is not known to be delivered. */
  readonly position: Offset;
  readHere(from: Offset, maxBytes: number): LocalRead;
  readElsewhere(segment: SegmentRecord, from: Offset, maxBytes: number): Promise<ReadResult>;
  /** `safePosition` has moved on. */
  onSafe(): void;
}

export class PartitionCursor {
  readonly #options: PartitionCursorOptions;
  #position: Offset;
  readonly #underWay = new UnderWay();
  #expiryTimer: Timer | null = null;
  /** Given back, ascending. */
  #returned: Offset[] = [];
  #waiting: TakeRequest[] = [];
  #isReading = false;
  #records: RecordIterator | null = null;
  /** Whole batches, the one of `#records` first. */
  #batches = new Uint8Array(0);
  #batchAt = 0;
  /** The offset of the record on which `#records` stands: the next to hand out of the buffer; -1 for none. */
  #nextInBuffer = -1;
  #state: 'Serving' | 'Closing' | 'Ended' = 'Serving';
  #onQuiet: (() => void) | null = null;

  constructor(options: PartitionCursorOptions) {
    this.#options = options;
    this.#position = options.position;
  }

  /** Everything below it has been delivered. */
  get safePosition(): Offset {
    const lowest = this.#underWay.lowestBelow(this.#position);
    const first = this.#returned[0];
    return first !== undefined && first < lowest ? first : lowest;
  }

  /**
   * Another node asks anew. What its last request took and never came to it is given back, to be handed out first; and a
   * request of it that still waits is over.
   * @returns false when a later one was here before.
   */
  resume(taker: NodeId, call: TakeCall): boolean {
    const lost = this.#underWay.begin(taker, call);
    if (lost === null) return false;
    for (const at of lost) this.#underWay.remove(at, taker);
    this.#giveBack(lost);
    return true;
  }

  /** Whether a request of another node is its last one. */
  isCurrent(taker: NodeId, call: TakeCall): boolean {
    return this.#underWay.isCurrent(taker, call);
  }

  /** Whether a taker would not have to wait for others. */
  isFree(taker: NodeId): boolean {
    return !this.#isReading && this.#waiting.length === 0 && this.#underWay.mayTake(taker);
  }

  /** Hands out the next records. */
  take(request: TakeRequest): void {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      const message = 'Too many requests wait for this shared cursor';
      request.done(failed(new WalrusError('OVERLOADED', message)));
      return;
    }
    this.#waiting.push(request);
    this.#pump();
  }

  /** In the order of their coming: who has to wait for another taker's records holds up those behind. */
  #pump(): void {
    while (!this.#isReading) {
      const [request] = this.#waiting;
      if (request === undefined) return;
      const isServing = this.#state === 'Serving';
      if (isServing && !this.#underWay.mayTake(request.taker)) return;
      this.#waiting.shift();
      if (isServing) this.#serve(request);
      else request.done(failed(this.#closed()));
    }
  }

  #closed(): WalrusError {
    return new WalrusError('NOT_LEADER', 'The shared cursor is being handed over');
  }

  #serve(request: TakeRequest): void {
    if (!request.isWanted()) {
      request.done(NOTHING);
      return;
    }
    const result = this.#collect(request);
    if ('segmentId' in result) void this.#readThenServe(result, request);
    else request.done(result);
  }

  /** What can be handed out without waiting; a segment when another node has to be asked for the first record. */
  #collect({ taker, count }: TakeRequest): TakeResult | SegmentRecord {
    const taken: Taken[] = [];
    let bytes = 0;
    try {
      while (taken.length < count && bytes < TAKE_BYTES_MAX) {
        this.#checkRoom();
        const segment = this.#load(this.#returned[0] ?? this.#position);
        if (segment !== null) return taken.length === 0 ? segment : some(taken);
        const next = this.#handOut(taker);
        if (next === null) return { taken, isEnd: true, error: null };
        taken.push(next);
        bytes += next.value.length;
      }
      return some(taken);
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      return { taken, isEnd: false, error };
    }
  }

  #checkRoom(): void {
    const { size } = this.#underWay;
    if (size < OUTSTANDING_COUNT_MAX) return;
    const message = `${size} records are under way to clients`;
    throw new WalrusError('OVERLOADED', `Cannot hand out more: ${message}`);
  }

  /** Makes the wanted record the next of the buffer, or none where there is none; else names who must be asked. */
  #load(wanted: Offset): SegmentRecord | null {
    let at = wanted;
    while (this.#nextInBuffer !== at) {
      this.#drop();
      const found = this.#options.readHere(at, READ_BYTES);
      switch (found.type) {
        case 'End':
          return null;
        case 'Elsewhere':
          return found.segment;
        case 'Skip':
          at = this.#skipTo(at, found.to);
          break;
        case 'Removed':
          at = this.#skipTo(at, found.logStartOffset);
          break;
        case 'Batches':
          this.#fill(found.read.bytes, at);
          break;
      }
    }
    return null;
  }

  /** Nothing is at `from` any more, or ever. */
  #skipTo(from: Offset, to: Offset): Offset {
    assert(to > from, 'What is skipped lies behind');
    if (from === this.#returned[0]) {
      this.#returned = this.#returned.filter((at) => at >= to);
    }
    if (this.#position < to && this.#position >= from) this.#position = to;
    this.#options.onSafe();
    return this.#returned[0] ?? this.#position;
  }

  async #readThenServe(segment: SegmentRecord, request: TakeRequest): Promise<void> {
    this.#isReading = true;
    const wanted = this.#returned[0] ?? this.#position;
    try {
      const { bytes } = await this.#options.readElsewhere(segment, wanted, READ_BYTES);
      this.#drop();
      this.#fill(bytes, wanted);
      if (this.#state === 'Serving') this.#serve(request);
      else request.done(failed(this.#closed()));
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      request.done(failed(error));
    } finally {
      this.#isReading = false;
      this.#pump();
    }
  }

  #drop(): void {
    this.#records = null;
    this.#nextInBuffer = -1;
    this.#batches = new Uint8Array(0);
    this.#batchAt = 0;
  }

  /** Keeps a copy of batches and stands before the record at `wanted`. */
  #fill(bytes: Uint8Array, wanted: Offset): void {
    this.#batches = bytes.slice();
    this.#batchAt = 0;
    this.#records = new RecordIterator(this.#batches, 0);
    let at = this.#step();
    while (at < wanted) at = this.#step();
    assert(at === wanted, 'A read holds what was asked for');
    this.#nextInBuffer = wanted;
  }

  /** Steps to the next record of the buffer; Infinity at its end. */
  #step(): number {
    while (this.#records !== null) {
      if (this.#records.next()) return this.#records.offset;
      this.#batchAt += batchSizeOf(this.#batches, this.#batchAt);
      const isOver = this.#batchAt >= this.#batches.length;
      this.#records = isOver ? null : new RecordIterator(this.#batches, this.#batchAt);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** null: the end. */
  #handOut(taker: NodeId): Taken | null {
    const at = this.#nextInBuffer;
    if (at < 0 || this.#records === null) return null;
    assert(this.#records.offset === at, 'The buffer stands at the record that is wanted');
    const value = this.#records.value()?.slice() ?? new Uint8Array(0);
    const taken = { offset: offset(at), value };
    if (this.#returned[0] === at) this.#returned.shift();
    else this.#position = offset(at + 1);
    this.#lookAhead();
    const dueMs = this.#options.clock.monotonicMs() + CONFIRM_MS_MAX;
    this.#underWay.add(taken.offset, taker, dueMs);
    this.#planExpiry();
    return taken;
  }

  /** One timer for all: the oldest record goes first, and a new one has to be looked at only then. */
  #planExpiry(): void {
    if (this.#expiryTimer !== null) return;
    const { clock } = this.#options;
    const dueMs = this.#underWay.oldestDueMs;
    if (dueMs === null) return;
    const delayMs = Math.max(0, dueMs - clock.monotonicMs());
    this.#expiryTimer = clock.setTimer(delayMs, () => this.#expire());
  }

  #expire(): void {
    this.#expiryTimer = null;
    this.#giveBack(this.#underWay.removeDue(this.#options.clock.monotonicMs()));
    this.#planExpiry();
  }

  /** Goes to the next record, so that the end of the buffer is known. */
  #lookAhead(): void {
    const next = this.#step();
    this.#nextInBuffer = next === Number.POSITIVE_INFINITY ? -1 : next;
  }

  /** A taker's record has reached its client, or has not and is to be handed out again. Repeats are harmless. */
  settle(at: Offset, wasDelivered: boolean, taker: NodeId): void {
    if (!this.#underWay.remove(at, taker)) return;
    if (!wasDelivered) {
      this.#giveBack([at]);
      return;
    }
    if (this.#state !== 'Ended') this.#options.onSafe();
    this.#arrived();
  }

  /** These are handed out again, before anything newer. */
  #giveBack(offsets: readonly Offset[]): void {
    this.#returned.push(...offsets);
    this.#returned.sort((a, b) => a - b);
    this.#arrived();
  }

  /** Something is under way no more. */
  #arrived(): void {
    if (this.#underWay.size > 0) return;
    this.#onQuiet?.();
    this.#pump();
  }

  /** Hands out nothing more; calls back once nothing is under way. The caller bounds the wait. */
  close(onQuiet: () => void): void {
    if (this.#state === 'Serving') this.#state = 'Closing';
    this.#onQuiet = onQuiet;
    this.#pump();
    if (this.#underWay.size === 0) onQuiet();
  }

  /** Another one is in charge now. */
  end(): void {
    this.#state = 'Ended';
    this.#onQuiet = null;
    this.#expiryTimer?.cancel();
    this.#underWay.clear();
    this.#pump();
  }
}

/** For a request that nobody waits for any more: no word about the end, which was not looked at. */
const NOTHING: TakeResult = { taken: [], isEnd: false, error: null };

function some(taken: readonly Taken[]): TakeResult {
  return { taken, isEnd: false, error: null };
}

function failed(error: WalrusError): TakeResult {
  return { taken: [], isEnd: false, error };
}

/**
 * The shared cursor of one partition, at the leader of its open segment: hands each committed record out once, in
 * order, and knows which have arrived.
 *
 * Invariants:
 * - A record counts as delivered only when it is confirmed. Every offset below `safePosition` is; it never
 *   passes one that is not, so that whoever goes on from a committed position skips nothing.
 * - An offset that was given back is handed out again before any new one, lowest first.
 */
import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import type { ReadResult } from '../storage/types.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import type { LocalRead } from './logReader.ts';
import { batchSizeOf } from '../../protocol/recordBatch.ts';
import type { SegmentRecord } from '../state/types.ts';

/** How long a record may be under way to a client before it is handed out again. */
export const CONFIRM_MS_MAX = 5000;
/** Records under way at once. */
export const OUTSTANDING_COUNT_MAX = 10_000;
/** Requests that wait while records are read. */
const WAITING_COUNT_MAX = 10_000;
const READ_BYTES = 64 * 1024;

/** A record that was handed out. */
export interface Taken {
  readonly offset: Offset;
  /** Owned by whoever takes it. */
  readonly value: Uint8Array;
}

/** `null, null`: there is nothing to hand out now. */
export type TakeDone = (error: WalrusError | null, taken: Taken | null) => void;

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
  /** Handed out and not confirmed -> when it is given up; the oldest first, since all have the same time. */
  readonly #outstanding = new Map<Offset, number>();
  #expiryTimer: Timer | null = null;
  /** Given back, ascending. */
  #returned: Offset[] = [];
  #waiting: TakeDone[] = [];
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
    let lowest = this.#position;
    for (const at of this.#outstanding.keys()) if (at < lowest) lowest = at;
    const first = this.#returned[0];
    return first !== undefined && first < lowest ? first : lowest;
  }

  get outstandingCount(): number {
    return this.#outstanding.size;
  }

  /** Hands out the next record. `done` is called once, at once where no other node has to be asked. */
  take(done: TakeDone): void {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      done(new WalrusError('OVERLOADED', 'Too many requests wait for this shared cursor'), null);
      return;
    }
    this.#waiting.push(done);
    this.#pump();
  }

  #pump(): void {
    while (!this.#isReading) {
      const done = this.#waiting.shift();
      if (done === undefined) return;
      if (this.#state !== 'Serving') {
        done(this.#closed(), null);
        continue;
      }
      this.#serve(done);
    }
  }

  #closed(): WalrusError {
    return new WalrusError('NOT_LEADER', 'The shared cursor is being handed over');
  }

  #serve(done: TakeDone): void {
    if (this.#outstanding.size >= OUTSTANDING_COUNT_MAX) {
      const message = `${this.#outstanding.size} records are under way to clients`;
      done(new WalrusError('OVERLOADED', `Cannot hand out more: ${message}`), null);
      return;
    }
    const again = this.#returned[0];
    try {
      const segment = this.#load(again ?? this.#position);
      if (segment === null) this.#handOut(done);
      else void this.#readThenServe(segment, done);
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      done(error, null);
    }
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

  async #readThenServe(segment: SegmentRecord, done: TakeDone): Promise<void> {
    this.#isReading = true;
    const wanted = this.#returned[0] ?? this.#position;
    try {
      const { bytes } = await this.#options.readElsewhere(segment, wanted, READ_BYTES);
      this.#drop();
      this.#fill(bytes, wanted);
      if (this.#state === 'Serving') this.#serve(done);
      else done(this.#closed(), null);
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      done(error, null);
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

  #handOut(done: TakeDone): void {
    const at = this.#nextInBuffer;
    if (at < 0 || this.#records === null) {
      done(null, null); // the end
      return;
    }
    assert(this.#records.offset === at, 'The buffer stands at the record that is wanted');
    const value = this.#records.value()?.slice() ?? new Uint8Array(0);
    const taken = { offset: offset(at), value };
    if (this.#returned[0] === at) this.#returned.shift();
    else this.#position = offset(at + 1);
    this.#lookAhead();
    this.#outstanding.set(taken.offset, this.#options.clock.monotonicMs() + CONFIRM_MS_MAX);
    this.#planExpiry();
    done(null, taken);
  }

  /** One timer for all: the oldest record goes first, and a new one has to be looked at only then. */
  #planExpiry(): void {
    if (this.#expiryTimer !== null) return;
    const { clock } = this.#options;
    for (const dueMs of this.#outstanding.values()) {
      const delayMs = Math.max(0, dueMs - clock.monotonicMs());
      this.#expiryTimer = clock.setTimer(delayMs, () => this.#expire());
      return;
    }
  }

  #expire(): void {
    this.#expiryTimer = null;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [at, dueMs] of this.#outstanding) {
      if (dueMs > nowMs) break;
      this.settle(at, false);
    }
    this.#planExpiry();
  }

  /** Goes to the next record, so that the end of the buffer is known. */
  #lookAhead(): void {
    const next = this.#step();
    this.#nextInBuffer = next === Number.POSITIVE_INFINITY ? -1 : next;
  }

  /** A record has reached its client, or has not and is to be handed out again. Repeats are harmless. */
  settle(at: Offset, wasDelivered: boolean): void {
    if (!this.#outstanding.delete(at)) return;
    if (wasDelivered) {
      if (this.#state !== 'Ended') this.#options.onSafe();
    } else {
      this.#returned.push(at);
      this.#returned.sort((a, b) => a - b);
    }
    if (this.#outstanding.size === 0) this.#onQuiet?.();
  }

  /** Hands out nothing more; calls back once nothing is under way. The caller bounds the wait. */
  close(onQuiet: () => void): void {
    if (this.#state === 'Serving') this.#state = 'Closing';
    this.#onQuiet = onQuiet;
    this.#pump();
    if (this.#outstanding.size === 0) onQuiet();
  }

  /** Another one is in charge now. */
  end(): void {
    this.#state = 'Ended';
    this.#onQuiet = null;
    this.#expiryTimer?.cancel();
    this.#outstanding.clear();
    this.#pump();
  }
}

/**
 * Read barriers on their way: a group of reads that came in one turn asks the leader for an index, then waits
 * until it is applied. Asked again until it is answered or too old.
 *
 * A group's context is drawn at random once per life of the server and counted from there, so that an answer to
 * an earlier life is not taken for an answer to this one.
 */
import { WalrusError } from '../../../base/errors.ts';
import type { Random } from '../../../base/random.ts';
import type { LogIndex } from '../../../base/units.ts';

/** Who waits for a read. */
export interface ReadWaiter {
  resolve(index: LogIndex): void;
  reject(error: WalrusError): void;
}

interface ReadGroup {
  readonly context: number;
  readonly waiters: ReadWaiter[];
  readonly deadlineMs: number;
  /** Null until the leader has answered. */
  index: LogIndex | null;
  ticksSinceAsked: number;
}

/** Ticks after which an unanswered read is asked again. */
const RETRY_TICKS = 4;

export class PendingReads {
  #groups: ReadGroup[] = [];
  /** Reads that have not been asked about; they share the next group. */
  #gathering: ReadWaiter[] = [];
  #nextContext: number;
  #count = 0;

  constructor(random: Random) {
    this.#nextContext = random.uint32() * 2 ** 16 + (random.uint32() & 0xffff);
  }

  /** How many are not settled. */
  get count(): number {
    return this.#count;
  }

  gather(waiter: ReadWaiter): void {
    this.#gathering.push(waiter);
    this.#count += 1;
  }

  /** Makes a group of what was gathered; returns the context to ask with, or null when there is nothing. */
  startGroup(deadlineMs: number): number | null {
    if (this.#gathering.length === 0) return null;
    const context = this.#nextContext;
    this.#nextContext += 1;
    this.#groups.push({
      context,
      waiters: this.#gathering,
      deadlineMs,
      index: null,
      ticksSinceAsked: 0,
    });
    this.#gathering = [];
    return context;
  }

  /** The leader has answered; null means that it must be asked again, which the next tick does. */
  answered(context: number, index: LogIndex | null): void {
    const group = this.#groups.find((one) => one.context === context);
    if (group === undefined || group.index !== null) return;
    if (index === null) group.ticksSinceAsked = RETRY_TICKS;
    else group.index = index;
  }

  /** Settles the reads whose index is applied. */
  applied(lastApplied: LogIndex): void {
    if (this.#groups.length === 0) return;
    const ready = this.#groups.filter(({ index }) => index !== null && index <= lastApplied);
    if (ready.length === 0) return;
    this.#groups = this.#groups.filter((group) => !ready.includes(group));
    for (const { waiters, index } of ready) {
      this.#count -= waiters.length;
      for (const waiter of waiters) if (index !== null) waiter.resolve(index);
    }
  }

  /** Gives up what is too old; returns the contexts to ask about again. */
  tick(nowMs: number): number[] {
    const late = this.#groups.filter(({ deadlineMs }) => deadlineMs <= nowMs);
    this.#groups = this.#groups.filter((group) => !late.includes(group));
    for (const { waiters } of late) this.#reject(waiters, tooLate());
    const again: number[] = [];
    for (const group of this.#groups) {
      if (group.index !== null) continue;
      group.ticksSinceAsked += 1;
      if (group.ticksSinceAsked < RETRY_TICKS) continue;
      group.ticksSinceAsked = 0;
      again.push(group.context);
    }
    return again;
  }

  /** Settles everything. */
  failAll(error: WalrusError): void {
    const waiters = [...this.#groups.flatMap((group) => group.waiters), ...this.#gathering];
    this.#groups = [];
    this.#gathering = [];
    this.#reject(waiters, error);
  }

  #reject(waiters: readonly ReadWaiter[], error: WalrusError): void {
    this.#count -= waiters.length;
    for (const waiter of waiters) waiter.reject(error);
  }
}

function tooLate(): WalrusError {
  return new WalrusError(
    'TIMED_OUT',
    'Cannot read: the metadata had no leader that could confirm the read in time; try again',
  );
}

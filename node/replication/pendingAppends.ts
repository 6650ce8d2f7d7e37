/** Appends that wait for their acknowledgement, in the order of their end offsets. */
import type { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';

/** When a producer wants its answer: durable on the leader, on W members, or on all members. */
export type AckLevel = 'leader' | 'quorum' | 'all';

export interface AppendOutcome {
  readonly baseOffset: Offset;
  /** The log held the batch already: this was a retry. */
  readonly isDuplicate: boolean;
}

/** Called exactly once. */
export type AppendCallback = (error: WalrusError | null, outcome: AppendOutcome | null) => void;

export interface PendingAppend {
  readonly endOffset: Offset;
  readonly outcome: AppendOutcome;
  readonly done: AppendCallback;
}

/** A queue for one ack level. Ends mostly grow; a duplicate's lies lower and is put in its place. */
export class PendingAppends {
  #items: PendingAppend[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  add(pending: PendingAppend): void {
    let at = this.#items.length;
    while (at > this.#head && (this.#items[at - 1] as PendingAppend).endOffset > pending.endOffset)
      at -= 1;
    if (at === this.#items.length) this.#items.push(pending);
    else this.#items.splice(at, 0, pending);
  }

  /** Takes out, in order, what ends at or below `limit`. */
  takeUpTo(limit: Offset): PendingAppend[] {
    let end = this.#head;
    while (end < this.#items.length && (this.#items[end] as PendingAppend).endOffset <= limit)
      end += 1;
    const taken = this.#items.slice(this.#head, end);
    this.#head = end;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Takes out everything that is left. */
  takeAll(): PendingAppend[] {
    const taken = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return taken;
  }
}

/** The replies of one text connection: found in any order, written in the order of the commands. */
import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { encodeTextReply } from '../../protocol/text.ts';

/** Beyond so many answered slots at its front the list is cut. */
const CUT_COUNT = 4096;
const OKS_COUNT = 1024;

export const OK_REPLY = encodeTextReply({ type: 'OK' });
/** Many of them in a row, for runs. */
const OKS = concatBytes(Array.from({ length: OKS_COUNT }, () => OK_REPLY));

export class ReplyQueue {
  /** null: not answered yet. */
  #replies: (Uint8Array | null)[] = [];
  /** What each command takes in memory until its reply is written. */
  #sizes: number[] = [];
  #head = 0;
  /** The number of the first slot in `#replies`. */
  #firstSlot = 0;
  #sizeBytes = 0;

  /** Commands without a written reply. */
  get size(): number {
    return this.#replies.length - this.#head;
  }

  /** The number of the first command without a written reply. */
  get firstUnwritten(): number {
    return this.#firstSlot + this.#head;
  }

  /** What they take, with the replies that are not written. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Takes a place for the next command's reply; returns its number. */
  reserve(sizeBytes: number): number {
    this.#replies.push(null);
    this.#sizes.push(sizeBytes);
    this.#sizeBytes += sizeBytes;
    return this.#firstSlot + this.#replies.length - 1;
  }

  fill(slot: number, reply: Uint8Array): void {
    const at = slot - this.#firstSlot;
    assert(this.#replies[at] === null, 'A command has one reply');
    this.#replies[at] = reply;
  }

  /** Takes out the replies at the front that are there, as bytes to write; null when there are none. */
  takeReady(): Uint8Array | null {
    const from = this.#head;
    let end = from;
    let length = 0;
    let areOks = true;
    for (; end < this.#replies.length; end += 1) {
      const reply = this.#replies[end];
      if (reply === null || reply === undefined) break;
      length += reply.length;
      areOks &&= reply === OK_REPLY;
      this.#sizeBytes -= this.#sizes[end] ?? 0;
    }
    if (end === from) return null;
    const bytes =
      areOks && length <= OKS.length ? OKS.subarray(0, length) : this.#join(from, end, length);
    this.#head = end;
    this.#cut();
    return bytes;
  }

  #join(from: number, end: number, length: number): Uint8Array {
    const joined = new Uint8Array(length);
    let at = 0;
    for (let i = from; i < end; i += 1) {
      const reply = this.#replies[i];
      if (reply === null || reply === undefined) break;
      joined.set(reply, at);
      at += reply.length;
    }
    return joined;
  }

  #cut(): void {
    const isEmpty = this.#head === this.#replies.length;
    if (!isEmpty && this.#head < CUT_COUNT) return;
    this.#firstSlot += this.#head;
    if (isEmpty) {
      this.#replies.length = 0;
      this.#sizes.length = 0;
    } else {
      this.#replies = this.#replies.slice(this.#head);
      this.#sizes = this.#sizes.slice(this.#head);
    }
    this.#head = 0;
  }
}

/**
 * Cuts a byte stream into records at a delimiter, without a copy of those that lie within one chunk. What follows
 * the last delimiter is a record of its own unless it is empty.
 */
import { WalrusError } from '../base/errors.ts';

export interface RecordCutterOptions {
  /** At least one byte. */
  readonly delimiter: Uint8Array;
  /** Leaves the delimiter at the end of each record. */
  readonly keepsDelimiter: boolean;
  readonly maxRecordBytes: number;
}

export class RecordCutter {
  /** The present record: a range of `bytes`, after `next()` has returned true. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  length = 0;
  readonly #options: RecordCutterOptions;
  readonly #delimiter: Buffer;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(options: RecordCutterOptions) {
    this.#options = options;
    this.#delimiter = Buffer.from(options.delimiter);
  }

  /** Takes the next chunk, after `next()` has returned false. It must not change until then again. */
  push(chunk: Buffer): void {
    const rest = this.#chunk.subarray(this.#at);
    this.#chunk = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.#at = 0;
  }

  /** Steps to the next record that is whole. */
  next(): boolean {
    const end = this.#chunk.indexOf(this.#delimiter, this.#at);
    if (end < 0) {
      this.#checkSize(this.#chunk.length - this.#at);
      return false;
    }
    const next = end + this.#delimiter.length;
    this.#set(this.#options.keepsDelimiter ? next : end);
    this.#at = next;
    return true;
  }

  /** Steps to what is left once the stream has ended. */
  last(): boolean {
    if (this.#at >= this.#chunk.length) return false;
    this.#set(this.#chunk.length);
    this.#at = this.#chunk.length;
    return true;
  }

  #set(end: number): void {
    this.bytes = this.#chunk;
    this.start = this.#at;
    this.length = end - this.#at;
    this.#checkSize(this.length);
  }

  #checkSize(sizeBytes: number): void {
    const { maxRecordBytes } = this.#options;
    if (sizeBytes <= maxRecordBytes) return;
    const message = `A record has more than ${maxRecordBytes} bytes: choose another --delimiter`;
    throw new WalrusError('TOO_LARGE', message);
  }
}

/**
 * Cuts a byte stream into records at a delimiter. What follows the last delimiter is a record of its own unless it
 * is empty. All chunks go through one buffer: a copy of each byte, but no garbage however much streams through.
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
  /** What was pushed and not cut yet lies in `#at .. #end` of the buffer. */
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  constructor(options: RecordCutterOptions) {
    this.#options = options;
    this.#delimiter = Buffer.from(options.delimiter);
  }

  /** Takes the next chunk, by a copy, after `next()` has returned false. The present record is gone then. */
  push(chunk: Uint8Array): void {
    const rest = this.#end - this.#at;
    const needed = rest + chunk.length;
    const old = this.#buffer;
    if (needed > old.length) this.#buffer = Buffer.allocUnsafeSlow(needed + chunk.length);
    this.#buffer.set(old.subarray(this.#at, this.#end), 0);
    this.#buffer.set(chunk, rest);
    this.#at = 0;
    this.#end = needed;
  }

  /** Steps to the next record that is whole. */
  next(): boolean {
    const end = this.#buffer.indexOf(this.#delimiter, this.#at);
    const next = end + this.#delimiter.length;
    // Behind the end there may be bytes of earlier chunks.
    if (end < 0 || next > this.#end) {
      this.#checkSize(this.#end - this.#at);
      return false;
    }
    this.#set(this.#options.keepsDelimiter ? next : end);
    this.#at = next;
    return true;
  }

  /** Steps to what is left once the stream has ended. */
  last(): boolean {
    if (this.#at >= this.#end) return false;
    this.#set(this.#end);
    this.#at = this.#end;
    return true;
  }

  #set(end: number): void {
    this.bytes = this.#buffer;
    this.start = this.#at;
    this.length = end - this.#at;
    this.#checkSize(this.length);
  }

  #checkSize(sizeBytes: number): void {
    const { maxRecordBytes } = this.#options;
    if (sizeBytes <= maxRecordBytes) return;
    const message =
      `A record has more than ${maxRecordBytes} bytes, which is all that the nodes take: choose another ` +
      '--delimiter, or raise --max-frame-bytes of every node';
    throw new WalrusError('TOO_LARGE', message, { details: { maxRecordBytes } });
  }
}

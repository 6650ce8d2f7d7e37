/**
 * Cuts a byte stream into length-prefixed frames: the outer layer of the text, binary and peer protocols.
 *
 * | at | size | field   | notes                                |
 * |----|------|---------|--------------------------------------|
 * | 0  | 4    | length  | u32 little-endian: bytes that follow |
 * | 4  |      | content |                                      |
 *
 * Memory: a frame that arrives whole is a view of the chunk. One that is cut is collected in a buffer that grows
 * with what has arrived (up to eight times that, never to what is announced alone), up to the limit for frames. With a
 * pool, large ones are collected in its buffers, which go back when the frame has been handled.
 */
import { assert } from '../base/assert.ts';
import type { BufferPool } from '../base/bufferPool.ts';
import { WalrusError } from '../base/errors.ts';

/** The size of the length field. */
export const FRAME_HEADER_BYTES = 4;

/** The collecting buffer that is kept between frames; larger ones are given away with their frame. */
const KEPT_BUFFER_BYTES = 64 * 1024;
/** How far ahead of what has arrived the buffer grows. */
const GROWTH_FACTOR = 8;

export interface FrameDecoderOptions {
  /** The largest content of a frame, in bytes. */
  readonly maxFrameBytes: number;
  /** What the frames are, for messages: "command". */
  readonly what: string;
  /** Lends the buffers of large frames, so that no frame is ever `isOwned`. */
  readonly pool?: BufferPool;
  /**
   * Takes a frame's content. The view is valid during the call only, unless `isOwned`: then its buffer belongs
   * to the receiver from here on.
   */
  readonly onFrame: (frame: Uint8Array, isOwned: boolean) => void;
}

/** Turns chunks into frames. One for each connection and direction. */
export class FrameDecoder {
  readonly #options: FrameDecoderOptions;
  #maxFrameBytes: number;
  /** The length field that is being read: its bytes so far and their count. */
  #header = 0;
  #headerLength = 0;
  /** Content of the frame that is being collected. Empty buffer: none yet. */
  #kept: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #buffer: Uint8Array<ArrayBuffer> = this.#kept;
  #collected = 0;
  #error: WalrusError | null = null;
  #isStopped = false;

  constructor(options: FrameDecoderOptions) {
    this.#options = options;
    this.#maxFrameBytes = options.maxFrameBytes;
  }

  /** Bytes of a frame that has begun and not ended, its length field included. */
  get pendingBytes(): number {
    return this.#headerLength + this.#collected;
  }

  /** Changes the limit for the frames that follow: after a handshake. */
  setMaxFrameBytes(maxFrameBytes: number): void {
    assert(maxFrameBytes > 0, 'A frame must be allowed to have content');
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Drops what is left of the present chunk and all that follows: the connection is being closed. */
  stop(): void {
    this.#isStopped = true;
    this.#buffer = this.#kept = new Uint8Array(0);
    this.#collected = 0;
    this.#headerLength = 0;
  }

  /**
   * Takes the next chunk and calls `onFrame` for every frame that it completes.
   * @returns an error (TOO_LARGE) once a frame announces more than the limit: the stream cannot be read any
   * further; else null.
   */
  push(chunk: Uint8Array): WalrusError | null {
    let at = 0;
    while (at < chunk.length && this.#error === null && !this.#isStopped) {
      at =
        this.#headerLength < FRAME_HEADER_BYTES
          ? this.#readHeader(chunk, at)
          : this.#readContent(chunk, at);
    }
    return this.#error;
  }

  #readHeader(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#headerLength < FRAME_HEADER_BYTES && at < chunk.length) {
      this.#header |= (chunk[at] as number) << (8 * this.#headerLength);
      this.#headerLength += 1;
      at += 1;
    }
    if (this.#headerLength < FRAME_HEADER_BYTES) return at;
    const length = this.#header >>> 0;
    if (length > this.#maxFrameBytes) {
      this.#error = this.#tooLarge(length);
    } else if (length === 0) {
      this.#deliver(new Uint8Array(0), false);
    }
    return at;
  }

  #readContent(chunk: Uint8Array, at: number): number {
    const length = this.#header >>> 0;
    const missing = length - this.#collected;
    const available = chunk.length - at;
    if (this.#collected === 0 && available >= missing) {
      this.#deliver(chunk.subarray(at, at + length), false);
      return at + length;
    }
    const taken = Math.min(missing, available);
    this.#collect(chunk.subarray(at, at + taken), length);
    if (this.#collected === length) this.#deliverCollected(length);
    return at + taken;
  }

  #collect(part: Uint8Array, length: number): void {
    const needed = this.#collected + part.length;
    if (this.#buffer.length < needed) this.#grow(capacityFor(length, needed));
    this.#buffer.set(part, this.#collected);
    this.#collected = needed;
  }

  #grow(capacity: number): void {
    const { pool } = this.#options;
    const old = this.#buffer;
    const isLarge = capacity > KEPT_BUFFER_BYTES;
    this.#buffer = isLarge && pool !== undefined ? pool.take(capacity) : new Uint8Array(capacity);
    this.#buffer.set(old.subarray(0, this.#collected));
    if (old !== this.#kept) pool?.give(old);
  }

  #deliverCollected(length: number): void {
    const { pool } = this.#options;
    const buffer = this.#buffer;
    const frame = buffer.subarray(0, length);
    if (length <= KEPT_BUFFER_BYTES) {
      this.#kept = buffer;
      this.#deliver(frame, false);
    } else {
      this.#deliver(frame, pool === undefined);
      pool?.give(buffer);
    }
  }

  /** Prepares for the next frame before it hands this one over: the receiver may stop or push. */
  #deliver(frame: Uint8Array, isOwned: boolean): void {
    this.#header = 0;
    this.#headerLength = 0;
    this.#collected = 0;
    this.#buffer = this.#kept;
    this.#options.onFrame(frame, isOwned);
  }

  #tooLarge(length: number): WalrusError {
    const max = this.#maxFrameBytes;
    const message = `Cannot read a ${this.#options.what} of ${length} bytes: the limit is ${max}`;
    return new WalrusError('TOO_LARGE', message, {
      details: { sizeBytes: length, limitBytes: max },
    });
  }
}

/** A small frame's buffer serves later frames as well; a large one's never exceeds its frame. */
function capacityFor(length: number, needed: number): number {
  const roomy = Math.max(GROWTH_FACTOR * needed, 256);
  return Math.min(roomy, Math.max(length, KEPT_BUFFER_BYTES));
}

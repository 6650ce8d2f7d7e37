/**
 * Large buffers that are used again. A fresh one for each batch that passes through costs its pages, its zeros, and
 * a collection of all garbage for every few of them.
 *
 * Ownership: who takes a buffer is its only owner and gives it back once, when nobody reads it any more: not a
 * socket that still sends it, not a view that somebody kept. When in doubt it is not given back: the garbage
 * collector takes it. In the simulator and in tests `spoils` overwrites what is given back, so that whoever reads
 * it afterwards is found out.
 */
import { assert } from './assert.ts';
import { KIB } from './units.ts';

/** The sizes of buffers: powers of two, and a little more for the headers around a batch of such a size. */
const SMALLEST_BYTES = 64 * KIB;
/** Below it a buffer is made to measure: the smallest class would waste more than it saves. */
const POOLED_BYTES_MIN = SMALLEST_BYTES / 2;
const MARGIN_BYTES = 4 * KIB;
const CLASS_COUNT = 6;
const CLASS_BYTES = Array.from(
  { length: CLASS_COUNT },
  (_, index) => SMALLEST_BYTES * 2 ** index + MARGIN_BYTES,
);
const SPOILT = 0xdb;

export interface BufferPoolOptions {
  /** The free buffers that are kept, in bytes. */
  readonly maxFreeBytes: number;
  /** Overwrites what is given back. */
  readonly spoils?: boolean;
}

/** Free buffers by size. Small ones, and those beyond the largest size, are made and dropped as if there were no pool. */
export class BufferPool {
  readonly #options: BufferPoolOptions;
  readonly #free: Uint8Array<ArrayBuffer>[][] = CLASS_BYTES.map(() => []);
  #freeBytes = 0;

  constructor(options: BufferPoolOptions) {
    this.#options = options;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** A buffer of at least `sizeBytes`, mostly more. Its content is arbitrary. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes < POOLED_BYTES_MIN) return new Uint8Array(sizeBytes);
    const index = CLASS_BYTES.findIndex((bytes) => bytes >= sizeBytes);
    const found = this.#free[index]?.pop();
    if (found === undefined) return new Uint8Array(CLASS_BYTES[index] ?? sizeBytes);
    this.#freeBytes -= found.length;
    return found;
  }

  /** Takes a buffer of `take` back, whole: nobody else may have it any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const free = this.#free[CLASS_BYTES.indexOf(buffer.length)];
    if (this.#options.spoils === true) buffer.fill(SPOILT);
    if (free === undefined || this.#freeBytes + buffer.length > this.#options.maxFreeBytes) return;
    assert(!free.includes(buffer), 'A buffer is given back once');
    free.push(buffer);
    this.#freeBytes += buffer.length;
  }
}

/**
 * A copy of a batch that several receivers read. Each calls `release` when it is done; the last one gives the buffer
 * back. One that never says so leaves it to the garbage collector.
 */
export class SharedBytes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #pool: BufferPool;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #userCount = 1;

  /** Made with one user: whoever makes it. */
  constructor(pool: BufferPool, source: Uint8Array) {
    this.#pool = pool;
    this.#buffer = pool.take(source.length);
    this.bytes = this.#buffer.subarray(0, source.length);
    this.bytes.set(source);
  }

  /** One user more. */
  retain(): void {
    assert(this.#userCount > 0, 'Bytes are shared while somebody has them');
    this.#userCount += 1;
  }

  release(): void {
    assert(this.#userCount > 0, 'Each user releases shared bytes once');
    this.#userCount -= 1;
    if (this.#userCount === 0) this.#pool.give(this.#buffer);
  }
}

/**
 * Staging: the bytes of one replica that are accepted and not yet written. They are contiguous in one block, so that
 * a group commit needs one write for each block that it touches. Buffers come from a small pool.
 */
import { assertDefined } from '../../base/assert.ts';
import { KIB } from '../../base/units.ts';
import { BLOCK_SPAN } from './geometry.ts';

/** A run of this size is written at once; only its sync waits for the group. */
export const RUN_BYTES_MAX = 512 * KIB;
const BUFFER_CLASS_BYTES = [4 * KIB, 32 * KIB, RUN_BYTES_MAX, BLOCK_SPAN] as const;
/** How many free buffers of each class are kept. */
const POOL_COUNT_MAX = [64, 32, 16, 2] as const;

/** Free staging buffers by size. */
export class RunPool {
  readonly #free: Uint8Array[][] = BUFFER_CLASS_BYTES.map(() => []);

  /** A buffer of at least `sizeBytes`; its content is arbitrary. */
  take(sizeBytes: number): Uint8Array {
    const bufferClass = BUFFER_CLASS_BYTES.findIndex((size) => size >= sizeBytes);
    const size = assertDefined(BUFFER_CLASS_BYTES[bufferClass], 'A run fits into a block');
    return this.#free[bufferClass]?.pop() ?? new Uint8Array(size);
  }

  give(buffer: Uint8Array): void {
    const bufferClass = BUFFER_CLASS_BYTES.findIndex((size) => size === buffer.length);
    const free = this.#free[bufferClass];
    if (free && free.length < (POOL_COUNT_MAX[bufferClass] ?? 0)) free.push(buffer);
  }
}

/** The run of one replica: `length` bytes for the disk, from `address` on. */
export class WriteRun {
  readonly #pool: RunPool;
  buffer: Uint8Array;
  length = 0;
  address: number;

  constructor(pool: RunPool, address: number, sizeBytes: number) {
    this.#pool = pool;
    this.address = address;
    this.buffer = pool.take(sizeBytes);
  }

  /** Makes room for `count` more bytes and returns where they go. */
  reserve(count: number): number {
    const at = this.length;
    if (at + count > this.buffer.length) {
      const larger = this.#pool.take(at + count);
      larger.set(this.buffer.subarray(0, at));
      this.#pool.give(this.buffer);
      this.buffer = larger;
    }
    this.length = at + count;
    return at;
  }

  /** Forgets the first `count` bytes: they are written. */
  drop(count: number): void {
    this.buffer.copyWithin(0, count, this.length);
    this.address += count;
    this.length -= count;
  }

  release(): void {
    this.#pool.give(this.buffer);
    this.buffer = new Uint8Array(0);
    this.length = 0;
  }
}

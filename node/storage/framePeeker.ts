/** Reads frames from the arenas through one slice buffer, so that a walk over small frames reads in large pieces. */
import type { ArenaSet } from './arenaSet.ts';
import { blockBytes } from './geometry.ts';
import { decodeFrame, FRAME_PEEK_BYTES, newFrame, type Frame } from './frame.ts';
import type { BlockRef } from './replicaRecord.ts';

const SLICE_BYTES = 64 * 1024;

export class FramePeeker {
  /** What the last successful `peek` found. */
  readonly frame: Frame = newFrame();
  readonly #arenas: ArenaSet;
  readonly #bytes = new Uint8Array(SLICE_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  /** The address of the slice's first byte, and how many of its bytes are good; -1 when it holds nothing. */
  #start = -1;
  #length = 0;
  readonly #spot = {
    bytes: this.#bytes,
    view: this.#view,
    at: 0,
    epoch: { boot: 0, count: 0 } as { readonly boot: number; readonly count: number },
    position: 0,
    capacity: 0,
  };

  constructor(arenas: ArenaSet) {
    this.#arenas = arenas;
  }

  /** Forgets the slice: to be called whenever something may have been written. */
  reset(): void {
    this.#start = -1;
  }

  /** Looks for a frame at a position of a block; false when there is no valid one. */
  peek(block: BlockRef, position: number): boolean {
    const capacity = blockBytes(block.blockClass);
    if (position + FRAME_PEEK_BYTES > capacity) return false;
    this.#spot.at = this.load(block, position, FRAME_PEEK_BYTES);
    this.#spot.epoch = block;
    this.#spot.position = position;
    this.#spot.capacity = capacity;
    return decodeFrame(this.#spot, this.frame);
  }

  /** Brings `need` bytes of a block into the slice; returns where in `bytes` they are. */
  load(block: BlockRef, position: number, need: number): number {
    const address = block.address + position;
    const isThere =
      this.#start >= 0 && address >= this.#start && address + need <= this.#start + this.#length;
    if (!isThere) {
      this.#length = Math.min(SLICE_BYTES, blockBytes(block.blockClass) - position);
      this.#start = address;
      this.#arenas.read(this.#bytes.subarray(0, this.#length), address);
    }
    return address - this.#start;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** The address behind the slice's last byte. */
  get loadedUntil(): number {
    return this.#start + this.#length;
  }
}

/**
 * Writes zeros into chunks before they are needed, in slices, while nothing else is in flight: a sync of a block that
 * has been written before is about twice as fast as one that allocates (docs/adr/0110). At rest it has no timer.
 *
 * That pays for small groups. While large ones stream it waits: what it writes would be overtaken or be written twice,
 * and the disk's bandwidth is what such a stream needs.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { isWalrusError } from '../../base/errors.ts';
import { KIB, MIB } from '../../base/units.ts';
import type { ArenaSet } from './arenaSet.ts';
import type { BlockAllocator } from './blockAllocator.ts';
import { CHUNK_BYTES, FRESH_CHUNKS } from './geometry.ts';

const SLICE_BYTES = MIB;
const SLICE_INTERVAL_MS = 2;
/** With so much accepted and not durable, groups are large: look again when that may be over. */
const LARGE_GROUP_BYTES = 256 * KIB;
const LARGE_GROUP_REST_MS = 50;
const CHUNKS_AHEAD_MAX = 16;
const ZEROS = new Uint8Array(SLICE_BYTES);

export interface PrewriterOptions {
  readonly arenas: ArenaSet;
  readonly allocator: BlockAllocator;
  readonly clock: Clock;
  /** Bytes that are accepted and not durable. */
  readonly pendingBytes: () => number;
  /** The disk failed: nothing may be written any more. */
  readonly onFailure: (error: unknown) => void;
}

/** Keeps a few prepared chunks ahead of the appends. */
export class Prewriter {
  readonly #options: PrewriterOptions;
  #timer: Timer | null = null;
  #isBusy = false;
  #isStopped = false;
  /** The chunk that is being written, and how much of it is done. */
  #chunk = -1;
  #done = 0;

  constructor(options: PrewriterOptions) {
    this.#options = options;
  }

  /** Starts when there are too few prepared chunks. */
  wake(): void {
    if (this.#isStopped || this.#isBusy || this.#timer || !this.#isNeeded()) return;
    this.#sliceIn(SLICE_INTERVAL_MS);
  }

  #sliceIn(delayMs: number): void {
    const { clock, pendingBytes } = this.#options;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = null;
      if (this.#isStopped || !this.#isNeeded()) return;
      if (pendingBytes() >= LARGE_GROUP_BYTES) this.#sliceIn(LARGE_GROUP_REST_MS);
      else this.#slice();
    });
  }

  /** Prepares the first chunks of a fresh disk, blocking. */
  prepareFresh(): void {
    const { arenas, allocator } = this.#options;
    while (allocator.freeChunkCount < FRESH_CHUNKS) {
      const chunk = arenas.nextFreshChunk();
      for (let at = 0; at < CHUNK_BYTES; at += SLICE_BYTES) arenas.writeLazily(ZEROS, chunk + at);
      arenas.takeFreshChunk(chunk);
      allocator.addPreparedChunk(chunk);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #isNeeded(): boolean {
    const { allocator } = this.#options;
    const quarter = Math.ceil(allocator.usedBytes / CHUNK_BYTES / 4);
    const wanted = Math.min(CHUNKS_AHEAD_MAX, Math.max(FRESH_CHUNKS, quarter));
    return allocator.freeChunkCount < wanted;
  }

  #slice(): void {
    const { arenas, onFailure } = this.#options;
    try {
      if (this.#chunk < 0 || !arenas.isFresh(this.#chunk)) {
        this.#chunk = arenas.nextFreshChunk();
        this.#done = 0;
      }
      arenas.writeLazily(ZEROS, this.#chunk + this.#done);
      this.#isBusy = true;
      arenas.syncAside(this.#chunk, (error) => {
        this.#isBusy = false;
        if (this.#isStopped) return;
        if (error) onFailure(error);
        else this.#advance();
      });
    } catch (error) {
      // A full disk is reported by the append that needs the space; preparing can wait.
      if (!isWalrusError(error, 'DISK_FULL')) onFailure(error);
    }
  }

  #advance(): void {
    const { arenas, allocator } = this.#options;
    this.#done += SLICE_BYTES;
    // An append may have taken the chunk in the meantime: then it is not ours any more.
    if (this.#done >= CHUNK_BYTES && arenas.isFresh(this.#chunk)) {
      arenas.takeFreshChunk(this.#chunk);
      allocator.addPreparedChunk(this.#chunk);
      this.#chunk = -1;
    }
    this.wake();
  }
}

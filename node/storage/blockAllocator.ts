/**
 * Which blocks are free. A chunk is divided into blocks of one class as long as any of them is used; when the last
 * one is freed the chunk can become anything again. All of it is derived from the catalog at start.
 */
import { assert, assertDefined } from '../../base/assert.ts';
import type { ArenaSet } from './arenaSet.ts';
import { BLOCK_CLASS_BYTES, blockBytes, CHUNK_BYTES } from './geometry.ts';

interface Chunk {
  readonly blockClass: number;
  usedCount: number;
}

/** Gives out blocks by size class; the newest freed ones first. */
export class BlockAllocator {
  readonly #arenas: ArenaSet;
  readonly #chunks = new Map<number, Chunk>();
  readonly #freeBlocks: number[][] = BLOCK_CLASS_BYTES.map(() => []);
  #freeChunks: number[] = [];
  #usedBytes = 0;
  /** Called when a chunk was taken, so that new ones can be prepared. */
  onChunkTaken: () => void = () => undefined;

  /** @param used - Address and class of every block that is in use. */
  constructor(arenas: ArenaSet, used: readonly { address: number; blockClass: number }[]) {
    this.#arenas = arenas;
    const addresses = new Set<number>();
    for (const { address, blockClass } of used) {
      addresses.add(address);
      const chunk = this.#chunkAt(chunkOf(address), blockClass);
      chunk.usedCount += 1;
      this.#usedBytes += blockBytes(blockClass);
    }
    for (const address of arenas.chunkAddresses().reverse()) {
      const chunk = this.#chunks.get(address);
      if (chunk) this.#addFreeBlocks(address, chunk.blockClass, addresses);
      else this.#freeChunks.push(address);
    }
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Chunks that are written and free. */
  get freeChunkCount(): number {
    return this.#freeChunks.length;
  }

  /**
   * The address of a free block.
   * @throws {WalrusError} DISK_FULL
   */
  allocate(blockClass: number): number {
    const free = assertDefined(this.#freeBlocks[blockClass], 'A block class must be known');
    if (free.length === 0) {
      const chunk = this.#takeChunk();
      this.#chunkAt(chunk, blockClass);
      this.#addFreeBlocks(chunk, blockClass, new Set());
    }
    const address = assertDefined(free.pop(), 'A new chunk has free blocks');
    this.#chunkAt(chunkOf(address), blockClass).usedCount += 1;
    this.#usedBytes += blockBytes(blockClass);
    return address;
  }

  free(address: number, blockClass: number): void {
    const chunkAddress = chunkOf(address);
    const chunk = this.#chunkAt(chunkAddress, blockClass);
    assert(chunk.usedCount > 0, 'A block is freed once');
    chunk.usedCount -= 1;
    this.#usedBytes -= blockBytes(blockClass);
    if (!this.#arenas.holds(address)) return; // of a lost arena: nobody can have it
    const free = assertDefined(this.#freeBlocks[blockClass], 'A block class must be known');
    if (chunk.usedCount > 0) {
      free.push(address);
      return;
    }
    this.#freeBlocks[blockClass] = free.filter((block) => chunkOf(block) !== chunkAddress);
    this.#chunks.delete(chunkAddress);
    this.#freeChunks.push(chunkAddress);
  }

  /** Adds a chunk that has been prepared; it is used after the recycled ones. */
  addPreparedChunk(address: number): void {
    this.#freeChunks.unshift(address);
  }

  #takeChunk(): number {
    let address = this.#freeChunks.pop();
    if (address === undefined) {
      address = this.#arenas.nextFreshChunk();
      this.#arenas.takeFreshChunk(address);
    }
    this.onChunkTaken();
    return address;
  }

  #chunkAt(address: number, blockClass: number): Chunk {
    let chunk = this.#chunks.get(address);
    if (!chunk) {
      chunk = { blockClass, usedCount: 0 };
      this.#chunks.set(address, chunk);
    }
    assert(chunk.blockClass === blockClass, 'The blocks of a chunk are of one class');
    return chunk;
  }

  #addFreeBlocks(chunk: number, blockClass: number, used: ReadonlySet<number>): void {
    const free = assertDefined(this.#freeBlocks[blockClass], 'A block class must be known');
    const size = blockBytes(blockClass);
    for (let at = CHUNK_BYTES - size; at >= 0; at -= size) {
      if (!used.has(chunk + at)) free.push(chunk + at);
    }
  }
}

/** The address of the chunk that a block is in. */
export function chunkOf(address: number): number {
  return address - (address % CHUNK_BYTES);
}

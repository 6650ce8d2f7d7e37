/**
 * The arena files of a disk. Knows which files have been written since the last group commit, and how far each
 * file reaches (its frontier, in chunks): beyond it nothing has been allocated.
 */
import { assertDefined } from '../../base/assert.ts';
import type { Disk, DiskFile } from '../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import {
  ARENA_BYTES,
  ARENA_CHUNKS,
  ARENAS_MAX,
  arenaName,
  arenaPath,
  BALLAST_BYTES,
  CHUNK_BYTES,
  STORAGE_DIRECTORY,
} from './geometry.ts';

interface Arena {
  readonly number: number;
  readonly file: DiskFile;
  /** A second descriptor, for syncs of no group: an error is told to each descriptor once. */
  aside: DiskFile | null;
  frontierChunks: number;
  sizeBytes: number;
}

/** Bytes for a place on the disk that are in memory only. */
export interface StagedBytes {
  readonly buffer: Uint8Array;
  readonly length: number;
  readonly address: number;
}

/** Errors that say nothing about the disk, but that the process may not open a file, or no more of them. */
const NOT_LET: readonly unknown[] = ['EACCES', 'EPERM', 'EROFS', 'EMFILE', 'ENFILE'];

/** All arenas; the only code that opens, writes and reads their files. */
export class ArenaSet {
  readonly #disk: Disk;
  readonly #arenas = new Map<number, Arena>();
  /** Those that cannot be used, and why. Their numbers are never given anew: their blocks have owners. */
  readonly #lost = new Map<number, string>();
  #dirty: Arena[] = [];
  /** What the disk did not take. */
  readonly #staged = new Set<StagedBytes>();

  constructor(disk: Disk) {
    this.#disk = disk;
    for (const name of disk.list(STORAGE_DIRECTORY)) {
      const number = Number(/^arena-(\d{5})$/.exec(name)?.[1] ?? -1);
      if (number < 0 || name !== arenaName(number)) continue;
      this.#open(number);
    }
  }

  /**
   * What the disk cannot open is lost with what it holds (DESIGN R3: unknown), and nothing else is. What this process is
   * not let open (permissions, descriptors) is there, and the start says so.
   */
  #open(number: number): void {
    try {
      const file = this.#disk.open(arenaPath(number));
      const sizeBytes = file.sizeBytes();
      const frontierChunks = Math.min(ARENA_CHUNKS, Math.ceil(sizeBytes / CHUNK_BYTES));
      this.#arenas.set(number, { number, file, aside: null, frontierChunks, sizeBytes });
    } catch (error) {
      if (!isWalrusError(error, 'DISK_FAILED') || NOT_LET.includes(error.details['errno']))
        throw error;
      this.#lost.set(number, `the arena file cannot be opened (${error.message})`);
    }
  }

  /** Bytes of all arena files. */
  get allocatedBytes(): number {
    let sum = 0;
    for (const arena of this.#arenas.values()) sum += arena.sizeBytes;
    return sum;
  }

  /** The addresses of all chunks within the frontiers, in order. */
  chunkAddresses(): number[] {
    const addresses: number[] = [];
    for (const arena of this.#arenas.values()) {
      for (let chunk = 0; chunk < arena.frontierChunks; chunk += 1) {
        addresses.push(arena.number * ARENA_BYTES + chunk * CHUNK_BYTES);
      }
    }
    return addresses;
  }

  /** Moves the frontier of a block's arena over it. @returns why the arena cannot be used; null when it can */
  claim(address: number, sizeBytes: number): string | null {
    const number = arenaOf(address);
    const arena = this.#arenas.get(number);
    if (!arena) {
      const why = this.#lost.get(number) ?? 'the arena file is missing';
      this.#lost.set(number, why);
      return why;
    }
    const end = Math.ceil(((address % ARENA_BYTES) + sizeBytes) / CHUNK_BYTES);
    arena.frontierChunks = Math.max(arena.frontierChunks, end);
    return null;
  }

  /** Whether a block's arena can be used. */
  holds(address: number): boolean {
    return this.#arenas.has(arenaOf(address));
  }

  /**
   * The address of the first chunk beyond the frontiers; creates an arena when all are used up.
   * @throws {WalrusError} DISK_FULL when the chunk would use up the ballast
   */
  nextFreshChunk(): number {
    this.#requireSpace(CHUNK_BYTES);
    for (const arena of this.#arenas.values()) {
      if (arena.frontierChunks < ARENA_CHUNKS) {
        return arena.number * ARENA_BYTES + arena.frontierChunks * CHUNK_BYTES;
      }
    }
    const number = Math.max(-1, ...this.#arenas.keys(), ...this.#lost.keys()) + 1;
    if (number >= ARENAS_MAX) {
      throw new WalrusError('DISK_FULL', `Cannot make another arena: there are ${ARENAS_MAX}`);
    }
    const file = this.#disk.create(arenaPath(number));
    this.#disk.syncDirectory(STORAGE_DIRECTORY);
    this.#arenas.set(number, { number, file, aside: null, frontierChunks: 0, sizeBytes: 0 });
    return number * ARENA_BYTES;
  }

  /** Whether a chunk is still beyond its arena's frontier. */
  isFresh(address: number): boolean {
    const chunk = (address % ARENA_BYTES) / CHUNK_BYTES;
    return chunk >= this.#arenaOf(address).frontierChunks;
  }

  /** Moves the frontier over a chunk that `nextFreshChunk` gave. */
  takeFreshChunk(address: number): void {
    this.#arenaOf(address).frontierChunks += 1;
  }

  #requireSpace(bytes: number): void {
    let promised = 0;
    for (const arena of this.#arenas.values()) {
      promised += Math.max(0, arena.frontierChunks * CHUNK_BYTES - arena.sizeBytes);
    }
    const free = this.#disk.freeBytes() - BALLAST_BYTES - promised;
    if (free >= bytes) return;
    const message =
      `Cannot store more: the disk is full (needs ${bytes} bytes, ` +
      `${Math.max(0, free)} free besides the reserve of ${BALLAST_BYTES})`;
    throw new WalrusError('DISK_FULL', message);
  }

  write(bytes: Uint8Array, address: number): void {
    const arena = this.#arenaOf(address);
    const position = address % ARENA_BYTES;
    if (!this.#dirty.includes(arena)) this.#dirty.push(arena);
    arena.file.write(bytes, position);
    arena.sizeBytes = Math.max(arena.sizeBytes, position + bytes.length);
  }

  /** Writes without making the arena part of the next group: for what may be lost. */
  writeLazily(bytes: Uint8Array, address: number): void {
    const arena = this.#arenaOf(address);
    const position = address % ARENA_BYTES;
    arena.file.write(bytes, position);
    arena.sizeBytes = Math.max(arena.sizeBytes, position + bytes.length);
  }

  /** Has reads see what the disk has no space for, or takes no more. */
  stage(bytes: StagedBytes): void {
    this.#staged.add(bytes);
  }

  /** Ends `stage`: the bytes are written, or of no interest any more. */
  unstage(bytes: StagedBytes): void {
    if (this.#staged.size > 0) this.#staged.delete(bytes);
  }

  /** Fills `into`; what is beyond the end of the file is zeros. */
  read(into: Uint8Array, address: number): void {
    const count = this.#arenaOf(address).file.read(into, address % ARENA_BYTES);
    if (count < into.length) into.fill(0, count);
    for (const staged of this.#staged) {
      const start = Math.max(address, staged.address);
      const end = Math.min(address + into.length, staged.address + staged.length);
      if (start >= end) continue;
      into.set(
        staged.buffer.subarray(start - staged.address, end - staged.address),
        start - address,
      );
    }
  }

  /** Makes an arena durable beside the groups, without taking an error from them. */
  syncAside(address: number, done: (error: Error | null) => void): void {
    const arena = this.#arenaOf(address);
    arena.aside ??= this.#disk.open(arenaPath(arena.number));
    arena.aside.syncAsync(done);
  }

  /** The files written since the last call. */
  takeDirty(): DiskFile[] {
    const files = this.#dirty.map((arena) => arena.file);
    this.#dirty = [];
    return files;
  }

  /** Makes everything durable, blocking. */
  syncAll(): void {
    for (const arena of this.#arenas.values()) arena.file.sync();
    this.#dirty = [];
  }

  close(): void {
    for (const arena of this.#arenas.values()) {
      arena.aside?.close();
      arena.file.close();
    }
  }

  #arenaOf(address: number): Arena {
    const arena = this.#arenas.get(arenaOf(address));
    return assertDefined(arena, `There is no arena for address ${address}`);
  }
}

function arenaOf(address: number): number {
  return Math.floor(address / ARENA_BYTES);
}

/**
 * Where things are on the disk. All files are under `storage/`, except the lock of the whole data directory.
 *
 * - An arena is a file of up to 64 chunks of 4 MiB. A chunk is one block, or is divided into equal smaller ones.
 * - A block belongs to one replica. Its address is `arena number * ARENA_BYTES + position in the file`.
 * - A place is a position in a replica's log: `index of its block * BLOCK_SPAN + position in that block`.
 */
import { KIB, MIB } from '../../base/units.ts';

export const STORAGE_DIRECTORY = 'storage';
/** Held by the process that uses the data directory. */
export const LOCK_PATH = 'lock';
export const FORMAT_VERSION = 1;

export const CHUNK_BYTES = 4 * MIB;
export const ARENA_CHUNKS = 64;
export const ARENA_BYTES = ARENA_CHUNKS * CHUNK_BYTES;
export const ARENAS_MAX = 2 ** 16;

/** Sizes of blocks, in the order in which a growing replica takes them. */
export const BLOCK_CLASS_BYTES = [16 * KIB, 128 * KIB, MIB, CHUNK_BYTES] as const;
/** The distance between a replica's blocks in places: no block is larger. */
export const BLOCK_SPAN = BLOCK_CLASS_BYTES[3];

/** Chunks that a fresh disk writes before it serves. */
export const FRESH_CHUNKS = 2;
/** Space that appends leave free, so that metadata can be written on a full disk. */
export const BALLAST_BYTES = 32 * MIB;

/** The size of blocks of a class. */
export function blockBytes(blockClass: number): number {
  return BLOCK_CLASS_BYTES[blockClass] ?? BLOCK_SPAN;
}

/** The path of an arena's file. */
export function arenaPath(number: number): string {
  return `${STORAGE_DIRECTORY}/${arenaName(number)}`;
}

/** The name of an arena's file: `arena-00007`. */
export function arenaName(number: number): string {
  return `arena-${String(number).padStart(5, '0')}`;
}

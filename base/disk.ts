/**
 * A disk, as a parameter: what the storage engine and the Raft log need of a file system.
 * The real one is in node/io, the simulated one (torn writes, lost unsynced writes, bit rot, full,
 * failing and slow syncs) in node/sim. Paths are relative to the node's data directory, with `/`.
 *
 * Durability contract: after `write` the bytes are readable but not durable. They are durable once a
 * `sync` or `syncAsync` of the same file that STARTED after the write has succeeded, and the file's name
 * once `syncDirectory` of its directory has succeeded after `create` or `rename`. A failed sync is final:
 * the caller must treat the disk as failed and never retry it.
 *
 * All methods throw WalrusError: DISK_FULL when there is no space (nothing written that counts),
 * DISK_FAILED for anything else (short write, I/O error, vanished file).
 */

export interface DiskFile {
  /** The present length in bytes. */
  sizeBytes(): number;
  /** Writes all of `bytes` at `position`, growing the file where needed. */
  write(bytes: Uint8Array, position: number): void;
  /** Reads up to `into.length` bytes at `position`; returns how many (fewer only at the end of the file). */
  read(into: Uint8Array, position: number): number;
  /** The same without blocking the event loop, for reads that may miss the page cache. */
  readAsync(into: Uint8Array, position: number): Promise<number>;
  /** Makes every earlier write durable (fdatasync), blocking. */
  sync(): void;
  /** The same without blocking; `done(null)` on success. Called exactly once, never synchronously. */
  syncAsync(done: (error: Error | null) => void): void;
  /** Cuts or grows (with zeros) the file. */
  truncate(sizeBytes: number): void;
  close(): void;
}

/** A lock on a data directory, held until released or until the process ends. */
export interface DiskLock {
  release(): void;
}

export interface Disk {
  /** The names in a directory, sorted; empty when the directory does not exist. */
  list(directory: string): string[];
  exists(path: string): boolean;
  /** Makes a directory and its parents; harmless when it exists. */
  makeDirectory(path: string): void;
  /** Creates a file that does not exist yet. Its name is durable after `syncDirectory`. */
  create(path: string): DiskFile;
  /** Opens a file that exists for reading and writing. */
  open(path: string): DiskFile;
  /** Replaces `to` by `from`, atomically. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(path: string): void;
  /** @throws {WalrusError} DATA_DIR_LOCKED when another process holds it, naming the process. */
  lock(path: string): DiskLock;
  /** Free bytes of the file system below. */
  freeBytes(): number;
}

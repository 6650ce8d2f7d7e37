/** A disk that tells the metrics how long the syncs of the storage engine's files take, and for how many bytes. */
import type { Clock } from '../base/clock.ts';
import type { Disk, DiskFile } from '../base/disk.ts';
import type { Metrics } from './metrics.ts';
import { STORAGE_DIRECTORY } from './storage/geometry.ts';

/** Wraps a disk; files outside the storage engine's directory (Raft's) are left as they are. */
export function meteredDisk(disk: Disk, clock: Clock, metrics: Metrics): Disk {
  const metered = (path: string, file: DiskFile): DiskFile =>
    path.startsWith(`${STORAGE_DIRECTORY}/`) ? new MeteredFile(file, clock, metrics) : file;
  return {
    list: (directory) => disk.list(directory),
    exists: (path) => disk.exists(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    create: (path) => metered(path, disk.create(path)),
    open: (path) => metered(path, disk.open(path)),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    lock: (path) => disk.lock(path),
    freeBytes: () => disk.freeBytes(),
  };
}

class MeteredFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  /** Written and not yet synced. */
  #dirtyBytes = 0;

  constructor(file: DiskFile, clock: Clock, metrics: Metrics) {
    this.#file = file;
    this.#clock = clock;
    this.#metrics = metrics;
  }

  sizeBytes(): number {
    return this.#file.sizeBytes();
  }

  write(bytes: Uint8Array, position: number): void {
    this.#dirtyBytes += bytes.length;
    this.#file.write(bytes, position);
  }

  read(into: Uint8Array, position: number): number {
    return this.#file.read(into, position);
  }

  readAsync(into: Uint8Array, position: number): Promise<number> {
    return this.#file.readAsync(into, position);
  }

  sync(): void {
    const startMs = this.#clock.monotonicMs();
    this.#file.sync();
    this.#synced(startMs, this.#takeDirty());
  }

  syncAsync(done: (error: Error | null) => void): void {
    const startMs = this.#clock.monotonicMs();
    const bytes = this.#takeDirty();
    this.#file.syncAsync((error) => {
      if (error === null) this.#synced(startMs, bytes);
      done(error);
    });
  }

  #takeDirty(): number {
    const bytes = this.#dirtyBytes;
    this.#dirtyBytes = 0;
    return bytes;
  }

  #synced(startMs: number, bytes: number): void {
    this.#metrics.synced(this.#clock.monotonicMs() - startMs, bytes);
  }

  truncate(sizeBytes: number): void {
    this.#file.truncate(sizeBytes);
  }

  close(): void {
    this.#file.close();
  }
}

/**
 * Files that are written to their full length and synced, for the next segment: a sync on written space is
 * cheaper than one that must also note a new length (docs/benchmarks.md). Retired segments are used again.
 */
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { KIB } from '../../../base/units.ts';

/** Spares that are kept; a retired segment beyond that is removed. */
const SPARES_MAX = 2;
const SLICE_BYTES = 256 * KIB;
const NAME = /^spare-[0-9]+$/;

export class SpareFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #sizeBytes: number;
  #ready: string[] = [];
  #nextNumber = 1;
  #making: { readonly path: string; readonly file: DiskFile; written: number } | null = null;

  /** Forgets spares of an earlier life: they may be half made. */
  constructor(disk: Disk, directory: string, sizeBytes: number) {
    this.#disk = disk;
    this.#directory = directory;
    this.#sizeBytes = sizeBytes;
    for (const name of disk.list(directory))
      if (NAME.test(name)) disk.remove(`${directory}/${name}`);
  }

  #newPath(): string {
    const path = `${this.#directory}/spare-${this.#nextNumber}`;
    this.#nextNumber += 1;
    return path;
  }

  /** The path of a file to be renamed; made on the spot when none is ready. */
  take(): string {
    const ready = this.#ready.shift();
    if (ready !== undefined) return ready;
    while (!this.prepare()) continue;
    return this.take();
  }

  /** Does a slice of the work on the next spare; true when one is ready. */
  prepare(): boolean {
    if (this.#ready.length > 0) return true;
    if (this.#making === null) {
      const path = this.#newPath();
      this.#making = { path, file: this.#disk.create(path), written: 0 };
    }
    const making = this.#making;
    const slice = new Uint8Array(Math.min(SLICE_BYTES, this.#sizeBytes - making.written));
    making.file.write(slice, making.written);
    making.written += slice.length;
    if (making.written < this.#sizeBytes) return false;
    making.file.sync();
    making.file.close();
    this.#ready.push(making.path);
    this.#making = null;
    return true;
  }

  /** Takes over files that are not needed any more, and makes that durable before they are used again. */
  retire(paths: readonly string[]): void {
    if (paths.length === 0) return;
    for (const path of paths) {
      if (this.#ready.length >= SPARES_MAX) {
        this.#disk.remove(path);
        continue;
      }
      const spare = this.#newPath();
      this.#disk.rename(path, spare);
      this.#ready.push(spare);
    }
    this.#disk.syncDirectory(this.#directory);
  }
}

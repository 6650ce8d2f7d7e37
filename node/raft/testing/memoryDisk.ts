/**
 * A disk in memory for tests of the log: a crash keeps any subset of the unsynced writes, each whole or torn,
 * and may undo names that were not synced; from a chosen operation on everything fails.
 */
import type { Disk, DiskFile, DiskLock } from '../../../base/disk.ts';
import { WalrusError } from '../../../base/errors.ts';
import { between, chance } from '../../../base/random.ts';
import type { Random } from '../../../base/random.ts';

interface Unsynced {
  readonly position: number;
  readonly bytes: Uint8Array;
}

class MemoryFile {
  bytes = new Uint8Array(0);
  durable = new Uint8Array(0);
  unsynced: Unsynced[] = [];

  copy(): MemoryFile {
    const file = new MemoryFile();
    file.bytes = this.bytes.slice();
    file.durable = this.durable.slice();
    file.unsynced = [...this.unsynced];
    return file;
  }
}

function overwrite(bytes: Uint8Array<ArrayBuffer>, { position, bytes: part }: Unsynced) {
  const end = position + part.length;
  let result = bytes;
  if (end > bytes.length) {
    result = new Uint8Array(end);
    result.set(bytes);
  }
  result.set(part, position);
  return result;
}

export class MemoryDisk implements Disk {
  readonly #random: Random;
  #names = new Map<string, MemoryFile>();
  #durableNames = new Map<string, MemoryFile>();
  #failAfter = Number.MAX_SAFE_INTEGER;
  operationCount = 0;
  writeCount = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Lets this many more operations succeed. */
  failAfter(count: number): void {
    this.#failAfter = this.operationCount + count;
  }

  #operate(): void {
    if (this.operationCount >= this.#failAfter)
      throw new WalrusError('DISK_FAILED', 'Cannot go on: the test disk has failed');
    this.operationCount += 1;
  }

  crash(): void {
    const files = new Set([...this.#names.values(), ...this.#durableNames.values()]);
    for (const file of files) {
      let bytes = file.durable.slice();
      for (const write of file.unsynced) {
        if (chance(this.#random, 0.4)) continue;
        const isTorn = chance(this.#random, 0.5);
        const length = isTorn ? between(this.#random, 0, write.bytes.length) : undefined;
        const start = isTorn ? between(this.#random, 0, length ?? 0) : 0;
        const part = write.bytes.subarray(start, length);
        bytes = overwrite(bytes, { position: write.position + start, bytes: part });
      }
      file.bytes = bytes;
      file.durable = bytes.slice();
      file.unsynced = [];
    }
    if (chance(this.#random, 0.5)) this.#names = new Map(this.#durableNames);
    else this.#durableNames = new Map(this.#names);
  }

  /** A loss of power that no unsynced write survives. */
  dropUnsynced(): void {
    for (const file of this.#names.values()) {
      file.bytes = file.durable.slice();
      file.unsynced = [];
    }
  }

  copy(): MemoryDisk {
    const disk = new MemoryDisk(this.#random);
    for (const [path, file] of this.#names) disk.#names.set(path, file.copy());
    disk.#durableNames = new Map(disk.#names);
    return disk;
  }

  flip(path: string, position: number): void {
    const bytes = this.#file(path).bytes;
    bytes[position] = (bytes[position] ?? 0) ^ 0x55;
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  sizeOf(path: string): number {
    return this.#file(path).bytes.length;
  }

  #file(path: string): MemoryFile {
    const file = this.#names.get(path);
    if (file === undefined) throw new WalrusError('DISK_FAILED', `Cannot open ${path}: it is gone`);
    return file;
  }

  list(directory: string): string[] {
    const prefix = `${directory}/`;
    return this.paths()
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
  }

  exists(path: string): boolean {
    return this.#names.has(path);
  }

  makeDirectory(): void {
    return;
  }

  create(path: string): DiskFile {
    this.#operate();
    this.#names.set(path, new MemoryFile());
    return this.open(path);
  }

  open(path: string): DiskFile {
    const file = this.#file(path);
    return {
      sizeBytes: () => file.bytes.length,
      write: (bytes, position) => {
        this.#operate();
        this.writeCount += 1;
        const write = { position, bytes: bytes.slice() };
        file.bytes = overwrite(file.bytes, write);
        file.unsynced.push(write);
      },
      read: (into, position) => {
        const part = file.bytes.subarray(position, position + into.length);
        into.set(part);
        return part.length;
      },
      readAsync: () => Promise.reject(new Error('the log does not read in the background')),
      sync: () => {
        this.#operate();
        file.durable = file.bytes.slice();
        file.unsynced = [];
      },
      syncAsync: (done) => {
        let failure: Error | null = null;
        try {
          this.#operate();
          file.durable = file.bytes.slice();
          file.unsynced = [];
        } catch (error) {
          failure = error as Error;
        }
        void Promise.resolve().then(() => done(failure));
      },
      truncate: () => {
        throw new Error('the log does not truncate files');
      },
      close: () => undefined,
    };
  }

  rename(from: string, to: string): void {
    this.#operate();
    this.#names.set(to, this.#file(from));
    this.#names.delete(from);
  }

  remove(path: string): void {
    this.#operate();
    this.#file(path);
    this.#names.delete(path);
  }

  syncDirectory(): void {
    this.#operate();
    this.#durableNames = new Map(this.#names);
  }

  lock(): DiskLock {
    return { release: () => undefined };
  }

  freeBytes(): number {
    return Number.MAX_SAFE_INTEGER;
  }
}

/** A snapshot file that is written a slice at a time and synced beside other work: nothing waits for it. */
import type { Disk, DiskFile } from '../../../base/disk.ts';

export class SnapshotWriter {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: DiskFile;
  #position: number;

  /** @param headerBytes - Left free in front of the data: the header tells its length and checksum. */
  constructor(disk: Disk, path: string, headerBytes: number) {
    this.#disk = disk;
    this.path = path;
    this.#position = headerBytes;
    this.#file = disk.create(path);
  }

  /** Adds to the data. @throws {WalrusError} DISK_FULL, DISK_FAILED */
  write(bytes: Uint8Array): void {
    this.#file.write(bytes, this.#position);
    this.#position += bytes.length;
  }

  /** Completes the file and makes it durable, but not its name. @throws {WalrusError} DISK_FULL, DISK_FAILED */
  finish(header: Uint8Array, done: (error: Error | null) => void): void {
    this.#file.write(header, 0);
    this.#file.syncAsync(done);
  }

  /** Not while a sync is under way. */
  close(): void {
    this.#file.close();
  }

  /** Gives the file up. */
  discard(): void {
    this.#file.close();
    this.#disk.remove(this.path);
  }
}

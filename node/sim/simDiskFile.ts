/** One descriptor of a file on a simulated disk, as a process has it: what the disk draws for each call happens here. */
import type { DiskFile } from '../../base/disk.ts';
import { WalrusError } from '../../base/errors.ts';
import type { SimFile } from './simFile.ts';

/** What a handle asks of its disk; all but the counts are as SimDisk says. */
interface DiskFates {
  readonly counts: { reads: number };
  observe(bytes: Uint8Array): void;
  drawWrite(growth: number, length: number): number;
  drawSyncMs(): number;
  beginSync(what: string): void;
  later(delayMs: number, callback: () => void): void;
}

/** A handle on a file; dead after a crash. */
export class SimDiskFile implements DiskFile {
  readonly #disk: DiskFates;
  readonly #path: string;
  readonly #file: SimFile;
  readonly #isAlive: () => boolean;
  /** Errors of syncs that this descriptor has been told of, or that are older than it. */
  #toldErrors: number;
  #isClosed = false;

  constructor(disk: DiskFates, path: string, file: SimFile, isAlive: () => boolean) {
    this.#disk = disk;
    this.#path = path;
    this.#file = file;
    this.#isAlive = isAlive;
    this.#toldErrors = file.syncErrors;
  }

  sizeBytes(): number {
    this.#check();
    return this.#file.sizeBytes;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#check();
    const growth = Math.max(0, position + bytes.length - this.#file.sizeBytes);
    const count = this.#disk.drawWrite(growth, bytes.length);
    this.#disk.observe(bytes);
    this.#file.write(bytes.subarray(0, count), position);
    if (count < bytes.length) {
      throw failed(`Cannot write ${this.#path}: ${count} of ${bytes.length} bytes were written`);
    }
  }

  read(into: Uint8Array, position: number): number {
    this.#check();
    this.#disk.counts.reads += 1;
    return this.#file.read(into, position);
  }

  readAsync(into: Uint8Array, position: number): Promise<number> {
    this.#check();
    this.#disk.counts.reads += 1;
    return new Promise((resolve) => {
      this.#disk.later(0, () => resolve(this.#file.read(into, position)));
    });
  }

  sync(): void {
    this.#check();
    this.#syncTo(this.#file.sequence);
  }

  /** A failure is told to each descriptor once, whoever's sync it was that met it (Linux since 4.13). */
  #syncTo(sequence: number): void {
    try {
      this.#disk.beginSync(this.#path);
    } catch (error) {
      this.#file.failSync(sequence);
      this.#toldErrors = this.#file.syncErrors;
      throw error;
    }
    this.#file.commit(sequence);
    if (this.#toldErrors === this.#file.syncErrors) return;
    this.#toldErrors = this.#file.syncErrors;
    throw failed(`Cannot sync ${this.#path}: an earlier input/output error (simulated)`);
  }

  syncAsync(done: (error: Error | null) => void): void {
    this.#check();
    const sequence = this.#file.sequence;
    this.#disk.later(this.#disk.drawSyncMs(), () => {
      try {
        this.#syncTo(sequence);
      } catch (error) {
        done(error as Error);
        return;
      }
      done(null);
    });
  }

  truncate(sizeBytes: number): void {
    this.#check();
    this.#disk.drawWrite(Math.max(0, sizeBytes - this.#file.sizeBytes), 0);
    this.#file.truncate(sizeBytes);
  }

  close(): void {
    this.#check();
    this.#isClosed = true;
  }

  #check(): void {
    if (!this.#isAlive()) throw failed(`Cannot use ${this.#path}: its process has crashed`);
    if (this.#isClosed) throw failed(`Cannot use ${this.#path}: it is closed`);
  }
}

export function failed(message: string): WalrusError {
  return new WalrusError('DISK_FAILED', message);
}

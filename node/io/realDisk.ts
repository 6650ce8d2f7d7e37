/**
 * The real file system below one data directory (`base/disk.ts`), on node:fs.
 *
 * - A write is one pwrite; a partial one is a failure, never continued: the caller must not believe in its tail.
 * - A failed fdatasync is reported as DISK_FAILED whatever its cause, a full disk included: the kernel may have
 *   dropped the dirty pages, so nothing can be said about earlier writes.
 * - Asynchronous calls run in libuv's thread pool. A file that is closed while some are under way stays open
 *   until the last one is back, so that its descriptor cannot come to mean another file.
 */
import fs from 'node:fs';
import path from 'node:path';
import { assert } from '../../base/assert.ts';
import type { Disk, DiskFile, DiskLock } from '../../base/disk.ts';
import { WalrusError, messageOf } from '../../base/errors.ts';
import { diskError, guarded } from './diskErrors.ts';
import { errnoOf } from './errno.ts';
import { lockFile } from './fileLock.ts';

/** The largest pwrite that Linux does in one call (MAX_RW_COUNT, with 4 KiB pages). */
const MAX_IO_BYTES = 0x7ffff000;

class RealFile implements DiskFile {
  readonly #path: string;
  readonly #fd: number;
  #inFlight = 0;
  #isClosed = false;

  constructor(filePath: string, fd: number) {
    this.#path = filePath;
    this.#fd = fd;
  }

  sizeBytes(): number {
    this.#assertOpen();
    return guarded('read the size of', this.#path, () => fs.fstatSync(this.#fd).size);
  }

  write(bytes: Uint8Array, position: number): void {
    this.#assertOpen();
    assert(bytes.length <= MAX_IO_BYTES, `One write takes at most ${MAX_IO_BYTES} bytes`);
    const written = guarded('write to', this.#path, () =>
      fs.writeSync(this.#fd, bytes, 0, bytes.length, position),
    );
    if (written === bytes.length) return;
    throw diskError('write to', this.#path, {
      reason: `only ${written} of ${bytes.length} bytes were written`,
    });
  }

  read(into: Uint8Array, position: number): number {
    this.#assertOpen();
    return guarded('read', this.#path, () => {
      let count = 0;
      while (count < into.length) {
        const got = fs.readSync(this.#fd, into, count, into.length - count, position + count);
        if (got === 0) break;
        count += got;
      }
      return count;
    });
  }

  async readAsync(into: Uint8Array, position: number): Promise<number> {
    this.#assertOpen();
    let count = 0;
    this.#inFlight += 1;
    try {
      while (count < into.length) {
        const got = await this.#readOnce(into, count, position + count);
        if (got === 0) break;
        count += got;
      }
      return count;
    } finally {
      this.#finishOne();
    }
  }

  #readOnce(into: Uint8Array, at: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#fd, into, at, into.length - at, position, (error, got) => {
        if (error === null) resolve(got);
        else reject(diskError('read', this.#path, { cause: error }));
      });
    });
  }

  sync(): void {
    this.#assertOpen();
    try {
      fs.fdatasyncSync(this.#fd);
    } catch (cause) {
      throw diskError('sync', this.#path, { cause, isFinal: true });
    }
  }

  syncAsync(done: (error: Error | null) => void): void {
    this.#assertOpen();
    this.#inFlight += 1;
    fs.fdatasync(this.#fd, (cause) => {
      this.#finishOne();
      done(cause === null ? null : diskError('sync', this.#path, { cause, isFinal: true }));
    });
  }

  truncate(sizeBytes: number): void {
    this.#assertOpen();
    guarded('truncate', this.#path, () => fs.ftruncateSync(this.#fd, sizeBytes));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#inFlight === 0) this.#closeNow();
  }

  #finishOne(): void {
    this.#inFlight -= 1;
    if (this.#isClosed && this.#inFlight === 0) this.#closeNow();
  }

  #closeNow(): void {
    guarded('close', this.#path, () => fs.closeSync(this.#fd));
  }

  #assertOpen(): void {
    assert(!this.#isClosed, `${this.#path} is used after its close`);
  }
}

/** The file system below a data directory. */
export class RealDisk implements Disk {
  readonly #root: string;

  /**
   * Makes the directory, durably, when it does not exist, and sees to it that it can be used.
   * @param root - The data directory.
   * @throws {WalrusError} INVALID_CONFIG when it cannot be a data directory; DISK_FULL or DISK_FAILED when it cannot
   *   be made for another reason.
   */
  constructor(root: string) {
    this.#root = path.resolve(root);
    makeDurably(this.#root);
    try {
      fs.accessSync(this.#root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    } catch (cause) {
      throw directoryError(this.#root, cause);
    }
  }

  list(directory: string): string[] {
    const full = this.#resolve(directory);
    const names = guarded('list', full, () => {
      try {
        return fs.readdirSync(full);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    });
    return names.sort((a, b) => (a < b ? -1 : 1));
  }

  exists(relative: string): boolean {
    const full = this.#resolve(relative);
    return guarded(
      'look for',
      full,
      () => fs.statSync(full, { throwIfNoEntry: false }) !== undefined,
    );
  }

  makeDirectory(relative: string): void {
    const full = this.#resolve(relative);
    guarded('make', full, () => fs.mkdirSync(full, { recursive: true }));
  }

  create(relative: string): DiskFile {
    return this.#openWith(relative, 'wx+', 'create');
  }

  open(relative: string): DiskFile {
    return this.#openWith(relative, 'r+', 'open');
  }

  #openWith(relative: string, flags: string, verb: string): DiskFile {
    const full = this.#resolve(relative);
    return new RealFile(
      full,
      guarded(verb, full, () => fs.openSync(full, flags, 0o640)),
    );
  }

  rename(from: string, to: string): void {
    const source = this.#resolve(from);
    const target = this.#resolve(to);
    guarded('rename', source, () => {
      fs.renameSync(source, target);
    });
  }

  remove(relative: string): void {
    const full = this.#resolve(relative);
    guarded('remove', full, () => {
      fs.unlinkSync(full);
    });
  }

  syncDirectory(relative: string): void {
    syncDirectoryAt(this.#resolve(relative));
  }

  lock(relative: string): DiskLock {
    return lockFile(this.#resolve(relative));
  }

  freeBytes(): number {
    return guarded('read the free space of', this.#root, () => {
      const stats = fs.statfsSync(this.#root);
      return stats.bavail * stats.bsize;
    });
  }

  #resolve(relative: string): string {
    const full = path.resolve(this.#root, relative);
    const isInside = full === this.#root || full.startsWith(this.#root + path.sep);
    assert(
      isInside && !path.isAbsolute(relative),
      `A path stays below the data directory: ${relative}`,
    );
    return full;
  }
}

/** What a choice of directory brings about, and another choice mends. */
const CHOICE_CODES: readonly unknown[] = [
  'EACCES',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOENT',
  'ENOTDIR',
  'EPERM',
  'EROFS',
];

function directoryError(full: string, cause: unknown): WalrusError {
  const errno = errnoOf(cause);
  if (errno === undefined || !CHOICE_CODES.includes(errno))
    return diskError('make', full, { cause });
  const message = `Cannot use ${full} as data directory: ${messageOf(cause)}`;
  return new WalrusError('INVALID_CONFIG', message, { details: { directory: full, errno }, cause });
}

/**
 * Makes a directory with those above it, each one durable before the next. Level by level: where a file system
 * answers ENOENT below a directory that is there (/proc), the recursive call of Node never returns.
 */
function makeDurably(full: string): void {
  const missing: string[] = [];
  for (let at = full; !isDirectory(at); at = path.dirname(at)) missing.push(at);
  for (const directory of missing.reverse()) {
    try {
      fs.mkdirSync(directory);
    } catch (cause) {
      if (!isDirectory(directory)) throw directoryError(full, cause); // another process was faster
    }
    syncDirectoryAt(path.dirname(directory));
  }
}

function isDirectory(full: string): boolean {
  try {
    return fs.statSync(full, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch (cause) {
    if (errnoOf(cause) === 'ENOTDIR') return false; // the one above is a file, which will be told
    throw directoryError(full, cause);
  }
}

function syncDirectoryAt(full: string): void {
  try {
    const fd = fs.openSync(full, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (cause) {
    throw diskError('sync', full, { cause, isFinal: true });
  }
}

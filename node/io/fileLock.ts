/**
 * A lock on a data directory that the kernel releases when its holder dies, however it dies.
 *
 * Node has no flock or fcntl, but its built-in SQLite locks a database file by fcntl range locks. An exclusive
 * transaction on an empty database, which is never written to, is therefore a lock that
 * - is taken atomically (no window between looking and taking),
 * - is released by the kernel at `kill -9`, and kept while its process is stopped (SIGSTOP),
 * - depends on the inode, not on process ids, so it holds between containers that share a volume, and a
 *   recycled process id means nothing,
 * - also excludes a second holder in the same process (SQLite keeps track of its own locks).
 * Hosts that share a network file system are excluded as far as that file system supports fcntl locks.
 *
 * `LOCK.owner` beside it says who holds it. It is for messages only and never decides anything.
 * @see docs/adr/0010-data-directory-lock.md
 */
import fs from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import type { DatabaseSync } from 'node:sqlite';
import type { DiskLock } from '../../base/disk.ts';
import { WalrusError, messageOf } from '../../base/errors.ts';
import { diskError } from './diskErrors.ts';

const SQLITE_BUSY = 5;

/**
 * Takes the lock.
 * @param file - The lock file; made when it does not exist. Nothing else may open it in this process, because
 *   closing any descriptor of a file drops the process's fcntl locks on it.
 * @throws {WalrusError} DATA_DIR_LOCKED when it is held, naming the holder; DISK_FAILED when it cannot be used.
 */
export function lockFile(file: string): DiskLock {
  const database = begin(file);
  writeOwner(file);
  let isHeld = true;
  return {
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      fs.rmSync(ownerFile(file), { force: true });
      database.close();
    },
  };
}

function begin(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    const { DatabaseSync: Database } = loadSqlite();
    database = new Database(file, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (cause) {
    if (database?.isOpen === true) database.close();
    if (!isBusy(cause)) throw diskError('lock', file, { cause });
    throw new WalrusError(
      'DATA_DIR_LOCKED',
      `Cannot lock ${file}: ${describeOwner(file)} uses this data directory; ` +
        'stop it, or give this one another directory',
      { details: { file }, cause },
    );
  }
}

/** Loads SQLite without the warning that its API may change: only three calls of it are used, and tested. */
function loadSqlite(): typeof import('node:sqlite') {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

function isBusy(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'errcode' in error &&
    error.errcode === SQLITE_BUSY
  );
}

function ownerFile(file: string): string {
  return `${file}.owner`;
}

function writeOwner(file: string): void {
  const owner = { pid: process.pid, host: os.hostname(), since: new Date().toISOString() };
  try {
    fs.writeFileSync(ownerFile(file), `${JSON.stringify(owner)}\n`);
  } catch (cause) {
    // A full disk must not keep a node from starting; a directory that cannot be written to fails soon enough.
    process.emitWarning(`Cannot write ${ownerFile(file)}: ${messageOf(cause)}`);
  }
}

function describeOwner(file: string): string {
  try {
    const owner: unknown = JSON.parse(fs.readFileSync(ownerFile(file), 'utf8'));
    if (typeof owner === 'object' && owner !== null && 'pid' in owner && 'host' in owner) {
      return `process ${String(owner.pid)} on ${String(owner.host)}`;
    }
  } catch {
    // Not there yet, or half written: the lock alone counts.
  }
  return 'another process';
}

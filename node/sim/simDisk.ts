/**
 * A disk in memory with faults, for the simulator and for tests: what a crash does to unsynced writes and names,
 * bit rot, a full disk, failing and slow syncs, short writes, a lock, an emptied directory, a rolled-back image.
 * Deterministic: every fate is drawn from the injected Random, in call order.
 *
 * Simplification: directories themselves are durable at once.
 */
import type { Clock } from '../../base/clock.ts';
import type { Disk, DiskFile, DiskLock } from '../../base/disk.ts';
import { WalrusError } from '../../base/errors.ts';
import { between, chance, pick, type Random } from '../../base/random.ts';
import { GIB } from '../../base/units.ts';
import { failed, SimDiskFile } from './simDiskFile.ts';
import { SimFile, type CrashFaults } from './simFile.ts';

/** What may go wrong. Probabilities are 0..1, times in virtual milliseconds. */
export interface SimDiskFaults extends CrashFaults {
  /** At a crash, a creation, rename or removal whose directory was not synced is undone. */
  readonly lostNameProbability: number;
  /** A sync fails, and every later one too, until `healSyncs`. */
  readonly syncFailureProbability: number;
  /** A write stores only a prefix and throws DISK_FAILED. */
  readonly shortWriteProbability: number;
  /** How long an asynchronous sync takes. */
  readonly syncMs: { readonly min: number; readonly max: number };
  /** A sync takes `slowSyncMs` instead. */
  readonly slowSyncProbability: number;
  readonly slowSyncMs: { readonly min: number; readonly max: number };
  /** The sum of all file sizes that fits. */
  readonly capacityBytes: number;
}

/** Crashes lose and tear writes; nothing else goes wrong. */
export const CRASH_ONLY: SimDiskFaults = {
  lostWriteProbability: 0.4,
  tornWriteProbability: 0.5,
  tornSectorProbability: 0.3,
  lostNameProbability: 0.5,
  syncFailureProbability: 0,
  shortWriteProbability: 0,
  syncMs: { min: 0.1, max: 1 },
  slowSyncProbability: 0,
  slowSyncMs: { min: 100, max: 2000 },
  capacityBytes: 64 * GIB,
};

/** A disk without faults: a crash keeps what was written. */
export const NO_FAULTS: SimDiskFaults = {
  ...CRASH_ONLY,
  lostWriteProbability: 0,
  tornWriteProbability: 0,
  lostNameProbability: 0,
};

export interface SimDiskOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly faults?: Partial<SimDiskFaults>;
  /** Gets the bytes of every write. Valid during the call. */
  readonly observe?: (bytes: Uint8Array) => void;
}

/** An image of what is durable, from `snapshotState`. */
export interface SimDiskState {
  readonly files: ReadonlyMap<string, SimFile>;
  readonly directories: ReadonlySet<string>;
}

/** A change of names that is not durable yet. `file` is null for a removal. */
interface NameChange {
  readonly directory: string;
  readonly from: string | null;
  readonly to: string;
  readonly file: SimFile | null;
}

/** A simulated disk: the file system of one node's data directory. */
export class SimDisk implements Disk {
  /** May be replaced at any time, to switch faults on and off. */
  faults: SimDiskFaults;
  /** For handles only. */
  readonly observe: (bytes: Uint8Array) => void;
  /** Counts since the start, for tests and statistics. */
  readonly counts = { writes: 0, writtenBytes: 0, reads: 0, syncs: 0, crashes: 0 };
  readonly #random: Random;
  readonly #clock: Clock;
  #names = new Map<string, SimFile>();
  #durableNames = new Map<string, SimFile>();
  #nameChanges: NameChange[] = [];
  #directories = new Set<string>();
  readonly #locks = new Set<string>();
  /** Incremented by a crash: handles of an earlier generation are dead. */
  #generation = 0;
  #syncsFail = false;
  #writesFail = false;

  constructor(options: SimDiskOptions) {
    this.#random = options.random;
    this.#clock = options.clock;
    this.observe = options.observe ?? ((): void => undefined);
    this.faults = { ...CRASH_ONLY, ...options.faults };
  }

  list(directory: string): string[] {
    const names = new Set<string>();
    const prefix = directory === '' || directory === '.' ? '' : `${directory}/`;
    for (const path of [...this.#names.keys(), ...this.#directories]) {
      if (!path.startsWith(prefix) || path === prefix) continue;
      const name = path.slice(prefix.length).split('/')[0];
      if (name !== undefined && name !== '') names.add(name);
    }
    return [...names].sort();
  }

  exists(path: string): boolean {
    return this.#names.has(path) || this.#directories.has(path);
  }

  makeDirectory(path: string): void {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1) {
      this.#directories.add(parts.slice(0, count).join('/'));
    }
  }

  create(path: string): DiskFile {
    if (this.#names.has(path)) throw failed(`Cannot create ${path}: it exists`);
    const file = new SimFile();
    this.#change({ directory: directoryOf(path), from: null, to: path, file });
    return this.#handle(path, file);
  }

  open(path: string): DiskFile {
    const file = this.#names.get(path);
    if (!file) throw failed(`Cannot open ${path}: it does not exist`);
    return this.#handle(path, file);
  }

  rename(from: string, to: string): void {
    const file = this.#names.get(from);
    if (!file) throw failed(`Cannot rename ${from}: it does not exist`);
    this.#change({ directory: directoryOf(to), from, to, file });
  }

  remove(path: string): void {
    if (!this.#names.has(path)) throw failed(`Cannot remove ${path}: it does not exist`);
    this.#change({ directory: directoryOf(path), from: null, to: path, file: null });
  }

  syncDirectory(path: string): void {
    const directory = path === '.' ? '' : path;
    this.beginSync(`directory ${path}`);
    for (const change of this.#nameChanges) {
      if (change.directory === directory) applyName(this.#durableNames, change);
    }
    this.#nameChanges = this.#nameChanges.filter((change) => change.directory !== directory);
  }

  lock(path: string): DiskLock {
    if (this.#locks.has(path)) {
      const message = `Cannot lock ${path}: another process of this simulation holds it`;
      throw new WalrusError('DATA_DIR_LOCKED', message);
    }
    this.#locks.add(path);
    const generation = this.#generation;
    return {
      release: () => {
        if (generation === this.#generation) this.#locks.delete(path);
      },
    };
  }

  freeBytes(): number {
    return Math.max(0, this.faults.capacityBytes - this.usedBytes());
  }

  /** The sum of all file sizes. */
  usedBytes(): number {
    let used = 0;
    for (const file of this.#names.values()) used += file.sizeBytes;
    return used;
  }

  /** The paths of all files, sorted. */
  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /**
   * Ends the process that uses the disk, with the loss of power: unsynced writes and names meet their fates,
   * handles are dead (their calls throw, their callbacks never fire), locks are free.
   */
  crash(): void {
    this.#generation += 1;
    this.counts.crashes += 1;
    this.#locks.clear();
    const files = new Set([...this.#durableNames.values(), ...this.#names.values()]);
    for (const file of files) file.crash(this.#random, this.faults);
    for (const change of this.#nameChanges) {
      if (chance(this.#random, this.faults.lostNameProbability)) continue;
      applyName(this.#durableNames, change);
    }
    this.#nameChanges = [];
    this.#names = new Map(this.#durableNames);
  }

  /** Ends the process (`kill -9`) while the machine goes on: nothing that was written is lost. */
  kill(): void {
    this.#generation += 1;
    this.#locks.clear();
  }

  /** Flips one random bit of the byte at `position`, also in the page cache. */
  rot(path: string, position: number): void {
    const file = this.#names.get(path);
    if (!file || position >= file.sizeBytes) {
      throw failed(`Cannot rot ${path}: it has no byte ${position}`);
    }
    file.rot(position, 1 << between(this.#random, 0, 7));
  }

  /** Flips one bit of a random byte among the pages that hold data; null when there are none. */
  rotRandom(): { readonly path: string; readonly position: number } | null {
    const pages: { path: string; position: number }[] = [];
    for (const path of this.paths()) {
      for (const position of this.#names.get(path)?.usedPages() ?? []) {
        pages.push({ path, position });
      }
    }
    if (pages.length === 0) return null;
    const page = pick(this.#random, pages);
    const size = this.#names.get(page.path)?.sizeBytes ?? 0;
    const position = between(this.#random, page.position, Math.min(page.position + 4096, size) - 1);
    this.rot(page.path, position);
    return { path: page.path, position };
  }

  /** From now on every sync fails. */
  failSyncs(): void {
    this.#syncsFail = true;
  }

  /** From now on every write stores only a prefix and fails. */
  failWrites(): void {
    this.#writesFail = true;
  }

  /** Ends `failSyncs`, `failWrites` and a failure that was drawn: a repaired disk. */
  heal(): void {
    this.#syncsFail = false;
    this.#writesFail = false;
  }

  /** Removes every file, as somebody who empties the data directory; open handles go on with nameless files. */
  wipe(): void {
    this.#names.clear();
    this.#durableNames.clear();
    this.#nameChanges = [];
    this.#directories.clear();
  }

  /** Removes the files of one directory, as somebody who empties it. */
  empty(directory: string): void {
    for (const names of [this.#names, this.#durableNames])
      for (const path of [...names.keys()]) if (directoryOf(path) === directory) names.delete(path);
    this.#nameChanges = this.#nameChanges.filter((change) => change.directory !== directory);
  }

  /** A copy of what is durable now. */
  snapshotState(): SimDiskState {
    const files = new Map<string, SimFile>();
    for (const [path, file] of this.#durableNames) files.set(path, file.copyDurable());
    return { files, directories: new Set(this.#directories) };
  }

  /** Puts an earlier copy in place, as a restored backup or a cloned disk; open handles are dead. */
  restoreState(state: SimDiskState): void {
    this.kill();
    this.#durableNames = new Map();
    for (const [path, file] of state.files) this.#durableNames.set(path, file.copyDurable());
    this.#names = new Map(this.#durableNames);
    this.#nameChanges = [];
    this.#directories = new Set(state.directories);
  }

  /** Draws the fate of a sync; throws when it fails. For handles only. */
  beginSync(what: string): void {
    this.counts.syncs += 1;
    if (chance(this.#random, this.faults.syncFailureProbability)) this.#syncsFail = true;
    if (this.#syncsFail) throw failed(`Cannot sync ${what}: input/output error (simulated)`);
  }

  /** Draws how many bytes of a write are stored. For handles only. */
  drawWrite(growth: number, length: number): number {
    this.counts.writes += 1;
    this.counts.writtenBytes += length;
    if (growth > 0 && growth > this.freeBytes()) {
      const message = `Cannot write: the disk is full (needs ${growth} bytes, ${this.freeBytes()} free)`;
      throw new WalrusError('DISK_FULL', message);
    }
    if (this.#writesFail || chance(this.#random, this.faults.shortWriteProbability)) {
      return between(this.#random, 0, Math.max(0, length - 1));
    }
    return length;
  }

  /** Draws how long a sync takes, in virtual milliseconds. For handles only. */
  drawSyncMs(): number {
    const slow = chance(this.#random, this.faults.slowSyncProbability);
    const { min, max } = slow ? this.faults.slowSyncMs : this.faults.syncMs;
    return min + (between(this.#random, 0, 1000) / 1000) * (max - min);
  }

  /** Calls back after `delayMs` unless the disk crashes before. For handles only. */
  later(delayMs: number, callback: () => void): void {
    const generation = this.#generation;
    this.#clock.setTimer(delayMs, () => {
      if (generation === this.#generation) callback();
    });
  }

  #handle(path: string, file: SimFile): DiskFile {
    const generation = this.#generation;
    return new SimDiskFile(this, path, file, () => generation === this.#generation);
  }

  #change(change: NameChange): void {
    this.#nameChanges.push(change);
    applyName(this.#names, change);
  }
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

function applyName(names: Map<string, SimFile>, change: NameChange): void {
  if (change.from !== null && names.get(change.from) === change.file) names.delete(change.from);
  if (change.file) names.set(change.to, change.file);
  else names.delete(change.to);
}

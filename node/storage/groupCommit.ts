/**
 * One group commit for all replicas of a disk. What is accepted in a turn of the event loop, or while the last sync
 * is in flight, is a group: one write for each block touched, one sync for each file touched, then one report.
 *
 * At most one group is in flight. A failed write or sync is final: the disk is read-only from then on. A full disk
 * is not: what did not fit stays in memory and is written again a little later, and new appends are refused meanwhile.
 * Everything else goes on: what fits, fences, deletions, and whoever waits for no more than these.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { DiskFile } from '../../base/disk.ts';
import { isWalrusError, messageOf, WalrusError } from '../../base/errors.ts';
import { MIB } from '../../base/units.ts';
import type { ArenaSet } from './arenaSet.ts';
import type { Catalog } from './catalog.ts';
import type { ReplicaRecord } from './replicaRecord.ts';
import { SyncPolicy } from './syncPolicy.ts';
import type { DiskHealth } from './types.ts';

/** Bytes accepted and not durable; more is OVERLOADED. */
export const PENDING_BYTES_MAX = 32 * MIB;
const FULL_RETRY_MS = 500;
/** How long a disk rests before marks are written, and how many at once. */
const MARK_DELAY_MS = 50;
const MARKS_AT_ONCE_MAX = 256;

/** A replica's log, as the group commit sees it. */
export interface CommitMember {
  /** Set while it waits for the next group. */
  isEnlisted: boolean;
  /** Writes what is staged. @returns false when the disk took less than all */
  writeStaged(): boolean;
  /** All that is accepted now is part of the group. */
  beginGroup(): void;
  /** The group is done; `isSynced` when it is durable in truth, not by setting. */
  endGroup(isSynced: boolean): void;
  /** Notes, without a sync, up to where the log is durable. */
  writeMark(): void;
}

export type DurableCallback = (error: WalrusError | null) => void;

/** What must be durable: the catalog and what one member has accepted, the catalog alone, or everything. */
export type DurableScope = CommitMember | 'catalog' | 'everything';

interface Waiter {
  readonly callback: DurableCallback;
  readonly scope: DurableScope;
}

export interface GroupCommitOptions {
  readonly arenas: ArenaSet;
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** 'none' reports what is written as durable: for data that may be lost. */
  readonly sync: 'always' | 'none';
  /** Every replica, for a rewritten catalog. */
  readonly replicaRecords: () => Iterable<ReplicaRecord>;
}

/** What one group has to report. */
interface Group {
  readonly members: readonly CommitMember[];
  readonly waiters: readonly Waiter[];
  readonly afterwards: readonly (() => void)[];
  readonly bytes: number;
}

export class GroupCommit {
  health: DiskHealth = { state: 'HEALTHY' };
  onHealthChange: (health: DiskHealth) => void = () => undefined;
  /** Called when the disk turns out to be full. */
  onFull: (error: WalrusError) => void = () => undefined;
  readonly #options: GroupCommitOptions;
  readonly #policy = new SyncPolicy();
  #members: CommitMember[] = [];
  #waiters: Waiter[] = [];
  #afterwards: (() => void)[] = [];
  #appendCount = 0;
  #bytes = 0;
  #bytesInFlight = 0;
  #inFlight: Group | null = null;
  #isScheduled = false;
  #full: WalrusError | null = null;
  readonly #unmarked = new Set<CommitMember>();
  #markTimer: Timer | null = null;
  #fullTimer: Timer | null = null;
  #isStopped = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  get pendingBytes(): number {
    return this.#bytes + this.#bytesInFlight;
  }

  /** Whether what is accepted waits for space. */
  get isFull(): boolean {
    return this.#full !== null;
  }

  /** @throws {WalrusError} DISK_FAILED, DISK_FULL, OVERLOADED, SHUTTING_DOWN: why nothing can be accepted now */
  assertWritable(bytes: number): void {
    if (this.#isStopped) throw new WalrusError('SHUTTING_DOWN', 'The storage is closed');
    if (this.health.state === 'READ_ONLY') throw this.health.error;
    if (this.#full) throw this.#full;
    if (this.pendingBytes + bytes <= PENDING_BYTES_MAX || this.pendingBytes === 0) return;
    const message =
      `Cannot append: ${this.pendingBytes} bytes wait for the disk, and ` +
      `${PENDING_BYTES_MAX} may; try again when some are durable`;
    throw new WalrusError('OVERLOADED', message);
  }

  /** A member has accepted `bytes` more. */
  enlist(member: CommitMember, bytes: number): void {
    this.#bytes += bytes;
    this.#appendCount += 1;
    if (!member.isEnlisted) {
      member.isEnlisted = true;
      this.#members.push(member);
    }
    this.schedule();
  }

  /** A member is gone: what it has accepted is of no interest any more. */
  dismiss(member: CommitMember): void {
    this.#members = this.#members.filter((other) => other !== member);
    member.isEnlisted = false;
    this.#unmarked.delete(member);
  }

  /** Calls back, never at once, when what the scope has accepted so far is durable, or will never be. */
  whenDurable(callback: DurableCallback, scope: DurableScope = 'everything'): void {
    if (this.health.state === 'READ_ONLY') {
      const { error } = this.health;
      this.#options.clock.defer(() => callback(error));
      return;
    }
    this.#waiters.push({ callback, scope });
    this.schedule();
  }

  /** Calls back at the end of the turn, whatever the disk does. */
  afterTurn(callback: () => void): void {
    this.#options.clock.defer(callback);
  }

  /** Runs after the next group that succeeds, before its waiters. */
  afterCommit(action: () => void): void {
    this.#afterwards.push(action);
    this.schedule();
  }

  schedule(): void {
    if (this.#isScheduled || this.#inFlight || !this.#hasWork()) return;
    this.#isScheduled = true;
    this.#options.clock.defer(() => {
      this.#isScheduled = false;
      this.commit();
    });
  }

  /** Forms a group of what is accepted, unless one is in flight. */
  commit(): void {
    if (this.#inFlight || this.#isStopped || this.health.state === 'READ_ONLY') return;
    if (!this.#hasWork()) return;
    const files = this.#write();
    if (!files) return;
    const appendCount = this.#appendCount;
    const group = this.#takeGroup();
    for (const member of group.members) member.beginGroup();
    if (this.#options.sync === 'none') this.#complete(false);
    else if (files.length === 0) this.#complete(true);
    else if (this.#policy.blocks(appendCount, group.bytes, files.length)) this.#syncBlocking(files);
    else this.#syncInBackground(files);
  }

  /** The disk has failed: read-only from now on, for good. */
  fail(cause: unknown): void {
    if (this.health.state === 'READ_ONLY') return;
    const message = `The disk has failed and is read-only from now on: ${messageOf(cause)}`;
    const error = new WalrusError('DISK_FAILED', message, { cause });
    this.health = { state: 'READ_ONLY', error };
    const waiters = [...(this.#inFlight?.waiters ?? []), ...this.#waiters];
    this.#waiters = [];
    this.#inFlight = null;
    this.#fullTimer?.cancel();
    this.onHealthChange(this.health);
    for (const { callback } of waiters) callback(error);
  }

  /** The disk has no space for what is accepted: keep it, and try again. */
  markFull(error: WalrusError): void {
    if (this.#full || this.#isStopped) return;
    this.#full = error;
    this.onFull(error);
    this.#fullTimer = this.#options.clock.setTimer(FULL_RETRY_MS, () => {
      this.#full = null;
      this.commit();
    });
  }

  /** A failed write: a full disk can be waited for, anything else is final. */
  onWriteError(error: unknown): void {
    if (isWalrusError(error, 'DISK_FULL')) this.markFull(error);
    else this.fail(error);
  }

  /** Has a mark written for a member when the disk rests. */
  markLater(member: CommitMember): void {
    this.#unmarked.add(member);
    this.#scheduleMarks();
  }

  /** Writes all marks now and ends: nothing is accepted afterwards. */
  stop(): void {
    if (this.health.state === 'HEALTHY' && this.#options.sync === 'always') {
      for (const member of this.#unmarked) member.writeMark();
      this.#options.catalog.writeMark();
    }
    this.#isStopped = true;
    this.#markTimer?.cancel();
    this.#fullTimer?.cancel();
  }

  #hasWork(): boolean {
    if (this.#afterwards.length > 0 || this.#options.catalog.pendingBytes > 0) return true;
    // On a full disk the timer tries the members again.
    if (this.#full) return this.#waiters.some((waiter) => !this.#isHeldBack(waiter));
    return this.#members.length > 0 || this.#waiters.length > 0;
  }

  /** Whether something that a waiter needs has found no space. */
  #isHeldBack({ scope }: Waiter): boolean {
    if (scope === 'catalog') return false;
    return scope === 'everything' ? this.#members.length > 0 : scope.isEnlisted;
  }

  /** Writes what fits of everything accepted; the files to sync, or null when the disk did not take even the catalog. */
  #write(): DiskFile[] | null {
    const { arenas, catalog, replicaRecords } = this.#options;
    for (const member of this.#members) member.isEnlisted = !member.writeStaged();
    if (this.health.state === 'READ_ONLY') return null;
    try {
      if (catalog.needsRewrite && catalog.pendingBytes > 0) catalog.rewrite(replicaRecords());
      const catalogFile = catalog.writePending();
      const files = arenas.takeDirty();
      if (catalogFile) files.push(catalogFile);
      return files;
    } catch (error) {
      this.onWriteError(error);
      return null;
    }
  }

  #takeGroup(): Group {
    const members = this.#members.filter((member) => !member.isEnlisted);
    this.#members = this.#members.filter((member) => member.isEnlisted);
    const waiters = this.#waiters.filter((waiter) => !this.#isHeldBack(waiter));
    this.#waiters = this.#waiters.filter((waiter) => this.#isHeldBack(waiter));
    // All bytes count as those of the members that are held back: until they are written nothing is accepted.
    const bytes = this.#members.length > 0 ? 0 : this.#bytes;
    const group = { members, waiters, afterwards: this.#afterwards, bytes };
    this.#afterwards = [];
    this.#appendCount = 0;
    this.#bytesInFlight = bytes;
    this.#bytes -= bytes;
    this.#inFlight = group;
    return group;
  }

  #syncBlocking(files: readonly DiskFile[]): void {
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    try {
      for (const file of files) file.sync();
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#policy.onBlocked(clock.monotonicMs() - startMs);
    this.#complete(true);
  }

  #syncInBackground(files: readonly DiskFile[]): void {
    let left = files.length;
    for (const file of files) {
      file.syncAsync((error) => {
        left -= 1;
        if (error) this.fail(error);
        else if (left === 0 && this.health.state === 'HEALTHY') this.#complete(true);
      });
    }
  }

  #complete(isSynced: boolean): void {
    const group = this.#inFlight;
    if (!group) return;
    this.#inFlight = null;
    this.#bytesInFlight = 0;
    if (isSynced) this.#options.catalog.onSynced();
    for (const member of group.members) {
      if (isSynced) this.#unmarked.add(member);
      member.endGroup(isSynced);
    }
    for (const action of group.afterwards) action();
    for (const { callback } of group.waiters) callback(null);
    if (this.#hasWork()) this.schedule();
    if (isSynced) this.#scheduleMarks();
  }

  #scheduleMarks(): void {
    if (this.#markTimer || this.#isStopped || this.#options.sync === 'none') return;
    this.#markTimer = this.#options.clock.setTimer(MARK_DELAY_MS, () => {
      this.#markTimer = null;
      this.#writeMarks();
    });
  }

  #writeMarks(): void {
    if (this.#isStopped || this.health.state === 'READ_ONLY') return;
    try {
      let count = 0;
      for (const member of this.#unmarked) {
        count += 1;
        if (count > MARKS_AT_ONCE_MAX) break;
        this.#unmarked.delete(member);
        member.writeMark();
      }
      if (!this.#inFlight) this.#options.catalog.writeMark();
    } catch (error) {
      this.onWriteError(error);
    }
    if (this.#unmarked.size > 0) this.#scheduleMarks();
  }
}

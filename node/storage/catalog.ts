/**
 * The catalog: a log of which replicas exist, their fences and their blocks. Synced by the same group commit as the
 * data. Rewritten as a whole when it has grown (a new file, made durable, then renamed over the old one).
 *
 * A bad record is a torn write when no valid record says that it was once synced; then the log ends before it.
 * Otherwise the catalog is damaged and the disk is not opened: a forgotten fence could cost acknowledged records.
 */
import { assertDefined } from '../../base/assert.ts';
import { ByteWriter } from '../../base/bytes.ts';
import type { Disk, DiskFile } from '../../base/disk.ts';
import { isWalrusError, messageOf, WalrusError } from '../../base/errors.ts';
import { KIB, MIB } from '../../base/units.ts';
import {
  catalogRecordLength,
  catalogSyncedPosition,
  readCatalogRecord,
  writeCatalogRecord,
  type CatalogRecord,
} from './catalogRecord.ts';
import { STORAGE_DIRECTORY } from './geometry.ts';
import type { ReplicaRecord } from './replicaRecord.ts';

export const CATALOG_PATH = `${STORAGE_DIRECTORY}/catalog`;
const NEW_PATH = `${CATALOG_PATH}.new`;
/** The file grows by this, in zeros, so that most syncs do not allocate. */
const GROWTH_BYTES = 64 * KIB;
/** The catalog is rewritten when it is larger than this and than twice its size after the last rewriting. */
const REWRITE_BYTES_MIN = MIB;

/** The records of all replicas, as the catalog's file has them. */
export type CatalogState = Map<number, ReplicaRecord>;

export class Catalog {
  readonly #disk: Disk;
  #file: DiskFile;
  #fileBytes: number;
  /** Where the next record goes, pending ones not counted. */
  #tail = 0;
  #synced = 0;
  #syncStarted = 0;
  #rewriteAt = REWRITE_BYTES_MIN;
  readonly #pending = new ByteWriter(4 * KIB);

  private constructor(disk: Disk, file: DiskFile) {
    this.#disk = disk;
    this.#file = file;
    this.#fileBytes = file.sizeBytes();
  }

  /**
   * Opens the catalog. What is returned is durable.
   * @throws {WalrusError} DISK_FAILED when it is damaged or missing
   */
  static open(disk: Disk): { readonly catalog: Catalog; readonly state: CatalogState } {
    if (disk.exists(NEW_PATH)) disk.remove(NEW_PATH);
    if (!disk.exists(CATALOG_PATH)) throw damaged('it is missing');
    const catalog = new Catalog(disk, disk.open(CATALOG_PATH));
    const state = catalog.#load();
    return { catalog, state };
  }

  /** Makes the catalog of a disk without replicas, durably. */
  static create(disk: Disk): void {
    if (disk.exists(NEW_PATH)) disk.remove(NEW_PATH);
    const file = disk.create(NEW_PATH);
    const writer = new ByteWriter();
    writeCatalogRecord(writer, { kind: 'MARK', segmentId: 0 }, 0);
    file.write(writer.view(), 0);
    file.sync();
    file.close();
    disk.rename(NEW_PATH, CATALOG_PATH);
    disk.syncDirectory(STORAGE_DIRECTORY);
  }

  /** Bytes that are accepted and not written yet. */
  get pendingBytes(): number {
    return this.#pending.length;
  }

  /** Adds a record to the next group. */
  append(record: CatalogRecord): void {
    writeCatalogRecord(this.#pending, record, this.#synced);
  }

  /**
   * Writes what is pending.
   * @returns the file, when it must be synced for the group
   */
  writePending(): DiskFile | null {
    if (this.#pending.length === 0) return null;
    this.#write();
    this.#syncStarted = this.#tail;
    return this.#file;
  }

  #write(): void {
    const end = this.#tail + this.#pending.length;
    if (end > this.#fileBytes) {
      const grown = Math.ceil(end / GROWTH_BYTES) * GROWTH_BYTES;
      this.#file.write(new Uint8Array(grown - this.#fileBytes), this.#fileBytes);
      this.#fileBytes = grown;
    }
    this.#file.write(this.#pending.view(), this.#tail);
    this.#tail = end;
    this.#pending.clear();
  }

  /** The sync that followed `writePending` has succeeded. */
  onSynced(): void {
    this.#synced = Math.max(this.#synced, this.#syncStarted);
  }

  /** Notes without a sync that everything is durable, so that later damage is not taken for a torn write. */
  writeMark(): void {
    // A tail beyond the synced position is a mark that has been written already.
    if (this.#pending.length > 0 || this.#synced < this.#tail) return;
    this.append({ kind: 'MARK', segmentId: 0 });
    this.#write();
  }

  get needsRewrite(): boolean {
    return this.#tail + this.#pending.length > this.#rewriteAt;
  }

  /**
   * Replaces the file by one that holds the present state only, and makes it durable, blocking. Pending records
   * must be part of `replicas`.
   */
  rewrite(replicas: Iterable<ReplicaRecord>): void {
    const writer = new ByteWriter(64 * KIB);
    for (const replica of replicas) writeReplica(writer, replica);
    // The last record says that all before it is durable, which is true once the new name is.
    writeCatalogRecord(writer, { kind: 'MARK', segmentId: 0 }, writer.length);
    const file = this.#disk.create(NEW_PATH);
    const fileBytes = Math.ceil(writer.length / GROWTH_BYTES) * GROWTH_BYTES;
    const bytes = new Uint8Array(fileBytes);
    bytes.set(writer.view());
    file.write(bytes, 0);
    file.sync();
    this.#disk.rename(NEW_PATH, CATALOG_PATH);
    this.#disk.syncDirectory(STORAGE_DIRECTORY);
    this.#file.close();
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#tail = writer.length;
    this.#synced = writer.length;
    this.#syncStarted = writer.length;
    this.#rewriteAt = Math.max(REWRITE_BYTES_MIN, 2 * writer.length);
    this.#pending.clear();
  }

  sync(): void {
    this.#file.sync();
    this.#synced = this.#tail;
  }

  close(): void {
    this.#file.close();
  }

  #readAll(): Uint8Array {
    const bytes = new Uint8Array(this.#fileBytes);
    try {
      this.#file.read(bytes, 0);
    } catch (error) {
      throw damaged(`it cannot be read: ${messageOf(error)}`, error);
    }
    return bytes;
  }

  #load(): CatalogState {
    const bytes = this.#readAll();
    const state: CatalogState = new Map();
    let at = 0;
    let proven = 0;
    for (;;) {
      const length = catalogRecordLength(bytes, at);
      if (length === 0) break;
      proven = Math.max(proven, catalogSyncedPosition(bytes, at));
      applyRecord(state, bytes.subarray(at, at + length), at);
      at += length;
    }
    const view = new DataView(bytes.buffer);
    for (let later = at + 8; later + 8 <= bytes.length; later += 8) {
      if (view.getUint32(later + 4, true) === 0) continue;
      if (catalogRecordLength(bytes, later) === 0) continue;
      proven = Math.max(proven, catalogSyncedPosition(bytes, later));
    }
    if (at === 0 || proven > at) throw damaged(`its record at position ${at} is wrong`);
    this.#tail = at;
    // What is not proven may be in the page cache only, since a sync of it failed: a sync alone would not write it.
    const unproven = bytes.subarray(proven);
    unproven.fill(0, at - proven);
    this.#file.write(unproven, proven);
    this.#file.sync();
    this.#synced = at;
    this.#syncStarted = at;
    this.#rewriteAt = Math.max(REWRITE_BYTES_MIN, 2 * at);
    return state;
  }
}

function writeReplica(writer: ByteWriter, replica: ReplicaRecord): void {
  const { segmentId } = replica;
  writeCatalogRecord(writer, { kind: 'CREATE', segmentId, replica }, 0);
  for (const block of replica.blocks) {
    writeCatalogRecord(writer, { kind: 'ALLOCATE', segmentId, block }, 0);
  }
}

function applyRecord(state: CatalogState, bytes: Uint8Array, at: number): void {
  try {
    const record = readCatalogRecord(bytes);
    if (record.kind === 'MARK') return;
    if (record.kind === 'CREATE') {
      state.set(record.segmentId, record.replica);
      return;
    }
    const replica = assertDefined(
      state.get(record.segmentId),
      `The catalog names segment ${record.segmentId} before its creation`,
    );
    if (record.kind === 'FENCE') replica.fenceEpoch = record.epoch;
    else if (record.kind === 'ALLOCATE') replica.blocks.push(record.block);
    else if (record.kind === 'TRIM') replica.blocks.length = record.blockCount;
    else if (record.kind === 'PRODUCERS') replica.producerSnapshot = record.snapshot;
    else if (record.kind === 'REPLACE') replica.blocks.splice(0, Infinity, ...record.blocks);
    else state.delete(record.segmentId);
  } catch (error) {
    if (isWalrusError(error, 'UNSUPPORTED_VERSION')) throw error;
    throw damaged(`its record at position ${at} cannot be read: ${messageOf(error)}`, error);
  }
}

function damaged(problem: string, cause?: unknown): WalrusError {
  const message =
    `Cannot open the storage: the catalog ${CATALOG_PATH} is damaged (${problem}); ` +
    'replace the disk: give an empty directory and let the cluster copy its data';
  return new WalrusError('DISK_FAILED', message, { details: { file: CATALOG_PATH }, cause });
}

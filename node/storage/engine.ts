/**
 * Opens the storage of a disk and ties its parts together. Order of a start: lock, superblocks, the new boot epoch
 * (durable before anything else), catalog, arenas, recovery of every replica, and one sync of all of it. What is not
 * proven to have been synced was written again before (docs/adr/0160): so what was found is durable before anybody is
 * told of it, also when an earlier process has seen a sync fail.
 */
import { assert, assertDefined } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { Disk, DiskLock } from '../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import { SILENT, type Logger } from '../../base/log.ts';
import { randomHex, type Random } from '../../base/random.ts';
import { segmentId, type NodeId, type SegmentId } from '../../base/units.ts';
import { ArenaSet } from './arenaSet.ts';
import { BlockAllocator } from './blockAllocator.ts';
import { Catalog, type CatalogState } from './catalog.ts';
import { PRODUCER_SNAPSHOT_BYTES_MAX } from './catalogRecord.ts';
import { FramePeeker } from './framePeeker.ts';
import { BALLAST_BYTES, blockBytes, LOCK_PATH, STORAGE_DIRECTORY } from './geometry.ts';
import { GroupCommit } from './groupCommit.ts';
import { Prewriter } from './prewriter.ts';
import { ReplicaRebuild } from './rebuild.ts';
import { recoverLog } from './recovery.ts';
import { StoredReplica } from './replica.ts';
import { ReplicaLog } from './replicaLog.ts';
import type { BlockRef, ReplicaRecord } from './replicaRecord.ts';
import type { StorageContext } from './storageContext.ts';
import { readSuperblocks, writeSuperblocks, type Superblock } from './superblock.ts';
import type {
  CreateReplicaOptions,
  DiskHealth,
  DiskIdentity,
  Rebuild,
  Replica,
  StorageEngine,
  StorageUsage,
} from './types.ts';
import { RunPool } from './writeRun.ts';

/** A create is refused when less than this is left of the ballast, which fences and deletions may still use. */
const CREATE_FREE_BYTES_MIN = BALLAST_BYTES / 2;

/** The bytes of a boot's nonce. */
const NONCE_BYTES = 16;
const NO_SNAPSHOT = new Uint8Array(0);

export interface OpenStorageOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** For the boot's nonce: two processes must not draw the same. */
  readonly random: Random;
  readonly logger?: Logger;
  /** 'none' acknowledges what is written but not synced: for benchmarks and data that may be lost. */
  readonly sync?: 'always' | 'none';
  /** Whose disk this must be; a part that is absent is not checked. */
  readonly expected?: { readonly clusterId?: string; readonly nodeId?: NodeId };
}

/**
 * Opens a formatted disk, recovers it and begins a boot: a new one when the last one is known to be registered.
 * @throws {WalrusError} DATA_DIR_LOCKED, WRONG_DATA_DIR, UNSUPPORTED_VERSION, DISK_FAILED
 */
export function openStorage(options: OpenStorageOptions): Engine {
  const lock = options.disk.lock(LOCK_PATH);
  try {
    return new Engine(options, beginBoot(options), lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

function beginBoot(options: OpenStorageOptions): Superblock {
  const { disk, random, expected, logger = SILENT } = options;
  const found = readSuperblocks(disk);
  if (!found) {
    const message =
      'Cannot open the data directory: it has not been formatted; ' +
      'format it for a new disk, or check that the right volume is mounted';
    throw new WalrusError('WRONG_DATA_DIR', message);
  }
  if (found.isDamaged) logger.log('warn', 'One of the two superblocks is damaged');
  checkOwner('node', found.newest.nodeId, expected?.nodeId);
  checkOwner('cluster', found.newest.clusterId, expected?.clusterId);
  const { newest } = found;
  const boot = newest.isRegistered
    ? { bootEpoch: newest.bootEpoch + 1, bootNonce: randomHex(random, NONCE_BYTES) }
    : {};
  const superblock = { ...newest, ...boot, writes: newest.writes + 1, isRegistered: false };
  assert(superblock.writes < 2 ** 32, 'The number of writes of a superblock fits into 32 bits');
  writeSuperblocks(disk, superblock, found.nextSlot);
  return superblock;
}

function checkOwner<T>(what: string, found: T, expected: T | undefined): void {
  if (expected === undefined || found === expected) return;
  const message =
    `Cannot open the data directory: it belongs to ${what} ${String(found)}, ` +
    `not to ${what} ${String(expected)}; give the directory of this ${what}`;
  throw new WalrusError('WRONG_DATA_DIR', message);
}

/** The storage engine of one disk. */
export class Engine implements StorageEngine {
  #superblock: Superblock;
  readonly #disk: Disk;
  readonly #lock: DiskLock;
  readonly #logger: Logger;
  readonly #sync: 'always' | 'none';
  readonly #context: StorageContext;
  readonly #catalog: Catalog;
  readonly #prewriter: Prewriter;
  readonly #replicas = new Map<number, StoredReplica>();
  readonly #damaged = new Set<number>();
  /** New copies of damaged replicas that are under way. */
  readonly #rebuilds = new Map<number, ReplicaRebuild>();
  #blockCount = 0;
  #isClosed = false;
  #healthListener: (health: DiskHealth) => void = () => undefined;
  #damageListener: (segmentId: SegmentId) => void = () => undefined;

  /** For `openStorage` only. */
  constructor(options: OpenStorageOptions, superblock: Superblock, lock: DiskLock) {
    const { disk, clock, logger = SILENT, sync = 'always' } = options;
    this.#superblock = superblock;
    this.#sync = sync;
    this.#disk = disk;
    this.#lock = lock;
    this.#logger = logger;
    const { catalog, state } = Catalog.open(disk);
    this.#catalog = catalog;
    const arenas = new ArenaSet(disk);
    const allocator = new BlockAllocator(arenas, claimBlocks(arenas, state));
    const replicaRecords = (): Iterable<ReplicaRecord> => this.#records();
    const commit = new GroupCommit({ arenas, catalog, clock, sync, replicaRecords });
    commit.onHealthChange = (health) => {
      this.#onHealthChange(health);
    };
    const epoch = { boot: 0, count: 0 };
    this.#context = {
      arenas,
      allocator,
      catalog,
      commit,
      peeker: new FramePeeker(arenas),
      runs: new RunPool(),
      frameHeader: { epoch, position: 0, syncedPlace: 0, digestHigh: 0, digestLow: 0 },
      nextBlockEpoch: () => {
        this.#blockCount += 1;
        // Not the boot epoch: two processes may try the same boot.
        return { boot: superblock.writes, count: this.#blockCount };
      },
      onDamage: (id) => this.#onDamage(id),
    };
    this.#prewriter = new Prewriter({
      arenas,
      allocator,
      clock,
      pendingBytes: () => commit.pendingBytes,
      onFailure: (error) => commit.fail(error),
    });
    for (const id of [...state.keys()].sort((a, b) => a - b)) {
      this.#recover(assertDefined(state.get(id), 'A key has a value'));
    }
    this.#finishStart();
  }

  #recover(record: ReplicaRecord): void {
    const { commit, catalog, allocator } = this.#context;
    const log = new ReplicaLog(this.#context, record);
    const result = recoverLog(this.#context, log, { rewrites: this.#sync === 'always' });
    const replica = new StoredReplica(this.#context, log);
    replica.damage = result.damage;
    const { segmentId } = record;
    this.#replicas.set(segmentId, replica);
    if (result.damage) {
      this.#damaged.add(segmentId);
      this.#logger.log('error', 'A replica is damaged', { problem: result.damage.message });
    } else if (result.isTorn) {
      this.#logger.log('info', 'A torn write was cut off', { segmentId, tail: log.tail });
    }
    if (result.removedBlocks.length > 0) {
      catalog.append({ kind: 'TRIM', segmentId, blockCount: record.blocks.length });
      for (const block of result.removedBlocks) allocator.free(block.address, block.blockClass);
    }
    if (result.needsMark) commit.markLater(log);
  }

  /** Makes durable what recovery has found and changed. */
  #finishStart(): void {
    const { arenas, allocator } = this.#context;
    const isSynced = this.#sync === 'always';
    const catalog = this.#catalog;
    if (isSynced && arenas.allocatedBytes === 0) {
      try {
        this.#prewriter.prepareFresh();
      } catch (error) {
        if (!isWalrusError(error, 'DISK_FULL')) throw error;
        this.#logger.log('warn', 'The disk is full', { problem: error.message });
      }
    }
    arenas.syncAll();
    catalog.writePending();
    catalog.sync();
    // Names that an earlier process has made: it may have ended before they were durable.
    this.#disk.syncDirectory(STORAGE_DIRECTORY);
    for (const replica of this.#replicas.values()) {
      // What was not written again is not proven by a sync.
      if (isSynced) replica.log.syncedPlace = replica.log.endPlace;
      replica.log.durableTail = replica.log.tail;
    }
    if (isSynced) allocator.onChunkTaken = () => this.#prewriter.wake();
  }

  get identity(): DiskIdentity {
    return this.#superblock;
  }

  get isRegistered(): boolean {
    return this.#superblock.isRegistered;
  }

  noteRegistered(): void {
    if (this.#superblock.isRegistered) return;
    const { writes } = this.#superblock;
    const superblock = { ...this.#superblock, writes: writes + 1, isRegistered: true };
    writeSuperblocks(this.#disk, superblock, 0);
    this.#superblock = superblock;
  }

  get health(): DiskHealth {
    return this.#context.commit.health;
  }

  get pendingBytes(): number {
    return this.#context.commit.pendingBytes;
  }

  replicas(): readonly StoredReplica[] {
    return [...this.#replicas.keys()]
      .sort((a, b) => a - b)
      .map((id) => assertDefined(this.#replicas.get(id), 'A key has a value'));
  }

  replica(segmentId: SegmentId): Replica | undefined {
    return this.#replicas.get(segmentId);
  }

  createReplica(options: CreateReplicaOptions): StoredReplica {
    const { segmentId, producerSnapshot } = options;
    const { commit, catalog } = this.#context;
    assert(!this.#replicas.has(segmentId), `Segment ${segmentId} has a replica here already`);
    assert(/^[0-9a-f]{32}$/.test(options.token), 'A token is 32 hex digits');
    if (producerSnapshot.length > PRODUCER_SNAPSHOT_BYTES_MAX) {
      const message =
        `Cannot create segment ${segmentId}: its producer snapshot has ` +
        `${producerSnapshot.length} bytes, at most ${PRODUCER_SNAPSHOT_BYTES_MAX}`;
      throw new WalrusError('TOO_LARGE', message);
    }
    commit.assertWritable(0);
    if (this.#disk.freeBytes() < CREATE_FREE_BYTES_MIN) {
      const message =
        `Cannot create segment ${segmentId}: the disk is full ` +
        `(needs ${CREATE_FREE_BYTES_MIN} bytes, ${this.#disk.freeBytes()} free)`;
      throw new WalrusError('DISK_FULL', message);
    }
    const record: ReplicaRecord = {
      segmentId,
      token: options.token,
      baseOffset: options.baseOffset,
      producerSnapshot: producerSnapshot.length === 0 ? NO_SNAPSHOT : producerSnapshot.slice(),
      fenceEpoch: options.fenceEpoch ?? 0,
      blocks: [],
    };
    catalog.append({ kind: 'CREATE', segmentId, replica: record });
    commit.schedule();
    const replica = new StoredReplica(this.#context, new ReplicaLog(this.#context, record));
    this.#replicas.set(segmentId, replica);
    return replica;
  }

  deleteReplica(segmentId: SegmentId): void {
    const replica = this.#replicas.get(segmentId);
    if (!replica) return;
    const { commit, catalog, allocator } = this.#context;
    this.#replicas.delete(segmentId);
    this.#damaged.delete(segmentId);
    this.#rebuilds.get(segmentId)?.abandon();
    this.#rebuilds.delete(segmentId);
    replica.markDeleted();
    commit.dismiss(replica.log);
    if (commit.health.state === 'READ_ONLY') return;
    catalog.append({ kind: 'DELETE', segmentId });
    const blocks = replica.log.record.blocks.splice(0); // no late mark is written into them
    // Only a durable deletion frees: else a crash could revive a replica whose blocks are another's.
    commit.afterCommit(() => {
      for (const { address, blockClass } of blocks) allocator.free(address, blockClass);
    });
  }

  damaged(): readonly SegmentId[] {
    return [...this.#damaged].sort((a, b) => a - b).map(segmentId);
  }

  onDamage(listener: (segmentId: SegmentId) => void): void {
    this.#damageListener = listener;
  }

  #onDamage(id: number): void {
    this.#damaged.add(id);
    const problem = this.#replicas.get(id)?.damage?.message ?? '';
    this.#logger.log('error', 'A replica is damaged', { problem });
    this.#damageListener(segmentId(id));
  }

  beginRebuild(id: SegmentId): Rebuild {
    const replica = this.#replicas.get(id);
    if (!replica) {
      throw new WalrusError('SEGMENT_NOT_FOUND', `Segment ${id} has no replica on this disk`);
    }
    this.#context.commit.assertWritable(0);
    this.#rebuilds.get(id)?.abandon();
    const onPlaced = (): void => {
      this.#damaged.delete(id);
      this.#rebuilds.delete(id);
    };
    const rebuild = new ReplicaRebuild(this.#context, replica, onPlaced);
    this.#rebuilds.set(id, rebuild);
    return rebuild;
  }

  flush(done: (error: WalrusError | null) => void): void {
    this.#context.commit.whenDurable(done);
  }

  flushCatalog(done: (error: WalrusError | null) => void): void {
    this.#context.commit.whenDurable(done, 'catalog');
  }

  /** Forms a group now rather than at the end of the turn, unless one is in flight. */
  commitNow(): void {
    this.#context.commit.commit();
  }

  usage(): StorageUsage {
    const { allocator, arenas } = this.#context;
    return {
      usedBytes: allocator.usedBytes,
      allocatedBytes: arenas.allocatedBytes,
      freeBytes: Math.max(0, (this.#freeBytes() ?? 0) - BALLAST_BYTES),
    };
  }

  checkDisk(): DiskHealth {
    try {
      this.#disk.freeBytes();
    } catch (error) {
      this.#context.commit.fail(error);
    }
    return this.health;
  }

  /** null: the disk cannot say. */
  #freeBytes(): number | null {
    try {
      return this.#disk.freeBytes();
    } catch {
      return null; // `checkDisk` draws the conclusion
    }
  }

  onHealthChange(listener: (health: DiskHealth) => void): void {
    this.#healthListener = listener;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#prewriter.stop();
    const { commit, arenas } = this.#context;
    if (commit.isFull) {
      this.#logger.log('error', 'Not everything was flushed', { problem: 'the disk is full' });
    } else if (commit.health.state === 'HEALTHY') {
      const error = await new Promise<WalrusError | null>((done) => {
        commit.onFull = done; // space may never come
        commit.whenDurable(done);
      });
      if (error)
        this.#logger.log('error', 'Not everything was flushed', { problem: error.message });
    }
    commit.stop();
    arenas.close();
    this.#catalog.close();
    this.#lock.release();
  }

  *#records(): Iterable<ReplicaRecord> {
    for (const replica of this.replicas()) yield replica.log.record;
  }

  #onHealthChange(health: DiskHealth): void {
    this.#prewriter.stop();
    if (health.state === 'READ_ONLY') {
      this.#logger.log('error', 'The disk is read-only', { problem: health.error.message });
    }
    this.#healthListener(health);
  }
}

/** Moves the arenas' frontiers over every block that the catalog names. */
function claimBlocks(arenas: ArenaSet, state: CatalogState): BlockRef[] {
  const blocks = [...state.values()].flatMap((record) => record.blocks);
  for (const block of blocks) arenas.claim(block.address, blockBytes(block.blockClass));
  return blocks;
}

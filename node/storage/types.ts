/**
 * The storage engine of one disk, as the replication layer sees it. One process owns a data directory.
 * Calls are synchronous and single-threaded; durability is reported by callback, once for each group commit.
 *
 * Errors (WalrusError): DISK_FULL, DISK_FAILED (the disk is read-only from then on, for good), FENCED, WRONG_TOKEN,
 * OUT_OF_ORDER_APPEND, CORRUPT_BATCH, CORRUPT_SEGMENT, OFFSET_OUT_OF_RANGE, OVERLOADED, TOO_LARGE.
 */
import type { WalrusError } from '../../base/errors.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';

/** Who this disk is: two superblocks hold it (DESIGN I1, I2). */
export interface DiskIdentity {
  readonly formatVersion: number;
  /** 32 hex digits. */
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** 32 hex digits, random, made when the disk was formatted. */
  readonly diskId: string;
  /** Incremented, durably, by every start whose predecessor is known to be registered (ADR 0101). */
  readonly bootEpoch: number;
  /** 32 hex digits, random, drawn with the epoch: tells a repeat of this boot from a clone's boot. */
  readonly bootNonce: string;
}

export type DiskHealth =
  { readonly state: 'HEALTHY' } | { readonly state: 'READ_ONLY'; readonly error: WalrusError };

/** Who appends: the segment's leader (epoch 0), or a recovery that has fenced with this epoch. */
export interface AppendCredentials {
  /** The segment's session token, 32 hex digits (DESIGN I4). */
  readonly token: string;
  /** 0 for the leader; the recovery's epoch for a copy made by recovery or repair. */
  readonly epoch: number;
  /** The batch has passed `validateBatch` in this process and has not left it: it is not read through again. */
  readonly isChecked?: boolean;
}

/** A replica's end: where it ends and what it holds up to there. */
export interface ReplicaTail {
  readonly tail: Offset;
  /**
   * Chained over (baseOffset, record count, crc) of every batch from the segment's base; 16 hex digits.
   * Equal digests at equal offsets mean equal bytes.
   */
  readonly digest: string;
}

export interface CreateReplicaOptions {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly baseOffset: Offset;
  /** Opaque bytes kept durably with the replica: the producers' state at its base offset. */
  readonly producerSnapshot: Uint8Array;
  /** More than 0: created fenced (DESIGN R2), before any data. */
  readonly fenceEpoch?: number;
}

/** Batches of a read, whole ones only, as they were written. */
export interface ReadResult {
  /** Consecutive batches, in memory of their own: the caller may keep it. */
  readonly bytes: Uint8Array;
  /** The offset after the last batch of `bytes`. */
  readonly nextOffset: Offset;
}

/** A new copy of a damaged replica, made beside it (DESIGN D1, S2). */
export interface Rebuild {
  /** The offset after the last batch. */
  readonly tail: Offset;
  /**
   * Adds the next batch, whose checksum is verified.
   * @returns the offset after it.
   * @throws {WalrusError} CORRUPT_BATCH, OUT_OF_ORDER_APPEND, DISK_FULL, DISK_FAILED, OVERLOADED; SEGMENT_NOT_FOUND when
   *   the replica was deleted meanwhile
   */
  append(batch: Uint8Array): Offset;
  /**
   * Puts the copy in the place of the damaged one, for good when `done` is called; the damaged one is kept until then.
   * @throws {WalrusError} CORRUPT_SEGMENT unless its tail and digest are the sealed ones; SEGMENT_NOT_FOUND
   */
  finish(sealed: ReplicaTail, done: (error: WalrusError | null) => void): void;
  /** Gives the copy up. */
  abandon(): void;
}

/** One segment's copy on this disk. */
export interface Replica {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly baseOffset: Offset;
  readonly producerSnapshot: Uint8Array;
  /** The offset after the last accepted batch, durable or not. */
  readonly tail: Offset;
  /** The offset below which everything is durable here. */
  readonly durableTail: Offset;
  /** The highest fence, 0 for none; durable once the `fence` that set it has called back. */
  readonly fenceEpoch: number;
  /** Stored bytes, headers included. */
  readonly sizeBytes: number;
  /** Set when a part of this copy is damaged or unreadable: it answers UNKNOWN as evidence (DESIGN D1). */
  readonly damage: WalrusError | null;
  /**
   * Accepts a batch (RecordBatch v2 with its base offset set) at the tail. Checks token, fence, contiguity and CRC.
   * The bytes are copied; the caller may reuse them. A repeat of a stored batch (same base offset, record count
   * and crc) is accepted without being stored again.
   * @returns the offset after the batch: the caller acknowledges when `durableTail` has reached it.
   * @throws {WalrusError} FENCED, WRONG_TOKEN, OUT_OF_ORDER_APPEND, CORRUPT_BATCH, DISK_FULL, DISK_FAILED, OVERLOADED
   */
  append(batch: Uint8Array, credentials: AppendCredentials): Offset;
  /**
   * Stores a fence durably, then reports the tail: everything accepted before is durable by then, too.
   * `epoch` must be higher than, or equal to (a repeat), the present one.
   */
  fence(epoch: number, done: (error: WalrusError | null, tail: ReplicaTail | null) => void): void;
  /**
   * Where what is sound ends: before the damage, else at the tail. No evidence, and no promise that bodies are
   * right: `readSound` looks at these.
   * @throws {WalrusError} CORRUPT_SEGMENT when the way there is damaged, too
   */
  soundTail(): ReplicaTail;
  /**
   * Gives a replica that a fence has made the producer snapshot that it was made without; durable with the next group
   * commit.
   * @throws {WalrusError} TOO_LARGE, DISK_FULL, DISK_FAILED
   */
  learnProducers(producerSnapshot: Uint8Array): void;
  /** The digest up to an offset at a batch boundary; null when the replica has no such boundary. */
  digestAt(end: Offset): string | null;
  /**
   * Reads whole batches from the one that contains `from`, below `limit`, up to about `maxBytes` but at least
   * one batch. Every batch's CRC has been checked since it was last written or recovered, or is checked now.
   * Empty when `from` = min(limit, tail).
   * @throws {WalrusError} CORRUPT_SEGMENT, OFFSET_OUT_OF_RANGE, DISK_FAILED
   */
  read(from: Offset, limit: Offset, maxBytes: number): ReadResult;
  /**
   * Verifies the batches that `read` would give, and the headers of their blocks.
   * @throws {WalrusError} CORRUPT_SEGMENT, OFFSET_OUT_OF_RANGE, DISK_FAILED
   */
  scrub(from: Offset, maxBytes: number): ReadResult;
  /** Notes that this copy is not what it should be, though its own checksums are right. */
  condemn(problem: string): void;
  /** The offset of the first batch that has a record with this time (ms since 1970) or later; null when none has. */
  findByTime(timestampMs: number): Offset | null;
  /** Sets the one listener for the progress of `durableTail`, called once for a group commit. */
  onDurable(listener: (durableTail: Offset) => void): void;
}

export interface StorageUsage {
  /** Bytes of blocks that belong to replicas. */
  readonly usedBytes: number;
  /** Bytes of all arena files. */
  readonly allocatedBytes: number;
  /** What the file system has left, less the ballast; 0 where it cannot say. */
  readonly freeBytes: number;
}

export interface StorageEngine {
  readonly identity: DiskIdentity;
  /** Whether the metadata are known to have this boot. */
  readonly isRegistered: boolean;
  readonly health: DiskHealth;
  /**
   * Notes durably, before it returns, that the metadata have this boot: the next start counts up. Called before
   * anything is served; a repeat does nothing.
   * @throws {WalrusError} DISK_FAILED
   */
  noteRegistered(): void;
  /** Every replica found or created, in segment order. Damaged ones are among them. */
  replicas(): readonly Replica[];
  replica(segmentId: SegmentId): Replica | undefined;
  /** Creates a replica; durable with the first group commit after it (so before any of its data is). */
  createReplica(options: CreateReplicaOptions): Replica;
  /** Frees a replica's blocks. Only for a tombstone in the metadata (DESIGN S3). */
  deleteReplica(segmentId: SegmentId): void;
  /** Segments whose copy here is damaged, as far as it is known; by id. */
  damaged(): readonly SegmentId[];
  /** Sets the one listener for replicas that are found damaged, after the start; called while they are read. */
  onDamage(listener: (segmentId: SegmentId) => void): void;
  /**
   * Begins a new copy of a damaged replica; one that was under way is given up.
   * @throws {WalrusError} SEGMENT_NOT_FOUND, DISK_FULL, DISK_FAILED
   */
  beginRebuild(segmentId: SegmentId): Rebuild;
  /** Calls back once everything accepted so far is durable. */
  flush(done: (error: WalrusError | null) => void): void;
  /** The same for creations, fences and deletions alone: appends that wait for space do not hold it up. */
  flushCatalog(done: (error: WalrusError | null) => void): void;
  /** Bytes accepted and not yet durable: the caller's measure for back-pressure. */
  readonly pendingBytes: number;
  usage(): StorageUsage;
  /**
   * Looks whether the disk is there: one that cannot even say how much is free (a directory that is gone) has failed, and is
   * read-only from then on.
   */
  checkDisk(): DiskHealth;
  onHealthChange(listener: (health: DiskHealth) => void): void;
  /** Flushes what is pending, closes the files and releases the lock. */
  close(): Promise<void>;
}

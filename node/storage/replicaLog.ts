/**
 * The log of one replica: its blocks, its end, its digest, and the walk over its frames. Frames follow each other in
 * a block; a frame that does not fit begins the next block. Owned by one StoredReplica.
 */
import { assertDefined } from '../../base/assert.ts';
import { isWalrusError } from '../../base/errors.ts';
import { baseOffsetOf, crcOf, maxTimestampOf, recordsCountOf } from '../../protocol/recordBatch.ts';
import { BLOCK_DATA_START, encodeBlockHeader, encodeMark, MARK_START } from './blockHeader.ts';
import { chainDigest, emptyDigest, type Digest } from './digest.ts';
import { encodeFrame, frameBytes, type Frame } from './frame.ts';
import { BLOCK_CLASS_BYTES, BLOCK_SPAN, blockBytes } from './geometry.ts';
import type { CommitMember } from './groupCommit.ts';
import type { BlockRef, ReplicaRecord } from './replicaRecord.ts';
import { SegmentIndex } from './segmentIndex.ts';
import type { StorageContext } from './storageContext.ts';
import { RUN_BYTES_MAX, WriteRun } from './writeRun.ts';

/**
 * A staged run of this size is written before its group is, up to a multiple of it in the file: the page cache takes
 * aligned writes in large folios.
 */
const EARLY_WRITE_BYTES = RUN_BYTES_MAX / 2;

/** A position of the walk over frames. */
export interface LogCursor {
  blockIndex: number;
  position: number;
}

export class ReplicaLog implements CommitMember {
  isEnlisted = false;
  readonly record: ReplicaRecord;
  readonly index = new SegmentIndex();
  readonly digest: Digest = emptyDigest();
  tail: number;
  durableTail: number;
  /** The latest time of all batches; -Infinity in an empty log. */
  maxTimestamp = -Infinity;
  sizeBytes = 0;
  /** All of the log below this place is durable. */
  syncedPlace = 0;
  onDurable: ((durableTail: number) => void) | null = null;
  readonly #context: StorageContext;
  #run: WriteRun | null = null;
  #groupTail = 0;
  #groupPlace = 0;

  constructor(context: StorageContext, record: ReplicaRecord) {
    this.#context = context;
    this.record = record;
    this.tail = record.baseOffset;
    this.durableTail = record.baseOffset;
  }

  /** The place behind the last frame. */
  get endPlace(): number {
    const { blocks } = this.record;
    const last = blocks.at(-1);
    return last ? (blocks.length - 1) * BLOCK_SPAN + last.end : 0;
  }

  /**
   * Adds a batch that has been checked.
   * @throws {WalrusError} DISK_FULL, DISK_FAILED; then nothing has been accepted
   */
  push(batch: Uint8Array): void {
    const size = frameBytes(batch.length);
    let block = this.record.blocks.at(-1);
    if (!block || block.end + size > blockBytes(block.blockClass)) block = this.#addBlock(size);
    const baseOffset = baseOffsetOf(batch);
    const count = recordsCountOf(batch);
    const place = (this.record.blocks.length - 1) * BLOCK_SPAN + block.end;
    this.noteBatch(place, baseOffset);
    chainDigest(this.digest, baseOffset, count, crcOf(batch));
    this.maxTimestamp = Math.max(this.maxTimestamp, maxTimestampOf(batch));
    this.#stage(block, size, batch);
    block.end += size;
    this.sizeBytes += size;
    this.tail = baseOffset + count;
    this.#context.commit.enlist(this, size);
    if (this.#run && this.#run.length >= EARLY_WRITE_BYTES) this.#writeAligned(this.#run);
  }

  /** Gives the batch that comes next an index entry when one is due; before its digest is chained. */
  noteBatch(place: number, baseOffset: number): void {
    if (!this.index.wants(place)) return;
    this.index.add({
      offset: baseOffset,
      place,
      digestHigh: this.digest.high,
      digestLow: this.digest.low,
      maxTimestampBefore: this.maxTimestamp,
    });
  }

  #stage(block: BlockRef, size: number, batch: Uint8Array): void {
    const run = this.#runAt(block.address + block.end, size);
    const at = run.reserve(size);
    const header = this.#context.frameHeader;
    header.epoch = block;
    header.position = block.end;
    header.syncedPlace = this.syncedPlace;
    header.digestHigh = this.digest.high;
    header.digestLow = this.digest.low;
    encodeFrame(run.buffer, at, header, batch);
  }

  #runAt(address: number, size: number): WriteRun {
    this.#run ??= new WriteRun(this.#context.runs, address, size);
    return this.#run;
  }

  #addBlock(frameSize: number): BlockRef {
    const { catalog, nextBlockEpoch } = this.#context;
    const { blocks, segmentId } = this.record;
    if (!this.writeStaged()) this.#context.commit.assertWritable(0);
    let blockClass = Math.min(blocks.length, BLOCK_CLASS_BYTES.length - 1);
    while (blockBytes(blockClass) < BLOCK_DATA_START + frameSize) blockClass += 1;
    const address = this.#allocate(blockClass);
    const { boot, count } = nextBlockEpoch();
    const block = { address, blockClass, boot, count, end: BLOCK_DATA_START };
    catalog.append({ kind: 'ALLOCATE', segmentId, block });
    const run = this.#runAt(address, Math.min(BLOCK_DATA_START + frameSize, BLOCK_SPAN));
    encodeBlockHeader(run.buffer, run.reserve(BLOCK_DATA_START), {
      epoch: block,
      segmentId,
      sequence: blocks.length,
      sizeBytes: blockBytes(blockClass),
      startOffset: this.tail,
      digestHigh: this.digest.high,
      digestLow: this.digest.low,
    });
    blocks.push(block);
    this.sizeBytes += BLOCK_DATA_START;
    return block;
  }

  #allocate(blockClass: number): number {
    const { allocator, commit } = this.#context;
    try {
      return allocator.allocate(blockClass);
    } catch (error) {
      // A new arena's file or name has failed: as final as any other write (DESIGN W3).
      if (!isWalrusError(error, 'DISK_FULL')) commit.fail(error);
      throw error;
    }
  }

  writeStaged(): boolean {
    const run = this.#run;
    if (!run) return true;
    if (!this.#write(run, run.length)) return false;
    this.#context.arenas.unstage(run);
    run.release();
    this.#run = null;
    return true;
  }

  /** Writes a large run up to the last multiple of EARLY_WRITE_BYTES in the file; the rest stays staged. */
  #writeAligned(run: WriteRun): void {
    const end = run.address + run.length;
    const count = end - (end % EARLY_WRITE_BYTES) - run.address;
    if (this.#write(run, count)) run.drop(count);
  }

  #write(run: WriteRun, count: number): boolean {
    const { arenas, commit } = this.#context;
    if (commit.health.state === 'HEALTHY') {
      try {
        arenas.write(run.buffer.subarray(0, count), run.address);
        return true;
      } catch (error) {
        commit.onWriteError(error);
      }
    }
    arenas.stage(run); // what the disk does not take can be read all the same
    return false;
  }

  beginGroup(): void {
    this.#groupTail = this.tail;
    this.#groupPlace = this.endPlace;
  }

  endGroup(isSynced: boolean): void {
    if (isSynced) this.syncedPlace = this.#groupPlace;
    if (this.#groupTail <= this.durableTail) return;
    this.durableTail = this.#groupTail;
    this.onDurable?.(this.durableTail);
  }

  writeMark(): void {
    const last = this.record.blocks.at(-1);
    // A mark in a block whose own header is not durable yet would prove nothing.
    if (!last || this.syncedPlace <= (this.record.blocks.length - 1) * BLOCK_SPAN) return;
    this.#context.arenas.writeLazily(encodeMark(last, this.syncedPlace), last.address + MARK_START);
  }

  /** Drops what is staged: the replica is deleted. */
  discard(): void {
    if (this.#run) this.#context.arenas.unstage(this.#run);
    this.#run?.release();
    this.#run = null;
  }

  /** A cursor at the batch that an index entry names, or at the first batch. */
  cursorAt(place: number): LogCursor {
    if (place === 0) return { blockIndex: 0, position: BLOCK_DATA_START };
    return { blockIndex: Math.floor(place / BLOCK_SPAN), position: place % BLOCK_SPAN };
  }

  /** Moves a cursor that is behind the last frame of a block to the next block. */
  settle(cursor: LogCursor): BlockRef {
    const { blocks } = this.record;
    const block = assertDefined(blocks[cursor.blockIndex], 'A cursor is within the log');
    if (cursor.position < block.end || cursor.blockIndex === blocks.length - 1) return block;
    cursor.blockIndex += 1;
    cursor.position = BLOCK_DATA_START;
    return assertDefined(blocks[cursor.blockIndex], 'A cursor is within the log');
  }

  /** The frame at a cursor; null when it is damaged. Valid until the next call. */
  peek(cursor: LogCursor): Frame | null {
    const block = this.settle(cursor);
    const { peeker } = this.#context;
    return peeker.peek(block, cursor.position) ? peeker.frame : null;
  }

  /** Makes everything readable through the arenas; call before a walk. */
  prepareWalk(): void {
    this.writeStaged();
    this.#context.peeker.reset();
  }
}

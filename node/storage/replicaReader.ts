/** Reads whole batches of a replica: large slices from the page cache, our frame headers squeezed out in place. */
import { damageError, unreadable } from './damage.ts';
import {
  decodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_PEEK_BYTES,
  frameBytes,
  newFrame,
  type Frame,
} from './frame.ts';
import { blockBytes } from './geometry.ts';
import type { LogCursor, ReplicaLog } from './replicaLog.ts';
import type { StorageContext } from './storageContext.ts';
import { computeBatchCrc } from '../../protocol/recordBatch.ts';
import type { WalrusError } from '../../base/errors.ts';
import type { BlockRef } from './replicaRecord.ts';

export interface BatchesRead {
  readonly bytes: Uint8Array;
  readonly nextOffset: number;
  /** Why the reading stopped before it had to. */
  readonly damage: WalrusError | null;
}

export interface ReadOptions {
  /** At the batch to begin with. */
  readonly cursor: LogCursor;
  /** The base offset of that batch. */
  readonly baseOffset: number;
  /** No batch that reaches beyond this offset is read. */
  readonly limit: number;
  readonly maxBytes: number;
}

/** One read: a buffer that fills from the front. */
class BatchReading {
  readonly #context: StorageContext;
  readonly #log: ReplicaLog;
  readonly #limit: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #frame = newFrame();
  #length = 0;
  #nextOffset: number;
  #damage: WalrusError | null = null;
  #isDone = false;

  constructor(context: StorageContext, log: ReplicaLog, options: ReadOptions, capacity: number) {
    this.#context = context;
    this.#log = log;
    this.#limit = options.limit;
    this.#nextOffset = options.baseOffset;
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  run(cursor: LogCursor): BatchesRead {
    while (!this.#isDone) {
      const block = this.#log.settle(cursor);
      const room = this.#bytes.length - this.#length;
      const count = Math.min(block.end - cursor.position, room);
      if (count < FRAME_PEEK_BYTES) break;
      const slice = this.#bytes.subarray(this.#length, this.#length + count);
      try {
        this.#context.arenas.read(slice, block.address + cursor.position);
      } catch (error) {
        this.#fail(block, cursor.position, unreadable(error));
        break;
      }
      const taken = this.#takeFrames(block, cursor.position, this.#length + count);
      cursor.position += taken;
      if (taken === 0) break;
    }
    const bytes = this.#bytes.subarray(0, this.#length);
    return { bytes, nextOffset: this.#nextOffset, damage: this.#damage };
  }

  /** Squeezes the frames of a slice that ends at `end`; returns how many bytes of the block they took. */
  #takeFrames(block: BlockRef, position: number, end: number): number {
    let at = this.#length;
    const start = at;
    while (!this.#isDone && at + FRAME_PEEK_BYTES <= end) {
      const frame = this.#frame;
      if (!this.#decode(block, position + at - start, at)) break;
      const size = frameBytes(frame.batchLength);
      if (at + size > end) break;
      if (frame.baseOffset + frame.count > this.#limit) {
        this.#isDone = true;
        break;
      }
      const batchAt = at + FRAME_HEADER_BYTES;
      if (computeBatchCrc(this.#bytes, batchAt, frame.batchLength) !== frame.crc) {
        this.#fail(block, position + at - start, 'the checksum of the batch is wrong');
        break;
      }
      this.#bytes.copyWithin(this.#length, batchAt, batchAt + frame.batchLength);
      this.#length += frame.batchLength;
      this.#nextOffset = frame.baseOffset + frame.count;
      this.#isDone = this.#nextOffset >= this.#limit;
      at += size;
    }
    return at - start;
  }

  #decode(block: BlockRef, position: number, at: number): boolean {
    const capacity = blockBytes(block.blockClass);
    const spot = { bytes: this.#bytes, view: this.#view, at, epoch: block, position, capacity };
    if (!decodeFrame(spot, this.#frame)) {
      this.#fail(block, position, 'there is no valid frame');
      return false;
    }
    if (this.#frame.baseOffset === this.#nextOffset) return true;
    this.#fail(block, position, `the frame is of offset ${this.#frame.baseOffset}`);
    return false;
  }

  #fail(block: BlockRef, position: number, problem: string): void {
    const { segmentId } = this.#log.record;
    const offset = this.#nextOffset;
    this.#damage = damageError({ segmentId, offset, block, position, problem });
    this.#isDone = true;
  }
}

/** Reads from a cursor on; at least one batch unless it is damaged or reaches beyond the limit. */
export function readBatches(
  context: StorageContext,
  log: ReplicaLog,
  first: Frame,
  options: ReadOptions,
): BatchesRead {
  const firstBytes = frameBytes(first.batchLength);
  let available = 0;
  const { blocks } = log.record;
  const { blockIndex, position } = options.cursor;
  for (let i = blockIndex; i < blocks.length && available < options.maxBytes; i += 1) {
    available += blocks[i]?.end ?? 0;
    if (i === blockIndex) available -= position;
  }
  const capacity = Math.max(firstBytes, Math.min(options.maxBytes, available));
  return new BatchReading(context, log, options, capacity).run({ blockIndex, position });
}

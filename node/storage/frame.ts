/**
 * A frame: one record batch in a block, behind a header of our own.
 *
 * | at | bytes | field                                                                                |
 * |---:|------:|--------------------------------------------------------------------------------------|
 * |  0 |     4 | magic `WFRM`                                                                          |
 * |  4 |     4 | CRC-32C of bytes 8..100: the rest of this header and the batch's header               |
 * |  8 |     4 | length of the batch                                                                   |
 * | 12 |     8 | epoch of the block (boot u32, count u32): a recycled block's old frames do not match  |
 * | 20 |     4 | position of this frame in its block                                                   |
 * | 24 |     8 | synced place: all of the replica's log below it was durable when this was written     |
 * | 32 |     8 | digest of the replica up to the end of this batch (high u32, low u32)                 |
 * | 40 |       | the batch, then zeros up to a multiple of 8                                           |
 *
 * The batch's body is covered by the batch's own checksum. Little-endian, but for the batch.
 */
import { crc32c } from '../../base/crc32c.ts';
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeOf,
  crcOf,
  maxTimestampOf,
  recordsCountOf,
} from '../../protocol/recordBatch.ts';
import { BLOCK_DATA_START, type BlockEpoch } from './blockHeader.ts';
import { BLOCK_SPAN } from './geometry.ts';

export const FRAME_MAGIC = 0x4d524657;
export const FRAME_HEADER_BYTES = 40;
/** What must be read to know a frame: its header and its batch's. */
export const FRAME_PEEK_BYTES = FRAME_HEADER_BYTES + BATCH_HEADER_BYTES;
/** The largest batch that fits into the largest block. */
export const BATCH_BYTES_MAX = BLOCK_SPAN - BLOCK_DATA_START - FRAME_HEADER_BYTES;

/** The bytes that a batch takes in a block. */
export function frameBytes(batchLength: number): number {
  return (FRAME_HEADER_BYTES + batchLength + 7) & ~7;
}

/** What a frame says; one object is used again for many frames. */
export interface Frame {
  batchLength: number;
  syncedPlace: number;
  digestHigh: number;
  digestLow: number;
  baseOffset: number;
  count: number;
  crc: number;
  maxTimestamp: number;
}

/** A frame to be decoded into. */
export function newFrame(): Frame {
  return {
    batchLength: 0,
    syncedPlace: 0,
    digestHigh: 0,
    digestLow: 0,
    baseOffset: 0,
    count: 0,
    crc: 0,
    maxTimestamp: 0,
  };
}

/** What a frame's header needs beside the batch. */
export interface FrameHeader {
  readonly epoch: BlockEpoch;
  readonly position: number;
  readonly syncedPlace: number;
  readonly digestHigh: number;
  readonly digestLow: number;
}

/** Writes a frame at `at`: header, batch and padding. */
export function encodeFrame(
  bytes: Uint8Array,
  at: number,
  header: FrameHeader,
  batch: Uint8Array,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRAME_HEADER_BYTES);
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint32(8, batch.length, true);
  view.setUint32(12, header.epoch.boot, true);
  view.setUint32(16, header.epoch.count, true);
  view.setUint32(20, header.position, true);
  view.setUint32(24, header.syncedPlace >>> 0, true);
  view.setUint32(28, Math.floor(header.syncedPlace / 2 ** 32), true);
  view.setUint32(32, header.digestHigh, true);
  view.setUint32(36, header.digestLow, true);
  bytes.set(batch, at + FRAME_HEADER_BYTES);
  const end = at + FRAME_HEADER_BYTES + batch.length;
  bytes.fill(0, end, at + frameBytes(batch.length));
  view.setUint32(4, crc32c(bytes.subarray(at + 8, at + FRAME_PEEK_BYTES)), true);
}

/** Where a frame is looked for. */
export interface FrameSpot {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Its position in `bytes`. */
  readonly at: number;
  readonly epoch: BlockEpoch;
  /** Its position in its block. */
  readonly position: number;
  /** The size of the block: a frame ends within it. */
  readonly capacity: number;
}

/**
 * Decodes the frame at a spot, of which FRAME_PEEK_BYTES are there.
 * @returns false when there is no valid frame of this block.
 */
export function decodeFrame(spot: FrameSpot, into: Frame): boolean {
  const { bytes, view, at, epoch } = spot;
  if (view.getUint32(at, true) !== FRAME_MAGIC) return false;
  if (view.getUint32(at + 12, true) !== epoch.boot) return false;
  if (view.getUint32(at + 16, true) !== epoch.count) return false;
  if (view.getUint32(at + 20, true) !== spot.position) return false;
  const expected = view.getUint32(at + 4, true);
  if (crc32c(bytes.subarray(at + 8, at + FRAME_PEEK_BYTES)) !== expected) return false;
  const length = view.getUint32(at + 8, true);
  if (spot.position + frameBytes(length) > spot.capacity) return false;
  const batchAt = at + FRAME_HEADER_BYTES;
  if (batchSizeOf(bytes, batchAt) !== length) return false;
  into.batchLength = length;
  into.syncedPlace = view.getUint32(at + 28, true) * 2 ** 32 + view.getUint32(at + 24, true);
  into.digestHigh = view.getUint32(at + 32, true);
  into.digestLow = view.getUint32(at + 36, true);
  into.baseOffset = baseOffsetOf(bytes, batchAt);
  into.count = recordsCountOf(bytes, batchAt);
  into.crc = crcOf(bytes, batchAt);
  into.maxTimestamp = maxTimestampOf(bytes, batchAt);
  return true;
}

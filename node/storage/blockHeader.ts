/**
 * The start of a block: who owns it, and a mark.
 *
 * | at | bytes | field                                                                    |
 * |---:|------:|--------------------------------------------------------------------------|
 * |  0 |     4 | magic `WBLK`                                                              |
 * |  4 |     4 | CRC-32C of bytes 8..63                                                    |
 * |  8 |     8 | epoch of the block (boot u32, count u32), never used twice on a disk      |
 * | 16 |     8 | owner: the segment                                                        |
 * | 24 |     4 | sequence: the block's number in its replica, from 0                       |
 * | 28 |     4 | size of the block                                                         |
 * | 32 |     8 | offset of its first batch                                                 |
 * | 40 |     8 | digest of the replica before that batch (high u32, low u32)               |
 * | 48 |    16 | zeros                                                                     |
 * | 64 |     4 | mark: CRC-32C of bytes 68..83                                             |
 * | 68 |     8 | mark: epoch of the block                                                  |
 * | 76 |     8 | mark: synced place: all of the replica's log below it is durable          |
 * | 84 |    44 | zeros                                                                     |
 *
 * The mark is written without a sync when a replica has come to rest; a damaged or missing one proves nothing.
 */
import { crc32c } from '../../base/crc32c.ts';
import { isCount } from '../../base/units.ts';

const BLOCK_MAGIC = 0x4b4c4257;
const HEADER_BYTES = 64;
export const MARK_START = 64;
export const MARK_BYTES = 20;
/** Where the frames of a block begin. */
export const BLOCK_DATA_START = 128;

/** The process life that allocated a block (the writes of the superblock at its start), and a count within it. */
export interface BlockEpoch {
  readonly boot: number;
  readonly count: number;
}

export interface BlockHeader {
  readonly epoch: BlockEpoch;
  readonly segmentId: number;
  readonly sequence: number;
  readonly sizeBytes: number;
  readonly startOffset: number;
  readonly digestHigh: number;
  readonly digestLow: number;
}

function viewAt(bytes: Uint8Array, at: number, length: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, length);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}

/** Writes the first BLOCK_DATA_START bytes of a block, without a mark. */
export function encodeBlockHeader(bytes: Uint8Array, at: number, header: BlockHeader): void {
  bytes.fill(0, at, at + BLOCK_DATA_START);
  const view = viewAt(bytes, at, HEADER_BYTES);
  view.setUint32(0, BLOCK_MAGIC, true);
  view.setUint32(8, header.epoch.boot, true);
  view.setUint32(12, header.epoch.count, true);
  setU64(view, 16, header.segmentId);
  view.setUint32(24, header.sequence, true);
  view.setUint32(28, header.sizeBytes, true);
  setU64(view, 32, header.startOffset);
  view.setUint32(40, header.digestHigh, true);
  view.setUint32(44, header.digestLow, true);
  view.setUint32(4, crc32c(bytes.subarray(at + 8, at + HEADER_BYTES)), true);
}

/** The header of a block; null when there is no valid one. */
export function decodeBlockHeader(bytes: Uint8Array): BlockHeader | null {
  const view = viewAt(bytes, 0, HEADER_BYTES);
  if (view.getUint32(0, true) !== BLOCK_MAGIC) return null;
  if (view.getUint32(4, true) !== crc32c(bytes.subarray(8, HEADER_BYTES))) return null;
  return {
    epoch: { boot: view.getUint32(8, true), count: view.getUint32(12, true) },
    segmentId: getU64(view, 16),
    sequence: view.getUint32(24, true),
    sizeBytes: view.getUint32(28, true),
    startOffset: getU64(view, 32),
    digestHigh: view.getUint32(40, true),
    digestLow: view.getUint32(44, true),
  };
}

/** A mark, to be written at MARK_START of its block. */
export function encodeMark(epoch: BlockEpoch, syncedPlace: number): Uint8Array {
  const bytes = new Uint8Array(MARK_BYTES);
  const view = viewAt(bytes, 0, MARK_BYTES);
  view.setUint32(4, epoch.boot, true);
  view.setUint32(8, epoch.count, true);
  setU64(view, 12, syncedPlace);
  view.setUint32(0, crc32c(bytes.subarray(4)), true);
  return bytes;
}

/** The synced place of a block's mark; 0 when there is no valid mark. `bytes` is the block's start. */
export function decodeMark(bytes: Uint8Array, epoch: BlockEpoch): number {
  const view = viewAt(bytes, MARK_START, MARK_BYTES);
  if (view.getUint32(4, true) !== epoch.boot || view.getUint32(8, true) !== epoch.count) return 0;
  const crc = crc32c(bytes.subarray(MARK_START + 4, MARK_START + MARK_BYTES));
  if (view.getUint32(0, true) !== crc) return 0;
  const place = getU64(view, 12);
  return isCount(place) ? place : 0;
}

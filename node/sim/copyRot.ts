/** Rot that aims: at one batch of one copy, where drawing a byte of the whole disk would rarely hit what matters. */
import { assert } from '../../base/assert.ts';
import type { SegmentId } from '../../base/units.ts';
import { crc32c } from '../../base/crc32c.ts';
import { computeBatchCrc } from '../../protocol/recordBatch.ts';
import { FRAME_HEADER_BYTES, FRAME_PEEK_BYTES, frameBytes } from '../storage/frame.ts';
import { ARENA_BYTES, BLOCK_SPAN, arenaPath } from '../storage/geometry.ts';
import { StoredReplica } from '../storage/replica.ts';
import type { Machine } from './simCluster.ts';

/** Where a batch has its checksum. */
const CRC_POSITION = 17;

/** Where one batch of a copy is. */
export interface BatchSpot {
  readonly path: string;
  /** Of the frame's header. */
  readonly position: number;
  /** Of a byte of the batch that only its own checksum covers. */
  readonly bodyPosition: number;
  readonly baseOffset: number;
  /** Whether a later frame states that it is durable: damage there is told from a torn write (ADR 0103). */
  readonly isProven: boolean;
}

/** The batches of a machine's copy, in order; none while it has none, or is down. */
export function batchSpots({ parts }: Machine, segmentId: SegmentId): BatchSpot[] {
  const replica = parts?.storage.replica(segmentId);
  if (replica === undefined) return [];
  assert(replica instanceof StoredReplica, 'A simulated node has the real engine');
  const { log } = replica;
  log.prepareWalk();
  const cursor = log.cursorAt(0);
  const found: (Omit<BatchSpot, 'isProven'> & { readonly endPlace: number })[] = [];
  let proven = 0;
  for (let at = replica.baseOffset as number; at < replica.tail;) {
    const { address } = log.settle(cursor);
    const frame = log.peek(cursor);
    if (frame === null) break;
    const position = (address % ARENA_BYTES) + cursor.position;
    proven = Math.max(proven, frame.syncedPlace);
    const size = frameBytes(frame.batchLength);
    found.push({
      path: arenaPath(Math.floor(address / ARENA_BYTES)),
      position,
      bodyPosition: position + FRAME_HEADER_BYTES + frame.batchLength - 1,
      baseOffset: frame.baseOffset,
      endPlace: cursor.blockIndex * BLOCK_SPAN + cursor.position + size,
    });
    at += frame.count;
    cursor.position += size;
  }
  return found.map(({ endPlace, ...spot }) => ({ ...spot, isProven: endPlace <= proven }));
}

/** Flips a bit of a batch's body. */
export function rotBody({ disk }: Machine, spot: BatchSpot): void {
  disk.rot(spot.path, spot.bodyPosition);
}

/**
 * Puts another record in the place of a batch's last byte, with checksums that are right: as a write that was meant for
 * another place. Only the digest of the whole copy tells.
 */
export function forgeBatch({ disk }: Machine, spot: BatchSpot): void {
  const file = disk.open(spot.path);
  const sizeBytes = spot.bodyPosition + 1 - spot.position;
  const frame = new Uint8Array(sizeBytes);
  file.read(frame, spot.position);
  const view = new DataView(frame.buffer);
  frame[sizeBytes - 2] = (frame[sizeBytes - 2] ?? 0) ^ 1;
  const batch = frame.subarray(FRAME_HEADER_BYTES);
  view.setUint32(FRAME_HEADER_BYTES + CRC_POSITION, computeBatchCrc(batch, 0, batch.length));
  view.setUint32(4, crc32c(frame.subarray(8, FRAME_PEEK_BYTES)), true);
  file.write(frame, spot.position);
  file.sync();
}

/** Flips a bit of a frame's header. */
export function rotHeader({ disk }: Machine, spot: BatchSpot): void {
  disk.rot(spot.path, spot.position + 8);
}

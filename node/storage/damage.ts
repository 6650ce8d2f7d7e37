/** The error that names a damaged place of a replica (DESIGN D1). */
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import { ARENA_BYTES, arenaPath } from './geometry.ts';
import type { BlockRef } from './replicaRecord.ts';

export interface DamagedSpot {
  readonly segmentId: number;
  /** The first offset that cannot be read. */
  readonly offset: number;
  readonly block: BlockRef | undefined;
  /** The position in the block. */
  readonly position: number;
  readonly problem: string;
}

/**
 * The problem of a place that the disk cannot read: what is there may be anything (DESIGN R3), so it is damage of this
 * replica, and of no other.
 */
export function unreadable(error: unknown): string {
  if (!isWalrusError(error, 'DISK_FAILED')) throw error;
  return `it cannot be read (${error.message})`;
}

/** Names segment, offset, file and position. */
export function damageError(spot: DamagedSpot): WalrusError {
  const address = spot.block?.address ?? 0;
  const file = arenaPath(Math.floor(address / ARENA_BYTES));
  const position = (address % ARENA_BYTES) + spot.position;
  const message =
    `Segment ${spot.segmentId} is damaged at offset ${spot.offset} ` +
    `(${file}, position ${position}): ${spot.problem}; read it from another replica`;
  return new WalrusError('CORRUPT_SEGMENT', message, {
    details: { segmentId: spot.segmentId, offset: spot.offset, file, position },
  });
}

/** The error that names a damaged place of a replica (DESIGN D1). */
import { WalrusError } from '../../base/errors.ts';
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

/** What of a damaged copy can be answered for: read to its end, so that no body in it is damaged, too (DESIGN S4, D1). */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { MIB } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import type { Replica, ReplicaTail } from '../storage/types.ts';

/** Read in one turn of the event loop. */
const SLICE_BYTES = MIB;

/**
 * Reads a copy up to where it is believed to be sound. Damage that this finds ends it there.
 * @param done - Called once: with that end, or with why there is none to be told.
 */
export function readSound(
  replica: Replica,
  clock: Clock,
  done: (error: WalrusError | null, tail: ReplicaTail | null) => void,
): void {
  /** Each damage lies below the one before, so that this comes to an end. */
  let lowest = Infinity;
  const step = (from: Offset): void => {
    try {
      const sound = replica.soundTail();
      if (from >= sound.tail) {
        done(null, sound);
        return;
      }
      const { nextOffset } = replica.read(from, sound.tail, SLICE_BYTES);
      clock.defer(() => step(nextOffset));
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const at = Number(error.details['offset'] ?? Infinity);
      const isLower = error.code === 'CORRUPT_SEGMENT' && at < lowest;
      lowest = Math.min(lowest, at);
      if (isLower) clock.defer(() => step(from));
      else done(error, null);
    }
  };
  step(replica.baseOffset);
}

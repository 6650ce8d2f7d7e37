/**
 * The producers' state at an offset of a stored replica, folded from its snapshot and its records. A segment may have a
 * gigabyte: it is folded piece by piece with turns between, once for all who ask meanwhile, and the newest results are kept.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import type { Replica } from '../storage/types.ts';
import { ProducerStates } from './producerStates.ts';

/** Bytes folded in one turn. */
export const FOLD_SLICE_BYTES = 1024 * 1024;
/** Results that are kept, those under way among them; each is what one snapshot takes. */
export const FOLD_COUNT_MAX = 64;

interface Fold {
  readonly end: Offset;
  readonly snapshot: Promise<Uint8Array>;
}

export class ProducerFolds {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #folds = new Map<SegmentId, Fold>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The encoded state of everything below `end`, a batch boundary of the replica.
   * @throws {WalrusError} As Replica.read; REPLICA_UNKNOWN when no batch ends there.
   */
  at(replica: Replica, end: Offset): Promise<Uint8Array> {
    const { segmentId } = replica;
    const found = this.#folds.get(segmentId);
    if (found?.end === end) return found.snapshot;
    const fold: Fold = { end, snapshot: this.#fold(replica, end) };
    fold.snapshot.catch(() => {
      if (this.#folds.get(segmentId) === fold) this.#folds.delete(segmentId);
    });
    this.#folds.delete(segmentId); // back in as the newest
    this.#folds.set(segmentId, fold);
    for (const oldest of this.#folds.keys()) {
      if (this.#folds.size <= FOLD_COUNT_MAX) break;
      this.#folds.delete(oldest);
    }
    return fold.snapshot;
  }

  async #fold(replica: Replica, end: Offset): Promise<Uint8Array> {
    const producers = ProducerStates.decode(replica.producerSnapshot);
    for (let at = replica.baseOffset; at < end;) {
      const { bytes, nextOffset } = replica.read(at, end, FOLD_SLICE_BYTES);
      if (nextOffset === at) {
        const message = `No batch of segment ${replica.segmentId} ends at offset ${end} here`;
        throw new WalrusError('REPLICA_UNKNOWN', message);
      }
      producers.recordAll(bytes, at);
      at = nextOffset;
      if (at < end) await this.#turn();
    }
    return producers.encode();
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(0, resolve));
  }
}

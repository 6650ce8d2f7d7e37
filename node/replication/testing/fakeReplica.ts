/** A replica in memory whose durability a test decides. */
import { WalrusError } from '../../../base/errors.ts';
import { offset } from '../../../base/units.ts';
import type { Offset, SegmentId } from '../../../base/units.ts';
import { concatBytes } from '../../../base/bytes.ts';
import { baseOffsetOf, nextOffsetOf } from '../../../protocol/recordBatch.ts';
import type { AppendCredentials, ReadResult, Replica, ReplicaTail } from '../../storage/types.ts';

export class FakeReplica implements Replica {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly baseOffset: Offset;
  readonly producerSnapshot = new Uint8Array([1]);
  durableTail: Offset;
  fenceEpoch = 0;
  readonly damage = null;
  readonly batches: Uint8Array[] = [];
  #tail: Offset;
  #listener: (durableTail: Offset) => void = () => undefined;

  constructor(segmentId: SegmentId, token: string, baseOffset: Offset) {
    this.segmentId = segmentId;
    this.token = token;
    this.baseOffset = baseOffset;
    this.durableTail = baseOffset;
    this.#tail = baseOffset;
  }

  get tail(): Offset {
    return this.#tail;
  }

  get sizeBytes(): number {
    return this.batches.reduce((sum, batch) => sum + batch.length, 0);
  }

  append(batch: Uint8Array, credentials: AppendCredentials): Offset {
    if (credentials.epoch < this.fenceEpoch) throw new WalrusError('FENCED', 'fenced');
    if (baseOffsetOf(batch) !== this.#tail) throw new WalrusError('OUT_OF_ORDER_APPEND', 'gap');
    this.batches.push(batch.slice());
    this.#tail = nextOffsetOf(batch);
    return this.#tail;
  }

  /** Everything appended so far becomes durable. */
  sync(): void {
    this.durableTail = this.#tail;
    this.#listener(this.durableTail);
  }

  fence(epoch: number, done: (error: WalrusError | null, tail: ReplicaTail | null) => void): void {
    this.fenceEpoch = epoch;
    done(null, { tail: this.#tail, digest: '' });
  }

  soundTail(): ReplicaTail {
    return { tail: this.#tail, digest: '' };
  }

  learnProducers(): void {
    throw new WalrusError('CORRUPT_SEGMENT', 'it knows them');
  }

  digestAt(end: Offset): string | null {
    const isBoundary = end === this.baseOffset || this.batches.some((b) => nextOffsetOf(b) === end);
    return isBoundary ? end.toString(16).padStart(16, '0') : null;
  }

  read(from: Offset, limit: Offset): ReadResult {
    const found = this.batches.filter((b) => baseOffsetOf(b) >= from && nextOffsetOf(b) <= limit);
    const last = found.at(-1);
    return {
      bytes: concatBytes(found),
      nextOffset: last === undefined ? from : offset(nextOffsetOf(last)),
    };
  }

  scrub(from: Offset): ReadResult {
    return this.read(from, this.#tail);
  }

  condemn(): void {
    // Nothing of it can be damaged.
  }

  findByTime(): Offset | null {
    return null;
  }

  onDurable(listener: (durableTail: Offset) => void): void {
    this.#listener = listener;
  }
}

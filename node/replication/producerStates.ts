/**
 * Idempotence of one partition: which batches of which producers its log holds (KIP-98).
 *
 * The state is a function of the log: folding every batch of the partition, in order, from an empty state gives
 * the same state on every replica. So a new leader has it from a snapshot at its base offset and the log above,
 * and a repeat of an acknowledged batch is recognised across rolls, crashes and elections.
 *
 * A producer that was forgotten to make room is never accepted again: ids are given out in rising order, so all ids
 * up to the highest forgotten one that are not known are refused. Otherwise a late repeat of a forgotten producer's
 * first batch would be stored twice (ADR 0111). What is forgotten depends on the log only, too.
 */
import { assert } from '../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import {
  baseSequenceOf,
  producerEpochOf,
  producerIdOf,
  recordsCountOf,
  splitBatches,
} from '../../protocol/recordBatch.ts';

/** Batches of a producer that may be in flight at once, so that may be repeated (KIP-98). */
export const REPEATABLE_BATCH_COUNT_MAX = 5;
/** Producers kept for a partition; beyond it the one that wrote longest ago is forgotten. */
export const PRODUCER_COUNT_MAX = 1000;
/** Sequences are 31-bit and wrap to 0. */
const SEQUENCE_COUNT = 2 ** 31;
const SNAPSHOT_VERSION = 1;

/** What idempotence needs of a batch's header. `producerId` is -1 for a producer that does not want it. */
export interface ProducerBatch {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordsCount: number;
}

/** Reads these from the header of the batch at `at`. */
export function producerBatchOf(bytes: Uint8Array, at: number): ProducerBatch {
  return {
    producerId: producerIdOf(bytes, at),
    producerEpoch: producerEpochOf(bytes, at),
    baseSequence: baseSequenceOf(bytes, at),
    recordsCount: recordsCountOf(bytes, at),
  };
}

export type SequenceVerdict =
  | { readonly type: 'Accept' }
  /** The log holds this very batch already, at `baseOffset`. */
  | { readonly type: 'Duplicate'; readonly baseOffset: Offset }
  | { readonly type: 'Refuse'; readonly error: WalrusError };

interface StoredBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: Offset;
}

interface Producer {
  readonly producerId: number;
  epoch: number;
  /** Oldest first, 1..REPEATABLE_BATCH_COUNT_MAX of them. */
  batches: StoredBatch[];
}

const ACCEPT: SequenceVerdict = { type: 'Accept' };

function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCE_COUNT;
}

export class ProducerStates {
  /** In the order of their last batch: the first one is the one to forget. */
  readonly #producers = new Map<number, Producer>();
  /** The highest id that was forgotten; -1 for none. */
  #forgottenId = -1;

  /** The number of producers known. */
  get size(): number {
    return this.#producers.size;
  }

  /** Says whether a batch may be appended next. Does not change the state. */
  check(batch: ProducerBatch): SequenceVerdict {
    if (batch.producerId < 0) return ACCEPT;
    const producer = this.#producers.get(batch.producerId);
    if (producer === undefined) {
      if (batch.baseSequence === 0 && batch.producerId > this.#forgottenId) return ACCEPT;
      return refuse(
        'UNKNOWN_PRODUCER',
        batch,
        'this partition does not know the producer (any more)',
      );
    }
    if (batch.producerEpoch < producer.epoch) {
      return refuse('PRODUCER_FENCED', batch, `a newer one with epoch ${producer.epoch} took over`);
    }
    if (batch.producerEpoch > producer.epoch) {
      if (batch.baseSequence === 0) return ACCEPT;
      return refuse('OUT_OF_ORDER_SEQUENCE', batch, 'a new epoch must begin with sequence 0');
    }
    return checkSequence(producer, batch);
  }

  /** Records a batch that was appended to the log. `check` would have said Accept. */
  record(batch: ProducerBatch, baseOffset: Offset): void {
    if (batch.producerId < 0) return;
    const known = this.#producers.get(batch.producerId);
    const producer = known ?? {
      producerId: batch.producerId,
      epoch: batch.producerEpoch,
      batches: [],
    };
    assert(
      batch.producerEpoch >= producer.epoch,
      'A log never goes back to an older producer epoch',
    );
    if (batch.producerEpoch > producer.epoch) {
      producer.epoch = batch.producerEpoch;
      producer.batches = [];
    }
    const lastSequence = sequenceAfter(batch.baseSequence, batch.recordsCount - 1);
    producer.batches.push({ firstSequence: batch.baseSequence, lastSequence, baseOffset });
    if (producer.batches.length > REPEATABLE_BATCH_COUNT_MAX) producer.batches.shift();
    this.#producers.delete(batch.producerId); // back in as the newest
    this.#producers.set(batch.producerId, producer);
    this.#forgetOldest();
  }

  /** Records every batch of a piece of the log that begins at `from`. */
  recordAll(batches: Uint8Array, from: Offset): void {
    let at = from;
    for (const bytes of splitBatches(batches)) {
      const batch = producerBatchOf(bytes, 0);
      this.record(batch, at);
      at = offset(at + batch.recordsCount);
    }
  }

  #forgetOldest(): void {
    if (this.#producers.size <= PRODUCER_COUNT_MAX) return;
    for (const oldest of this.#producers.keys()) {
      this.#producers.delete(oldest);
      this.#forgottenId = Math.max(this.#forgottenId, oldest);
      return;
    }
  }

  /**
   * The state as bytes, the same for the same state:
   *
   * | field | type |
   * |---|---|
   * | version | u8 = 1 |
   * | forgotten | u64: ids below it that are not listed are refused |
   * | producers | u32 count, oldest first, each: |
   * | producerId | u64 |
   * | epoch | u16 |
   * | batches | u32 count (1..5), each: firstSequence u32, lastSequence u32, baseOffset u64 |
   */
  encode(): Uint8Array {
    const writer = new ByteWriter(64);
    writer.u8(SNAPSHOT_VERSION).u64(this.#forgottenId + 1);
    writer.list([...this.#producers.values()], (w, producer) => {
      w.u64(producer.producerId).u16(producer.epoch);
      w.list(producer.batches, (b, batch) =>
        b.u32(batch.firstSequence).u32(batch.lastSequence).u64(batch.baseOffset),
      );
    });
    return writer.finish();
  }

  /**
   * The state from `encode`; empty bytes give the empty state of a new partition.
   * @throws {WalrusError} MALFORMED, UNSUPPORTED_VERSION
   */
  static decode(bytes: Uint8Array): ProducerStates {
    const states = new ProducerStates();
    if (bytes.length === 0) return states;
    const reader = new ByteReader(bytes, 'producer snapshot');
    const version = reader.u8();
    if (version !== SNAPSHOT_VERSION) {
      throw new WalrusError(
        'UNSUPPORTED_VERSION',
        `Cannot read a producer snapshot of version ${version}: this build reads ${SNAPSHOT_VERSION}`,
      );
    }
    states.#forgottenId = reader.u64() - 1;
    const producers = reader.list(readProducer);
    reader.end();
    for (const producer of producers) states.#producers.set(producer.producerId, producer);
    return states;
  }
}

function readProducer(reader: ByteReader): Producer {
  const producerId = reader.u64();
  const epoch = reader.u16();
  const batches = reader.list((r) => ({
    firstSequence: r.u32(),
    lastSequence: r.u32(),
    baseOffset: readOffset(r),
  }));
  if (batches.length < 1 || batches.length > REPEATABLE_BATCH_COUNT_MAX) {
    reader.fail(`producer ${producerId} has ${batches.length} batches`);
  }
  return { producerId, epoch, batches };
}

function readOffset(reader: ByteReader): Offset {
  return offset(reader.u64());
}

function checkSequence(producer: Producer, batch: ProducerBatch): SequenceVerdict {
  const lastSequence = sequenceAfter(batch.baseSequence, batch.recordsCount - 1);
  for (const stored of producer.batches) {
    if (stored.firstSequence === batch.baseSequence && stored.lastSequence === lastSequence) {
      return { type: 'Duplicate', baseOffset: stored.baseOffset };
    }
  }
  const last = producer.batches.at(-1);
  assert(last !== undefined, 'A known producer has at least one batch');
  const expected = sequenceAfter(last.lastSequence, 1);
  if (batch.baseSequence === expected) return ACCEPT;
  return refuse('OUT_OF_ORDER_SEQUENCE', batch, `its next sequence is ${expected}`);
}

function refuse(
  code: 'UNKNOWN_PRODUCER' | 'PRODUCER_FENCED' | 'OUT_OF_ORDER_SEQUENCE',
  batch: ProducerBatch,
  why: string,
): SequenceVerdict {
  const message =
    `Cannot append sequence ${batch.baseSequence} of producer ${batch.producerId} ` +
    `(epoch ${batch.producerEpoch}): ${why}`;
  return { type: 'Refuse', error: new WalrusError(code, message) };
}

/** The log of a partition in memory, with the rules of idempotent producers (KIP-98). */
import { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import { writeInt64 } from '../../protocol/bigEndian.ts';
import type { FetchResult } from '../../protocol/client/fetch.ts';
import type { ProduceResponse } from '../../protocol/client/produce.ts';
import {
  BATCH_FIELD,
  SEQUENCE_MODULUS,
  nextOffsetOf,
  validateBatch,
  walkBatches,
} from '../../protocol/recordBatch.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';

interface Stored {
  readonly bytes: Uint8Array;
  readonly baseOffset: Offset;
  readonly nextOffset: Offset;
}

interface Producer {
  nextSequence: number;
  readonly recent: { readonly sequence: number; readonly baseOffset: Offset }[];
}

const REMEMBERED_COUNT = 5;

export class FakeLog {
  startOffset = 0 as Offset;
  endOffset = 0 as Offset;
  readonly batches: Stored[] = [];
  readonly #producers = new Map<number, Producer>();

  /** Takes batches, or says why not. */
  append(bytes: Uint8Array): ProduceResponse | WalrusError {
    const outcomes: ProduceResponse['batches'][number][] = [];
    const failures: WalrusError[] = [];
    walkBatches(bytes, (at, sizeBytes) => {
      const outcome = this.#appendOne(bytes.slice(at, at + sizeBytes));
      if (outcome instanceof WalrusError) failures.push(outcome);
      else outcomes.push(outcome);
    });
    return failures[0] ?? { batches: outcomes, logStartOffset: this.startOffset };
  }

  /** The producers are forgotten: as after their time is over. */
  forgetProducers(): void {
    this.#producers.clear();
  }

  /** Deletes the batches before an offset. */
  trim(startOffset: number): void {
    this.startOffset = startOffset as Offset;
    while (this.batches[0] !== undefined && this.batches[0].nextOffset <= startOffset) {
      this.batches.shift();
    }
  }

  read(offset: Offset, maxBytes: number): FetchResult {
    if (offset < this.startOffset || offset > this.endOffset) {
      return new WalrusError('OFFSET_OUT_OF_RANGE', `There is no offset ${offset}`);
    }
    const chosen: Stored[] = [];
    let sizeBytes = 0;
    for (const batch of this.batches) {
      if (batch.nextOffset <= offset) continue;
      if (chosen.length > 0 && sizeBytes + batch.bytes.length > maxBytes) break;
      chosen.push(batch);
      sizeBytes += batch.bytes.length;
    }
    const batches = new Uint8Array(sizeBytes);
    let at = 0;
    for (const { bytes } of chosen) {
      batches.set(bytes, at);
      at += bytes.length;
    }
    return {
      committedOffset: this.endOffset,
      logStartOffset: this.startOffset,
      nextOffset: chosen.at(-1)?.nextOffset ?? offset,
      batches,
    };
  }

  /** All values as text, in the order of the log. */
  values(): string[] {
    const values: string[] = [];
    for (const { bytes } of this.batches) {
      const records = new RecordIterator(bytes);
      while (records.next()) values.push(Buffer.from(records.value() ?? []).toString());
    }
    return values;
  }

  #appendOne(bytes: Uint8Array): ProduceResponse['batches'][number] | WalrusError {
    if (validateBatch(bytes, 0, bytes.length) !== null) {
      return new WalrusError('CORRUPT_BATCH', 'The batch is damaged');
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const producerId = Number(view.getBigInt64(BATCH_FIELD.PRODUCER_ID));
    const sequence = view.getInt32(BATCH_FIELD.BASE_SEQUENCE);
    let producer = this.#producers.get(producerId);
    if (producer === undefined) {
      if (sequence !== 0) return new WalrusError('UNKNOWN_PRODUCER', 'Not known any more');
      producer = { nextSequence: 0, recent: [] };
      this.#producers.set(producerId, producer);
    }
    const earlier = producer.recent.find((each) => each.sequence === sequence);
    if (earlier !== undefined) return { baseOffset: earlier.baseOffset, isDuplicate: true };
    if (sequence !== producer.nextSequence) {
      const message = `Wanted ${producer.nextSequence}, got ${sequence}`;
      return new WalrusError('OUT_OF_ORDER_SEQUENCE', message);
    }
    const baseOffset = this.endOffset;
    writeInt64(bytes, BATCH_FIELD.BASE_OFFSET, baseOffset);
    this.endOffset = nextOffsetOf(bytes, 0);
    this.batches.push({ bytes, baseOffset, nextOffset: this.endOffset });
    producer.nextSequence = (sequence + this.endOffset - baseOffset) % SEQUENCE_MODULUS;
    producer.recent.push({ sequence, baseOffset });
    if (producer.recent.length > REMEMBERED_COUNT) producer.recent.shift();
    return { baseOffset, isDuplicate: false };
  }
}

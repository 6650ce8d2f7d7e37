/** A record batch as a consumer hands it out. */
import type { Offset } from '../base/units.ts';
import type { RecordHeader } from '../protocol/recordBatchBuilder.ts';
import { RecordIterator } from '../protocol/recordIterator.ts';

/** A record with its place. Key and value are views of the batch. */
export interface ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: Offset;
  /** In ms since 1970. */
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

const NO_HEADERS: readonly RecordHeader[] = [];

export class ConsumedBatch {
  /** The whole batch in the format of protocol/recordBatch.ts. */
  readonly bytes: Uint8Array;
  readonly topic: string;
  readonly partition: number;
  /** The first record to be read: not always the first of `bytes`. */
  readonly firstOffset: Offset;
  /** The offset after the last record. */
  readonly nextOffset: Offset;

  constructor(
    bytes: Uint8Array,
    place: Pick<ConsumedBatch, 'topic' | 'partition' | 'firstOffset' | 'nextOffset'>,
  ) {
    this.bytes = bytes;
    this.topic = place.topic;
    this.partition = place.partition;
    this.firstOffset = place.firstOffset;
    this.nextOffset = place.nextOffset;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  /** How many records there are to read. */
  get recordsCount(): number {
    return this.nextOffset - this.firstOffset;
  }

  /**
   * Visits the records in order, without an object for each: the fast path.
   * @throws {WalrusError} CORRUPT_BATCH, UNSUPPORTED_VERSION (compressed).
   */
  forEach(visit: (record: RecordIterator) => void): void {
    const records = new RecordIterator(this.bytes);
    while (records.next()) if (records.offset >= this.firstOffset) visit(records);
  }

  /** The records as objects. */
  *toRecords(): Generator<ConsumedRecord, void, undefined> {
    const { topic, partition } = this;
    const records = new RecordIterator(this.bytes);
    while (records.next()) {
      const { offset, timestampMs } = records;
      if (offset < this.firstOffset) continue;
      const headers = records.headersCount === 0 ? NO_HEADERS : records.headers();
      const [key, value] = [records.key(), records.value()];
      yield { topic, partition, offset, timestampMs, key, value, headers };
    }
  }
}

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concatBytes, encodeUtf8, fromHex, toHex } from '../base/bytes.ts';
import { isWalrusError } from '../base/errors.ts';
import { offset } from '../base/units.ts';
import {
  BATCH_FIELD,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchSizeOf,
  computeBatchCrc,
  crcOf,
  isControl,
  isTransactional,
  lastOffsetDeltaOf,
  lastSequenceOf,
  maxTimestampOf,
  nextOffsetOf,
  partitionLeaderEpochOf,
  producerEpochOf,
  producerIdOf,
  recordsCountOf,
  setBaseOffset,
  setPartitionLeaderEpoch,
  splitBatches,
  validateBatch,
  walkBatches,
} from './recordBatch.ts';
import { writeInt16, writeInt32, writeInt64 } from './bigEndian.ts';
import type { NewRecord } from './recordBatchBuilder.ts';
import { RecordBatchBuilder } from './recordBatchBuilder.ts';
import { RecordIterator, checkRecords, forEachValue } from './recordIterator.ts';
import { fuzz } from './testing/fuzz.ts';

/** Made by kafkajs 2.2.4 (RecordBatch v0 of its encoder) from the records of `goldenRecords`. */
const GOLDEN =
  '000000000000000000000070ffffffff02bb97ece70000000000020000018bcfe568000000018bcfe56ddc' +
  '000000000000109200030000001100000003480000000a6b65792d311666697273742076616c7565040a74' +
  '72616365' +
  '06616263026e02781a00b81702010c7365636f6e640016000e040a6b65792d330100';

const goldenRecords: readonly NewRecord[] = [
  {
    timestampMs: 1700000000000,
    key: encodeUtf8('key-1'),
    value: encodeUtf8('first value'),
    headers: [
      { key: 'trace', value: encodeUtf8('abc') },
      { key: 'n', value: encodeUtf8('x') },
    ],
  },
  { timestampMs: 1700000001500, key: null, value: encodeUtf8('second'), headers: [] },
  { timestampMs: 1700000000007, key: encodeUtf8('key-3'), value: null, headers: [] },
];

const producer = { producerId: 4242, producerEpoch: 3, baseSequence: 17 };

function build(records: readonly NewRecord[], info?: typeof producer): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 2 ** 20, initialBytes: 128 });
  for (const record of records) expect(builder.append(record)).toBe(true);
  return builder.finish(info);
}

function readAll(batch: Uint8Array, at = 0) {
  const records = new RecordIterator(batch, at);
  const all = [];
  while (records.next()) {
    all.push({
      offset: records.offset,
      timestampMs: records.timestampMs,
      key: records.key(),
      value: records.value(),
      headers: records.headers(),
    });
  }
  return all;
}

const nullableBytes = fc.option(fc.uint8Array({ maxLength: 300 }));
const timestampMs = fc.oneof(
  fc.integer({ min: 1.7e12, max: 1.7e12 + 1e6 }),
  fc.integer({ min: 0, max: 2 ** 51 }),
);
const newRecord = fc.record({
  timestampMs,
  key: nullableBytes,
  value: nullableBytes,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: nullableBytes }), {
    maxLength: 3,
  }),
});
const newRecords = fc.array(newRecord, { minLength: 1, maxLength: 20 });

/** Changes a field of a batch and makes the CRC right again. */
function patched(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = fromHex(GOLDEN);
  change(bytes);
  writeInt32(bytes, BATCH_FIELD.CRC, computeBatchCrc(bytes, 0, bytes.length));
  return bytes;
}

describe('RecordBatchBuilder', () => {
  test('makes the same bytes as kafkajs', () => {
    expect(toHex(build(goldenRecords, producer))).toBe(GOLDEN);
  });

  test('makes sound batches that read back as what was appended', () => {
    fc.assert(
      fc.property(newRecords, (records) => {
        const batch = build(records);
        expect(validateBatch(batch, 0, batch.length)).toBe(null);
        expect(readAll(batch)).toEqual(records.map((record, i) => ({ ...record, offset: i })));
        expect([baseTimestampOf(batch), maxTimestampOf(batch)]).toEqual([
          records[0]?.timestampMs,
          Math.max(...records.map((record) => record.timestampMs)),
        ]);
      }),
    );
  });

  test('gives the same bytes on the fast path', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1 }),
        timestampMs,
        (values, time) => {
          const fast = new RecordBatchBuilder({ maxBytes: 2 ** 20, initialBytes: 64 });
          const ranges = new RecordBatchBuilder({ maxBytes: 2 ** 20 });
          const source = concatBytes(values);
          let at = 0;
          for (const value of values) {
            fast.appendValue(value, time);
            ranges.appendValueRange(source, at, { length: value.length, timestampMs: time });
            at += value.length;
          }
          const plain = build(values.map((value) => ({ timestampMs: time, value })));
          expect(fast.finish()).toEqual(plain);
          expect(ranges.finish()).toEqual(plain);
        },
      ),
    );
  });

  test('says when it is full, never goes over its limit, and refuses what never fits', () => {
    const builder = new RecordBatchBuilder({ maxBytes: 200 });
    const value = new Uint8Array(40);
    while (builder.appendValue(value, 1));
    expect([builder.count, builder.sizeBytes]).toEqual([2, BATCH_HEADER_BYTES + 2 * 47]);
    expect(builder.finish().length).toBe(155);
    expect([builder.isEmpty, builder.sizeBytes]).toEqual([true, BATCH_HEADER_BYTES]);
    expect(builder.appendValue(new Uint8Array(200 - 61 - 9), 1)).toBe(true);
    expect(builder.finish().length).toBe(200);
    expect(() => builder.appendValue(new Uint8Array(200 - 61 - 8), 1)).toThrow(
      'Cannot batch a record of 138 bytes: a batch may have 200 bytes',
    );
  });

  test('hands its bytes over: a later batch does not change an earlier one', () => {
    const builder = new RecordBatchBuilder({ maxBytes: 4096, initialBytes: 256 });
    const batches = [];
    for (let i = 0; i < 40; i += 1) {
      for (let n = 0; n <= i; n += 1) builder.appendValue(new Uint8Array(20).fill(i), i);
      batches.push(builder.finish());
    }
    for (const [i, batch] of batches.entries()) {
      expect(validateBatch(batch, 0, batch.length)).toBe(null);
      expect(readAll(batch).map((record) => record.value?.[0])).toEqual(new Array(i + 1).fill(i));
    }
  });

  test('builds in a buffer that came back, and takes each back once', () => {
    const builder = new RecordBatchBuilder({ maxBytes: 1000, initialBytes: 1000 });
    const value = new Uint8Array(700);
    builder.appendValue(value.fill(1), 0);
    const first = builder.finish();
    builder.appendValue(value.fill(2), 0);
    const second = builder.finish();
    expect(second.buffer).not.toBe(first.buffer);
    const copy = second.slice();
    builder.reuse(first);
    expect(() => builder.reuse(first)).toThrow('come back once');
    builder.appendValue(value.fill(3), 0); // into the buffer that the builder had
    builder.finish();
    builder.appendValue(value.fill(2), 0);
    const again = builder.finish();
    expect([again.buffer, again]).toEqual([first.buffer, copy]);
    expect(second).toEqual(copy);
  });

  test('gives a view with the same bytes, and uses the buffer again', () => {
    const owning = new RecordBatchBuilder({ maxBytes: 4096, initialBytes: 256 });
    const viewing = new RecordBatchBuilder({ maxBytes: 4096, initialBytes: 256 });
    const buffers = new Set<ArrayBuffer>();
    for (let i = 0; i < 40; i += 1) {
      for (let n = 0; n <= (7 * i) % 40; n += 1) {
        for (const each of [owning, viewing]) each.appendValue(new Uint8Array(20).fill(i), i);
      }
      const view = viewing.finishView({ ...producer, baseSequence: i });
      expect(view).toEqual(owning.finish({ ...producer, baseSequence: i }));
      expect([viewing.isEmpty, viewing.sizeBytes]).toEqual([true, BATCH_HEADER_BYTES]);
      buffers.add(view.buffer);
    }
    expect(buffers.size).toBeLessThan(5); // only while it grew
    expect(() => viewing.finishView()).toThrow('at least one record');
  });
});

describe('the header', () => {
  test('is read field by field', () => {
    const bytes = concatBytes([new Uint8Array(5), fromHex(GOLDEN)]);
    setBaseOffset(bytes, 5, offset(2 ** 40 + 7));
    setPartitionLeaderEpoch(bytes, 5, 12);
    expect({
      baseOffset: baseOffsetOf(bytes, 5),
      nextOffset: nextOffsetOf(bytes, 5),
      sizeBytes: batchSizeOf(bytes, 5),
      partitionLeaderEpoch: partitionLeaderEpochOf(bytes, 5),
      crc: crcOf(bytes, 5),
      lastOffsetDelta: lastOffsetDeltaOf(bytes, 5),
      recordsCount: recordsCountOf(bytes, 5),
      baseTimestamp: baseTimestampOf(bytes, 5),
      maxTimestamp: maxTimestampOf(bytes, 5),
      producerId: producerIdOf(bytes, 5),
      producerEpoch: producerEpochOf(bytes, 5),
      baseSequence: baseSequenceOf(bytes, 5),
      lastSequence: lastSequenceOf(bytes, 5),
      isTransactional: isTransactional(bytes, 5),
      isControl: isControl(bytes, 5),
    }).toEqual({
      baseOffset: 2 ** 40 + 7,
      nextOffset: 2 ** 40 + 10,
      sizeBytes: 124,
      partitionLeaderEpoch: 12,
      crc: 0xbb97ece7,
      lastOffsetDelta: 2,
      recordsCount: 3,
      baseTimestamp: 1700000000000,
      maxTimestamp: 1700000001500,
      producerId: 4242,
      producerEpoch: 3,
      baseSequence: 17,
      lastSequence: 19,
      isTransactional: false,
      isControl: false,
    });
    expect(validateBatch(bytes, 5, bytes.length)).toBe(null);
    expect(readAll(bytes, 5).map((record) => record.offset - 2 ** 40)).toEqual([7, 8, 9]);
  });

  test('says -1 where there is no producer, and wraps sequences', () => {
    const plain = build(goldenRecords);
    expect([producerIdOf(plain), producerEpochOf(plain), baseSequenceOf(plain)]).toEqual([
      -1, -1, -1,
    ]);
    expect(lastSequenceOf(plain)).toBe(-1);
    const wrapping = build(goldenRecords, { ...producer, baseSequence: 2 ** 31 - 1 });
    expect([baseSequenceOf(wrapping), lastSequenceOf(wrapping)]).toEqual([2 ** 31 - 1, 1]);
  });
});

describe('validateBatch()', () => {
  test('finds every changed byte but those that nodes may patch', () => {
    const intact = fromHex(GOLDEN);
    const unprotected = new Set([...Array(8).keys(), 12, 13, 14, 15]);
    for (let at = 0; at < intact.length; at += 1) {
      for (const flip of [1, 0x80]) {
        const bytes = intact.slice();
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const isFound = validateBatch(bytes, 0, bytes.length) !== null;
        // the base offset's top bits leave the range of offsets
        const isPatchable = unprotected.has(at) && !(at < 2 && isFound);
        expect([at, flip, isFound]).toEqual([at, flip, !isPatchable]);
      }
    }
  });

  test('calls every cut INCOMPLETE, and looks no further than its limit', () => {
    const bytes = concatBytes([fromHex(GOLDEN), fromHex(GOLDEN)]);
    for (let limit = 0; limit < bytes.length / 2; limit += 1) {
      expect([limit, validateBatch(bytes, 0, limit)?.kind]).toEqual([limit, 'INCOMPLETE']);
    }
    expect(validateBatch(bytes, 0, bytes.length / 2)).toBe(null);
  });

  test.each([
    ['MAGIC', 'magic', (b: Uint8Array) => void (b[BATCH_FIELD.MAGIC] = 1)],
    ['LENGTH', 'fewer than', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.BATCH_LENGTH, 48)],
    ['LENGTH', 'fewer than', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.BATCH_LENGTH, -1)],
    ['COUNT', '0 records', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.RECORDS_COUNT, 0)],
    ['COUNT', 'Delta 2', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.RECORDS_COUNT, 4)],
    ['COUNT', 'Delta 5', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.LAST_OFFSET_DELTA, 5)],
    [
      'COUNT',
      'do not fit',
      (b: Uint8Array) => {
        writeInt32(b, BATCH_FIELD.RECORDS_COUNT, 10);
        writeInt32(b, BATCH_FIELD.LAST_OFFSET_DELTA, 9);
      },
    ],
    ['FIELD', 'base offset', (b: Uint8Array) => writeInt64(b, BATCH_FIELD.BASE_OFFSET, -1)],
    ['FIELD', 'highest', (b: Uint8Array) => writeInt64(b, BATCH_FIELD.BASE_OFFSET, 2 ** 53 - 2)],
    ['FIELD', 'timestamp', (b: Uint8Array) => writeInt64(b, BATCH_FIELD.MAX_TIMESTAMP, 2 ** 52)],
    ['FIELD', 'compression', (b: Uint8Array) => writeInt16(b, BATCH_FIELD.ATTRIBUTES, 5)],
    ['FIELD', 'producer id -2', (b: Uint8Array) => writeInt64(b, BATCH_FIELD.PRODUCER_ID, -2)],
    ['FIELD', 'epoch', (b: Uint8Array) => writeInt16(b, BATCH_FIELD.PRODUCER_EPOCH, -1)],
    ['FIELD', 'sequence', (b: Uint8Array) => writeInt32(b, BATCH_FIELD.BASE_SEQUENCE, -1)],
  ])('names the problem %s: %s', (kind, message, change) => {
    const bytes = patched(change);
    expect(validateBatch(bytes, 0, bytes.length)).toEqual({
      kind,
      message: expect.stringContaining(message),
    });
  });
});

describe('RecordIterator', () => {
  test('passes compressed batches as sound but does not read them', () => {
    const bytes = patched((b) => writeInt16(b, BATCH_FIELD.ATTRIBUTES, 4));
    expect(validateBatch(bytes, 0, bytes.length)).toBe(null);
    expect(() => new RecordIterator(bytes)).toThrow('records compressed with zstd');
  });

  test('gives every record the time of the append where the log sets it', () => {
    const bytes = patched((b) => writeInt16(b, BATCH_FIELD.ATTRIBUTES, 8));
    expect(readAll(bytes).map((record) => record.timestampMs)).toEqual(
      new Array(3).fill(1700000001500),
    );
  });

  /** Reads a batch with foreign bytes behind it; false when it is refused. */
  function readsOnlyInside(batch: Uint8Array, outside: number): boolean {
    const bytes = new Uint8Array(batch.length + 64).fill(outside);
    bytes.set(batch);
    try {
      const values = readAll(bytes).map((record) => record.value ?? new Uint8Array(0));
      expect(values.some((value) => value.includes(outside))).toBe(false);
      return true;
    } catch (error) {
      if (!isWalrusError(error, 'CORRUPT_BATCH')) throw error;
      return false;
    }
  }

  test('refuses damage in any record with a typed error, and never reads outside the batch', () => {
    let refused = 0;
    for (let at = BATCH_HEADER_BYTES; at < GOLDEN.length / 2; at += 1) {
      for (let value = 0; value < 256; value += 3) {
        const batch = fromHex(GOLDEN);
        batch[at] = value;
        if (!readsOnlyInside(batch, 0xaa)) refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  test.each([
    ['is left over', 'left over', (b: Uint8Array) => writeInt32(b, 8, b.length - 12)],
    ['has a gap in its offsets', 'offsetDelta is 5', (b: Uint8Array) => void (b[102] = 10)],
  ])('refuses a batch that %s', (_name, message, change) => {
    const longer = concatBytes([fromHex(GOLDEN), new Uint8Array(3)]);
    change(longer);
    expect(() => checkRecords(longer, 0)).toThrow(message);
  });

  test('forEachValue() gives the values as ranges', () => {
    const bytes = fromHex(GOLDEN);
    const seen: (string | null)[] = [];
    forEachValue(bytes, 0, (start, length) =>
      seen.push(length < 0 ? null : Buffer.from(bytes.slice(start, start + length)).toString()),
    );
    expect(seen).toEqual(['first value', 'second', null]);
  });

  test('survives damaged batches', () => {
    const inputs = [
      fromHex(GOLDEN),
      ...fc.sample(newRecords, { numRuns: 20, seed: 1 }).map((r) => build(r)),
    ];
    const result = fuzz(1, inputs, (bytes) => readAll(bytes));
    expect(result.refused).toBeGreaterThan(result.accepted / 10);
    fuzz(2, inputs, (bytes) => validateBatch(bytes, 0, bytes.length));
  });
});

describe('concatenations', () => {
  test('are cut into their batches', () => {
    fc.assert(
      fc.property(fc.array(newRecords, { maxLength: 5 }), (lists) => {
        const batches = lists.map((records) => build(records));
        const joined = concatBytes(batches);
        expect(splitBatches(joined)).toEqual(batches);
        const places: number[] = [];
        expect(walkBatches(joined, (at, sizeBytes) => places.push(at, sizeBytes))).toBe(null);
        expect(places).toEqual(
          batches.flatMap((batch, i) => [concatBytes(batches.slice(0, i)).length, batch.length]),
        );
      }),
    );
  });

  test('with a rest are refused', () => {
    const bytes = concatBytes([fromHex(GOLDEN), fromHex(GOLDEN).subarray(0, 70)]);
    expect(walkBatches(bytes, () => undefined)?.kind).toBe('INCOMPLETE');
    expect(() => splitBatches(bytes)).toThrow('Cannot use a record batch: the batch states 124');
  });

  test('survive damage', () => {
    const golden = fromHex(GOLDEN);
    fuzz(3, [concatBytes([golden, golden, golden])], (bytes) => {
      splitBatches(bytes).forEach((batch) => validateBatch(batch, 0, batch.length));
      walkBatches(bytes, () => undefined);
    });
  });
});

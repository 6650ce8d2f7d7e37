/** The disk formats of the storage engine survive damage, with a right checksum, too. */
import { expect, test } from '@jest/globals';
import { ByteWriter } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { nodeId } from '../../base/units.ts';
import { fuzz } from '../../protocol/testing/fuzz.ts';
import {
  BLOCK_DATA_START,
  MARK_START,
  decodeBlockHeader,
  decodeMark,
  encodeBlockHeader,
  encodeMark,
} from './blockHeader.ts';
import { catalogRecordLength, readCatalogRecord, writeCatalogRecord } from './catalogRecord.ts';
import type { CatalogRecord } from './catalogRecord.ts';
import { FRAME_PEEK_BYTES, decodeFrame, encodeFrame, frameBytes, newFrame } from './frame.ts';
import { decodeSuperblock, encodeSuperblock } from './superblock.ts';
import { makeBatch } from './testing/batches.ts';

const ID = '0123456789abcdef0123456789abcdef';
const EPOCH = { boot: 3, count: 4 };

/** At least `size` bytes: what is read from a file at a fixed place is never shorter. */
function padded(bytes: Uint8Array, size: number): Uint8Array {
  const whole = new Uint8Array(Math.max(size, bytes.length));
  whole.set(bytes);
  return whole;
}

/** The same bytes with the checksum over `from`..`end` at `at` made right. */
function sealed(bytes: Uint8Array, at: number, from: number, end = bytes.length): Uint8Array {
  new DataView(bytes.buffer).setUint32(at, crc32c(bytes.subarray(from, end)), true);
  return bytes;
}

test('superblocks survive damage', () => {
  const superblock = encodeSuperblock({
    formatVersion: 1,
    clusterId: ID,
    diskId: ID,
    nodeId: nodeId(1),
    bootEpoch: 5,
    bootNonce: ID,
    writes: 6,
    isRegistered: true,
  });
  const size = superblock.length;
  fuzz(1, [superblock], (bytes) => decodeSuperblock(padded(bytes, size)));
  fuzz(2, [superblock], (bytes) => {
    const whole = padded(bytes, size);
    const crc = crc32c(whole.subarray(16, size), crc32c(whole.subarray(0, 12)));
    new DataView(whole.buffer).setUint32(12, crc, true);
    decodeSuperblock(whole);
  });
});

test('records of the catalog survive damage', () => {
  const records: CatalogRecord[] = [
    {
      kind: 'CREATE',
      segmentId: 1,
      replica: {
        segmentId: 1,
        token: ID,
        baseOffset: 5,
        fenceEpoch: 0,
        producerSnapshot: new Uint8Array([1, 2, 3]),
        blocks: [],
      },
    },
    { kind: 'FENCE', segmentId: 1, epoch: 2 },
    {
      kind: 'ALLOCATE',
      segmentId: 1,
      block: { address: 4096, blockClass: 1, boot: 1, count: 2, end: 0 },
    },
    { kind: 'TRIM', segmentId: 1, blockCount: 3 },
    { kind: 'DELETE', segmentId: 1 },
    { kind: 'MARK', segmentId: 0 },
    { kind: 'PRODUCERS', segmentId: 1, snapshot: new Uint8Array([4, 5]) },
  ];
  const inputs = records.map((record) => {
    const writer = new ByteWriter();
    writeCatalogRecord(writer, record, 77);
    return writer.finish();
  });
  for (const input of inputs) expect(catalogRecordLength(input, 0)).toBe(input.length);
  fuzz(1, inputs, (bytes) => {
    const length = catalogRecordLength(bytes, 0);
    if (length > 0) readCatalogRecord(bytes.subarray(0, length));
  });
  fuzz(2, inputs, (bytes) => readCatalogRecord(bytes));
});

test('headers and marks of blocks survive damage', () => {
  const block = new Uint8Array(BLOCK_DATA_START);
  encodeBlockHeader(block, 0, {
    epoch: EPOCH,
    segmentId: 9,
    sequence: 1,
    sizeBytes: 4096,
    startOffset: 100,
    digestHigh: 1,
    digestLow: 2,
  });
  block.set(encodeMark(EPOCH, 2000), MARK_START);
  expect([decodeBlockHeader(block)?.segmentId, decodeMark(block, EPOCH)]).toEqual([9, 2000]);
  fuzz(1, [block], (bytes) => {
    const whole = padded(bytes, BLOCK_DATA_START);
    decodeBlockHeader(whole);
    decodeMark(whole, EPOCH);
  });
});

test('frames survive damage, with a right checksum, too', () => {
  const batch = makeBatch(100, { count: 3 });
  const size = frameBytes(batch.length);
  const input = new Uint8Array(size);
  const header = { epoch: EPOCH, position: 0, syncedPlace: 0, digestHigh: 1, digestLow: 2 };
  encodeFrame(input, 0, header, batch);
  const decode = (bytes: Uint8Array): boolean => {
    const view = new DataView(bytes.buffer);
    const spot = { bytes, view, at: 0, epoch: EPOCH, position: 0, capacity: 2 ** 20 };
    return decodeFrame(spot, newFrame());
  };
  expect(decode(input.slice())).toBe(true);
  fuzz(1, [input], (bytes) => decode(padded(bytes, FRAME_PEEK_BYTES)));
  fuzz(2, [input], (bytes) =>
    decode(sealed(padded(bytes, FRAME_PEEK_BYTES), 4, 8, FRAME_PEEK_BYTES)),
  );
});

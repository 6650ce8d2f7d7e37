/** What Raft has on disk survives damage, with a right checksum, too. */
import { expect, test } from '@jest/globals';
import { ByteWriter } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { logIndex, term } from '../../../base/units.ts';
import { fuzz } from '../../../protocol/testing/fuzz.ts';
import { BOOT_TABLE_HEADER_BYTES, decodeBootTable, encodeBootTable } from '../boot/bootTable.ts';
import { decodeConfiguration, encodeConfiguration } from '../configuration.ts';
import { idOf, memberOf } from '../testing/simCluster.ts';
import {
  HEADER_BYTES,
  RECORD_HEADER_BYTES,
  decodeHeader,
  encodeHeader,
  readRecord,
  seedOf,
  writeRecord,
} from './format.ts';

const NONCE = 'a'.repeat(32);

function padded(bytes: Uint8Array, size: number): Uint8Array {
  const whole = new Uint8Array(Math.max(size, bytes.length));
  whole.set(bytes);
  return whole;
}

/** The same bytes with a checksum at `at`. */
function sealed(bytes: Uint8Array, at: number, crc: number): Uint8Array {
  new DataView(bytes.buffer).setUint32(at, crc, true);
  return bytes;
}

test('headers of log segments survive damage', () => {
  const header = encodeHeader({
    sequence: 3,
    previousEnd: 4096,
    currentTerm: term(7),
    votedFor: idOf(2),
    lastIndex: logIndex(9),
    lastTerm: term(6),
  });
  expect(decodeHeader(header, 'log').sequence).toBe(3);
  fuzz(1, [header], (bytes) => decodeHeader(bytes, 'log'));
  fuzz(2, [header], (bytes) => {
    const whole = padded(bytes, HEADER_BYTES);
    decodeHeader(sealed(whole, 8, crc32c(whole.subarray(12, HEADER_BYTES))), 'log');
  });
});

test('records of the log survive damage', () => {
  const seed = seedOf(3);
  const writer = new ByteWriter();
  const payload = new Uint8Array([1, 2, 3, 4, 5]);
  writeRecord(writer, { type: 1, entryType: 1, syncedTo: 512, term: 4, index: 5, payload }, seed);
  const record = writer.finish();
  expect(readRecord(record, 0, seed)?.index).toBe(5);
  fuzz(1, [record], (bytes) => readRecord(bytes, 0, seed));
  fuzz(2, [record], (bytes) => {
    const whole = padded(bytes, RECORD_HEADER_BYTES);
    const length = new DataView(whole.buffer).getUint32(4, true);
    const end = Math.min(whole.length, RECORD_HEADER_BYTES + length);
    readRecord(sealed(whole, 0, crc32c(whole.subarray(4, end), seed)), 0, seed);
  });
});

test('tables of boots survive damage', () => {
  const boot = { epoch: 5, nonce: NONCE };
  const table = encodeBootTable({
    writes: 3,
    own: { ...boot, isAdmitted: true },
    heard: new Map([
      [idOf(2), boot],
      [idOf(3), boot],
    ]),
  });
  expect(decodeBootTable(table)?.heard.size).toBe(2);
  fuzz(1, [table], decodeBootTable);
  fuzz(2, [table], (bytes) => {
    const whole = padded(bytes, BOOT_TABLE_HEADER_BYTES);
    const length = Math.min(whole.length, new DataView(whole.buffer).getUint32(16, true));
    decodeBootTable(sealed(whole, 8, crc32c(whole.subarray(12, Math.max(length, 12)))));
  });
});

test('configurations survive damage', () => {
  const configuration = { voters: [memberOf(1), memberOf(2)], learners: [memberOf(3)] };
  fuzz(1, [encodeConfiguration(configuration)], decodeConfiguration);
});

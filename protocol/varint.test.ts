import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isWalrusError } from '../base/errors.ts';
import { VarintCursor, varintSize, varlongSize, writeVarint, writeVarlong } from './varint.ts';

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const wide = fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 });

describe('varints', () => {
  test('round-trip 32-bit values in the size that was announced', () => {
    fc.assert(
      fc.property(int32, (value) => {
        const bytes = new Uint8Array(16);
        const end = writeVarint(bytes, 3, value);
        const cursor = new VarintCursor(bytes, 3, end);
        expect([end - 3, cursor.varint(), cursor.at]).toEqual([varintSize(value), value, end]);
      }),
    );
  });

  test('round-trip values beyond 32 bits, and agree with the short form below', () => {
    fc.assert(
      fc.property(fc.oneof(int32, wide), (value) => {
        const bytes = new Uint8Array(16);
        const end = writeVarlong(bytes, 0, value);
        const cursor = new VarintCursor(bytes, 0, end);
        expect([end, cursor.varlong(), cursor.at]).toEqual([varlongSize(value), value, end]);
      }),
    );
  });

  test.each([
    [0, '00'],
    [-1, '01'],
    [1, '02'],
    [63, '7e'],
    [-64, '7f'],
    [64, '8001'],
    [2147483647, 'feffffff0f'],
    [-2147483648, 'ffffffff0f'],
  ])('writes %d as the zigzag bytes %s', (value, hex) => {
    const bytes = new Uint8Array(8);
    const end = writeVarint(bytes, 0, value);
    expect(Buffer.from(bytes.subarray(0, end)).toString('hex')).toBe(hex);
  });

  test('refuse what is cut off or too long', () => {
    for (const [hex, read] of [
      ['80', 'varint'],
      ['', 'varint'],
      ['ffffffff1f', 'varint'],
      ['808080808000', 'varint'],
      ['80808080808080808080', 'varlong'],
      ['ffffffffffffffff7f', 'varlong'],
    ] as const) {
      const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
      const cursor = new VarintCursor(bytes, 0, bytes.length);
      let thrown: unknown;
      try {
        cursor[read]();
      } catch (error) {
        thrown = error;
      }
      expect([hex, isWalrusError(thrown, 'CORRUPT_BATCH')]).toEqual([hex, true]);
    }
  });

  test('and what they announce stay within the limit, though there are bytes behind it', () => {
    const cursor = new VarintCursor(new Uint8Array(20), 2, 10);
    expect([cursor.skip(8), cursor.at]).toEqual([2, 10]);
    expect(() => cursor.skip(1)).toThrow('1 bytes are announced and 0 left');
    expect(() => cursor.varint()).toThrow('it is cut off');
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader, ByteWriter, fromHex, toHex } from './bytes.ts';

describe('ByteWriter and ByteReader', () => {
  test('round-trip every kind of field', () => {
    const fields = fc.record({
      u8: fc.nat(255),
      u16: fc.nat(65535),
      u32: fc.nat(2 ** 32 - 1),
      u64: fc.nat(Number.MAX_SAFE_INTEGER),
      flag: fc.boolean(),
      text: fc.string({ unit: 'grapheme' }),
      bytes: fc.uint8Array(),
      list: fc.array(fc.nat(255)),
      maybe: fc.option(fc.nat(1000), { nil: undefined }),
    });
    fc.assert(
      fc.property(fields, (value) => {
        const writer = new ByteWriter(1);
        writer.u8(value.u8).u16(value.u16).u32(value.u32).u64(value.u64).bool(value.flag);
        writer
          .text(value.text)
          .bytes(value.bytes)
          .list(value.list, (w, item) => w.u8(item));
        writer.optional(value.maybe, (w, item) => w.u32(item));
        const reader = new ByteReader(writer.finish(), 'test');
        const back = {
          u8: reader.u8(),
          u16: reader.u16(),
          u32: reader.u32(),
          u64: reader.u64(),
          flag: reader.bool(),
          text: reader.text(),
          bytes: reader.bytes().slice(),
          list: reader.list((r) => r.u8()),
          maybe: reader.optional((r) => r.u32()),
        };
        reader.end();
        expect(back).toEqual(value);
      }),
    );
  });

  test('name what is missing instead of reading past the end', () => {
    expect(() => new ByteReader(new Uint8Array(3), 'frame').u32()).toThrow(
      'Cannot read a frame: it needs 4 more bytes at 0 and has 3',
    );
    expect(() => new ByteReader(new Uint8Array(8).fill(255), 'frame').u64()).toThrow('over 2^53-1');
    expect(() => {
      const reader = new ByteReader(new Uint8Array([9, 0, 0, 0, 1]), 'frame');
      reader.list((r) => r.u8());
    }).toThrow('a list of 9 items does not fit into 1 bytes');
  });
});

test('fromHex() is the inverse of toHex() and refuses other text', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(fromHex(toHex(bytes))).toEqual(bytes)));
  expect(() => fromHex('0g')).toThrow('Cannot read hex');
});

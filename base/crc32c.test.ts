import { describe, expect, test } from '@jest/globals';
import { crc32c as native } from '@node-rs/crc32';
import fc from 'fast-check';
import { encodeUtf8 } from './bytes.ts';
import { combineCrc32c, portableCrc32c } from './crc32c.ts';

describe('portableCrc32c()', () => {
  test('gives the check value of RFC 3720', () => {
    expect(portableCrc32c(encodeUtf8('123456789'), 0)).toBe(0xe3069283);
  });

  test('is combined from the checksums of two parts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(3000), (bytes, cut) => {
        const [first, second] = [bytes.subarray(0, cut), bytes.subarray(cut)];
        const combined = combineCrc32c(native(first), native(second), second.length);
        expect(combined).toBe(native(bytes));
      }),
    );
    const long = new Uint8Array(70_000_000).fill(7);
    expect(combineCrc32c(native(long), native(long), long.length)).toBe(native(long, native(long)));
  });

  test('equals the native checksum, whole and continued', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
        const whole = native(bytes);
        expect(portableCrc32c(bytes, 0)).toBe(whole);
        const first = portableCrc32c(bytes.subarray(0, cut), 0);
        expect(portableCrc32c(bytes.subarray(cut), first)).toBe(whole);
      }),
    );
  });
});

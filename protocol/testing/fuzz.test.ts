import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { SeededRandom } from '../../base/random.ts';
import { fuzz, fuzzCount, mutate } from './fuzz.ts';

const input = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

describe('fuzz()', () => {
  test('counts what is accepted and what is refused with a typed error', () => {
    const result = fuzz(1, [input], (bytes) => {
      if (bytes[0] !== 1) throw new WalrusError('MALFORMED', 'no');
    });
    expect(result.accepted + result.refused).toBe(fuzzCount());
    expect(Math.min(result.accepted, result.refused)).toBeGreaterThan(fuzzCount() / 20);
  });

  test('finds a decoder that fails in any other way, and says how to repeat it', () => {
    expect(() =>
      fuzz(7, [input], (bytes) => {
        if (bytes[3] === 0xff) throw new RangeError('planted');
      }),
    ).toThrow(/^fuzz with seed 7: run \d+, input [0-9a-f]+: planted$/);
  });

  test('makes the same inputs from the same seed, and leaves the original alone', () => {
    const series = (seed: number) => {
      const random = new SeededRandom(seed);
      return Array.from({ length: 50 }, () => Buffer.from(mutate(random, input)).toString('hex'));
    };
    expect(series(3)).toEqual(series(3));
    expect(series(3)).not.toEqual(series(4));
    expect([...input]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });
});

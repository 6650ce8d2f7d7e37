import { describe, expect, test } from '@jest/globals';
import { contains } from './containment.ts';

describe('amounts that the API server writes in its own way', () => {
  test('milli-units are what they were given as, without errors of rounding', () => {
    for (let milli = 1; milli <= 4000; milli += 1) {
      const given = String(milli / 1000);
      expect([given, contains(`${milli}m`, given)]).toEqual([given, true]);
      expect([given, contains(`${milli + 1}m`, given)]).toEqual([given, false]);
    }
  });

  test.each([
    ['1100M', '1.1G'],
    ['1800k', '1.8M'],
    ['1536Mi', '1.5Gi'],
    ['751619276800m', '0.7Gi'],
    ['1k', '1e3'],
    ['1500m', '15e-1'],
    ['2E', '2000P'],
    ['1Ei', '1024Pi'],
    ['5u', '5000n'],
    ['500m', '+.5'],
    ['1', '1.'],
    [1, '1000m'],
  ])('%s is %s', (actual, wanted) => {
    expect(contains(actual, wanted)).toBe(true);
  });

  test.each([
    ['1G', '1Gi'],
    ['1', '1001m'],
    ['v1', '1'],
    [true, '1'],
  ])('%s is not %s', (actual, wanted) => {
    expect(contains(actual, wanted)).toBe(false);
  });
});

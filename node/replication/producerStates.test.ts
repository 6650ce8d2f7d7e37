import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { offset } from '../../base/units.ts';
import { PRODUCER_COUNT_MAX, ProducerStates } from './producerStates.ts';

function batch(producerId: number, producerEpoch: number, baseSequence: number, recordsCount = 2) {
  return { producerId, producerEpoch, baseSequence, recordsCount };
}

function verdict(states: ProducerStates, ...args: Parameters<typeof batch>) {
  const result = states.check(batch(...args));
  return result.type === 'Refuse' ? result.error.code : result;
}

describe('check()', () => {
  const states = new ProducerStates();
  for (let i = 0; i < 7; i += 1) states.record(batch(7, 1, 2 * i), offset(100 + 2 * i));

  test.each([
    ['a producer without idempotence', [-1, 0, 5], { type: 'Accept' }],
    ['the next sequence', [7, 1, 14], { type: 'Accept' }],
    ['a repeat of the last batch', [7, 1, 12], { type: 'Duplicate', baseOffset: 112 }],
    ['a repeat of the fifth last batch', [7, 1, 4], { type: 'Duplicate', baseOffset: 104 }],
    ['a repeat that is older than can be known', [7, 1, 2], 'OUT_OF_ORDER_SEQUENCE'],
    ['a part of a stored batch', [7, 1, 12, 1], 'OUT_OF_ORDER_SEQUENCE'],
    ['a gap', [7, 1, 16], 'OUT_OF_ORDER_SEQUENCE'],
    ['an older epoch', [7, 0, 14], 'PRODUCER_FENCED'],
    ['a newer epoch from 0', [7, 2, 0], { type: 'Accept' }],
    ['a newer epoch from elsewhere', [7, 2, 14], 'OUT_OF_ORDER_SEQUENCE'],
    ['an unknown producer from 0', [8, 0, 0], { type: 'Accept' }],
    ['an unknown producer from elsewhere', [8, 0, 2], 'UNKNOWN_PRODUCER'],
  ] as [string, Parameters<typeof batch>, unknown][])('judges %s', (_what, args, expected) => {
    expect(verdict(states, ...args)).toEqual(expected);
  });

  test('lets sequences wrap at 2^31', () => {
    const wrapping = new ProducerStates();
    wrapping.record(batch(1, 0, 2 ** 31 - 2, 3), offset(0));
    expect(verdict(wrapping, 1, 0, 1)).toEqual({ type: 'Accept' });
  });
});

test('record() forgets the producer that wrote longest ago, beyond the limit', () => {
  const states = new ProducerStates();
  for (let id = 0; id < PRODUCER_COUNT_MAX; id += 1) states.record(batch(id, 0, 0), offset(2 * id));
  states.record(batch(0, 0, 2), offset(5000));
  states.record(batch(9999, 0, 0), offset(5002));
  expect(states.size).toBe(PRODUCER_COUNT_MAX);
  expect(verdict(states, 1, 0, 2)).toBe('UNKNOWN_PRODUCER');
  expect(verdict(states, 1, 0, 0)).toBe('UNKNOWN_PRODUCER'); // a late repeat of its first batch
  expect(verdict(ProducerStates.decode(states.encode()), 1, 0, 0)).toBe('UNKNOWN_PRODUCER');
  expect(verdict(states, 0, 0, 4)).toEqual({ type: 'Accept' });
});

test('decode() of encode() goes on exactly as the original', () => {
  const steps = fc.array(
    fc.record({ id: fc.nat(4), epochStep: fc.nat(1), count: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const original = fold(new ProducerStates(), before, 0);
      const copy = ProducerStates.decode(original.encode());
      expect(fold(copy, after, 1000).encode()).toEqual(fold(original, after, 1000).encode());
    }),
  );
});

function fold(
  states: ProducerStates,
  steps: readonly { id: number; epochStep: number; count: number }[],
  base: number,
): ProducerStates {
  const epochs = new Map<number, number>();
  let at = base;
  for (const step of steps) {
    const epoch = base + (epochs.get(step.id) ?? 0) + step.epochStep;
    epochs.set(step.id, epoch - base);
    states.record(batch(step.id, epoch, at, step.count), offset(at));
    at += step.count;
  }
  return states;
}

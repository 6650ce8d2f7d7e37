import { describe, expect, test } from '@jest/globals';
import { Latencies, percentile, shortNumber, spreadOf } from './stats.ts';
import type { Comparison } from './types.ts';
import { compare, measure } from './run.ts';
import { showResults } from './report.ts';
import { parseOptions } from './options.ts';

const context = {
  directory: '',
  seconds: 1,
  rounds: 3,
  kills: 1,
  logMegabytes: 1,
  cluster: () => Promise.reject(new Error('there is none')),
  say: () => undefined,
};

describe('statistics', () => {
  test('medians and percentiles lie between neighbours', () => {
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
    const hundred = Float64Array.from({ length: 101 }, (_, i) => i);
    expect([percentile(hundred, 0.5), percentile(hundred, 0.99)]).toEqual([50, 99]);
    expect(percentile([], 0.5)).toBeNaN();
  });

  test('latencies are those that were added, the last ones when there are too many', () => {
    const latencies = new Latencies(10);
    for (const ms of [5, 1, 3]) latencies.add(ms);
    expect(latencies.summary().p50).toBe(3);
    for (let i = 0; i < 10; i += 1) latencies.add(7);
    expect([latencies.count, latencies.summary()]).toEqual([13, { p50: 7, p99: 7 }]);
  });

  test('numbers are shortened to three figures', () => {
    expect([0.0314, 3.14159, 31.4159, 3141.59, 31_415.9, 3_141_592].map(shortNumber)).toEqual([
      '0.031',
      '3.14',
      '31.4',
      '3142',
      '31.4 k',
      '3.14 M',
    ]);
  });
});

describe('comparisons', () => {
  const scripted = (extra: Partial<Comparison>): { item: Comparison; order: string[] } => {
    const order: string[] = [];
    const baselineRates = [10, 20, 10];
    const subjectRates = [5, 20, 8];
    const item: Comparison = {
      ...{ kind: 'comparison', name: 'a', title: 'A', unit: 'x/s', baselineName: 'B' },
      baseline() {
        order.push('B');
        return Promise.resolve({ rate: baselineRates.shift() ?? 0 });
      },
      subject() {
        order.push('A');
        return Promise.resolve({ rate: subjectRates.shift() ?? 0, p50Ms: 1, p99Ms: 2 });
      },
      ...extra,
    };
    return { item, order };
  };

  test('take turns, and the ratio is that of the legs of one round', async () => {
    const { item, order } = scripted({ targetRatio: 0.8 });
    const result = await compare(item, context);
    expect(order.join('')).toBe('BAABBA');
    expect(result.ratio).toEqual({ median: 0.8, min: 0.5, max: 1 });
    expect(result.subject.p99Ms).toBe(2);
    expect([result.target, result.isMet]).toEqual(['ratio 0.8', true]);
    expect(showResults([result], [])).toContain('| 0.800 (0.500-1.00) |');
  });

  test.each([
    [{ targetRatio: 0.81 }, false],
    [{ targetRatio: 0.8, targetRate: 9 }, false],
    [{ targetRatio: 0.8, targetRate: 9, isEither: true }, true],
    [{ targetRate: 8 }, true],
    [{}, null],
  ])('are judged by %j', async (targets, isMet) => {
    expect((await compare(scripted(targets).item, context)).isMet).toBe(isMet);
  });
});

test('a limit holds for every value of a measurement', async () => {
  const figure = { label: 'l', unit: 'ms', values: [1, 5, 2] };
  const item = {
    ...({ kind: 'measurement', name: 'm', title: 'M' } as const),
    measure: () => Promise.resolve([{ ...figure, limit: 5 }, { ...figure, limit: 4 }, figure]),
  };
  const result = await measure(item, context);
  expect(result.figures.map(({ isMet }) => isMet)).toEqual([true, false, null]);
  expect(showResults([], [result])).toContain('| `m` | l | 2.00 (1.00-5.00) ms | 4 ms | NO |');
});

test('options are read, and mistakes are named', () => {
  expect(parseOptions(['--only', 'a,b', '--rounds', '2'])).toMatchObject({
    only: ['a', 'b'],
    rounds: 2,
    seconds: 3,
  });
  expect(parseOptions(['--seconds', '0'])).toContain('--seconds must be a number in 0.1..600');
  expect(parseOptions(['--what'])).toContain('--what');
});

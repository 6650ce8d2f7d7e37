import { describe, expect, test } from '@jest/globals';
import fs from 'node:fs/promises';
import { latencyOf, longestPauseMs } from './latency.ts';
import { LogDigest } from './logReader.ts';
import { POD_MAIN, podFiles } from './podFiles.ts';
import { acknowledgedLine, endLine, parsePodOutput } from './podLines.ts';

const PLAN = {
  addresses: ['sea:9091'],
  topics: ['t'],
  writers: [
    { writer: 3, topic: 't', kind: 'text' },
    { writer: 4, topic: 't', kind: 'binary' },
  ],
} as const;

describe('what clients in a pod say', () => {
  const times = { sentMs: 5, nowMs: 17.5, sizeBytes: 40 };
  const outcome = {
    sent: [
      { writer: 3, count: 1 },
      { writer: 4, count: 3 },
    ],
    readers: [{ topic: 't', nextOffset: 3, digest: 'ab' }],
    failures: ['the consumer of t failed: it is late'],
    failedPuts: 1,
  };

  test('becomes the ledgers that they had', () => {
    const said = [
      acknowledgedLine(4, { ...times, sequence: 0, offset: 7 }),
      '(node:1) Warning: something else\n',
      acknowledgedLine(3, { ...times, sequence: 0, offset: null }),
      acknowledgedLine(4, { ...times, sequence: 2, offset: 9 }),
      endLine(outcome),
    ];
    const { ledgers, samples, outcome: told } = parsePodOutput(PLAN, said.join(''));
    expect(told).toEqual(outcome);
    const [text, binary] = ledgers;
    expect([text?.delivery, text?.sentCount, text?.acknowledgedCount]).toEqual(['uncertain', 1, 1]);
    expect([binary?.delivery, binary?.sentCount]).toEqual(['exactlyOnce', 3]);
    expect([0, 1, 2].map((sequence) => binary?.offsetOf(sequence))).toEqual([7, null, 9]);
    expect(samples.map(({ writer, tookMs }) => [writer, tookMs])).toEqual([
      [4, 12.5],
      [3, 12.5],
      [4, 12.5],
    ]);
  });

  test('without an end is no outcome', () => {
    const said = acknowledgedLine(4, { ...times, sequence: 0, offset: 7 });
    expect(() => parsePodOutput(PLAN, said)).not.toThrow();
    expect(parsePodOutput(PLAN, said).outcome).toBeNull();
  });
});

test('podFiles() gives all that the program in the pod imports, the product from the image', async () => {
  const files = await podFiles();
  expect(Object.keys(files)).toContain(POD_MAIN);
  for (const [name, source] of Object.entries(files)) {
    const imports = [...source.matchAll(/ from '([^']+)'/g)].map(([, from = '']) => from);
    for (const from of imports) {
      if (from.startsWith('node:')) continue;
      if (from.startsWith('./')) {
        expect(Object.keys(files)).toContain(from.slice(2));
        continue;
      }
      const [, product = ''] = /^\/app\/dist\/(.+)\.js$/.exec(from) ?? [];
      await expect(fs.access(`${product}.ts`)).resolves.toBeUndefined();
    }
    expect([name, source.includes('../')]).toEqual([name, false]);
  }
});

describe('latencyOf() and longestPauseMs()', () => {
  const samples = Array.from({ length: 100 }, (_, index) => {
    return { writer: index % 2, sentMs: index * 10, tookMs: index + 1 };
  });

  test('count only what was sent within the window', () => {
    expect(latencyOf(samples, { fromMs: 500, toMs: 1000 })).toEqual({
      count: 50,
      p50Ms: 76,
      p99Ms: 100,
      maxMs: 100,
    });
    expect(latencyOf(samples, { fromMs: 2000, toMs: 3000 }).count).toBe(0);
  });

  test('the longest pause is that of one writer, and may reach to the end of the window', () => {
    const others = [1, 2, 3, 900].map((sentMs) => ({ writer: 7, sentMs, tookMs: 0 }));
    expect(longestPauseMs([...samples, ...others], { fromMs: 0, toMs: 1000 })).toBe(897);
    expect(longestPauseMs(samples, { fromMs: 0, toMs: 5000 })).toBe(3921);
  });
});

test('LogDigest differs by offset, value and absence of a value', () => {
  const digestOf = (offset: number, value: Uint8Array | null): string => {
    const digest = new LogDigest();
    digest.add(offset, value);
    return digest.hex();
  };
  const byte = Uint8Array.of(1);
  const digests = [digestOf(0, byte), digestOf(1, byte), digestOf(0, Uint8Array.of(2))];
  digests.push(digestOf(0, new Uint8Array()), digestOf(0, null));
  expect(new Set(digests).size).toBe(5);
});

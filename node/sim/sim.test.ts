/** The simulator itself: it is deterministic, clean runs are clean, and planted bugs are found. */
import { execFile } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { checkChanges } from '../../base/testing/plant.ts';
import { PLANTED_BUGS, bugNamed, isFoundBy } from './bugs/index.ts';
import { FIXED_SEEDS } from './fixedSeeds.ts';
import { PROPERTIES } from './properties.ts';

/** What a run of the simulator in a process of its own prints. */
function simulate(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['node/sim/main.ts', ...args], (_error, stdout, stderr) => {
      resolve(stdout + stderr);
    });
  });
}

/** The rows of the table below each heading of a document, without its head. */
function tablesOf(document: string): Map<string, string[][]> {
  const sections = document.split(/^#+ /m).map((section) => {
    const [heading = '', ...lines] = section.split('\n');
    const rows = lines.filter((line) => line.startsWith('| '));
    const cells = rows.map((row) => row.slice(2, -2).split(' | '));
    return [heading, cells.slice(1)] as const;
  });
  return new Map(sections);
}

const PROCESS_MS_MAX = 120_000;

describe('the simulator', () => {
  test(
    'gives the same bytes for the same seed in two processes, and passes',
    async () => {
      const [one, two] = await Promise.all([simulate('--seed', '3'), simulate('--seed', '3')]);
      expect(one).toContain('1 passed, 0 failed');
      expect(one).toMatch(/digest [0-9a-f]{8}/);
      expect(two).toBe(one);
    },
    PROCESS_MS_MAX,
  );

  test(
    'gives other bytes for another seed',
    async () => {
      const [one, two] = await Promise.all([simulate('--seed', '3'), simulate('--seed', '6')]);
      const digestOf = (output: string): string => /digest (\w+)/.exec(output)?.[1] ?? '';
      expect(digestOf(one)).not.toBe('');
      expect(digestOf(one)).not.toBe(digestOf(two));
    },
    PROCESS_MS_MAX,
  );

  test.each(['AckBeforeFsync', 'LeaseIgnored', 'RepairWithoutDigest'])(
    'finds the planted bug %s',
    async (name) => {
      const bug = bugNamed(name);
      const output = await simulate('--bug', name, '--seed', '1', '--count', String(bug.seeds));
      const [, property = ''] = [...output.matchAll(/FAILED (\w+)/g)].at(-1) ?? [];
      expect(isFoundBy(bug, property)).toBe(true);
    },
    PROCESS_MS_MAX,
  );

  test('has planted bugs that apply to the source as it is, each with a name of its own', () => {
    for (const { changes } of PLANTED_BUGS) {
      expect(changes.length).toBeGreaterThan(0);
      expect(() => checkChanges(changes)).not.toThrow();
    }
    expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
    expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(12);
  });

  test('has its planted bugs and its properties in docs/testing.md', () => {
    const documented = tablesOf(readFileSync('docs/testing.md', 'utf8'));
    const bugs = PLANTED_BUGS.map(({ name, rule, what, foundBy }) => [
      name,
      rule,
      what,
      foundBy.join(', '),
    ]);
    expect(documented.get('Planted bugs')).toEqual(bugs);
    const properties = documented.get('Checkers')?.flatMap(([names = '']) => names.split(', '));
    expect(properties?.sort()).toEqual([...PROPERTIES].sort());
  });

  test('has fixed seeds with reasons', () => {
    for (const { reason } of FIXED_SEEDS) expect(reason).not.toBe('');
  });
});

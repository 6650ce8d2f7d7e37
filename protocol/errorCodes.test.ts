import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { ErrorCode } from '../base/errors.ts';
import { ERROR_CODES } from '../base/errors.ts';
import { NO_ERROR, WIRE_ERROR_NUMBERS, errorCodeOf, wireNumberOf } from './errorCodes.ts';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

/** The rows of the table in docs/errors.md: number, code, retriable, meaning, what to do. */
function documentedRows(): string[][] {
  const text = readFileSync('docs/errors.md', 'utf8');
  return text
    .split('\n')
    .filter((line) => /^\| \d+ \|/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

describe('error codes', () => {
  test('have one number each, found in both directions, and none is 0', () => {
    const numbers = codes.map(wireNumberOf);
    expect(new Set(numbers).size).toBe(codes.length);
    expect(numbers).not.toContain(NO_ERROR);
    expect(numbers.map(errorCodeOf)).toEqual(codes);
    expect(errorCodeOf(NO_ERROR)).toBe(undefined);
  });

  test('are those of base/errors.ts', () => {
    expect(Object.keys(WIRE_ERROR_NUMBERS).sort()).toEqual([...codes].sort());
  });

  test('are documented in docs/errors.md: number, code, retriable, a meaning and a remedy', () => {
    const rows = documentedRows();
    const documented = rows.map(([number, code, retriable]) => [number, code, retriable]);
    const expected = Object.entries(WIRE_ERROR_NUMBERS)
      .sort(([, a], [, b]) => a - b)
      .map(([code, number]) => [
        String(number),
        `\`${code}\``,
        ERROR_CODES[code as ErrorCode].retriable ? 'yes' : 'no',
      ]);
    expect(documented).toEqual(expected);
    for (const row of rows) {
      expect(row).toHaveLength(5);
      expect([row[1], (row[3] ?? '').length > 10, (row[4] ?? '').length > 10]).toEqual([
        row[1],
        true,
        true,
      ]);
    }
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseTlcOutput } from './tlcOutput.ts';
import type { TlcResult } from './tlcOutput.ts';

function parseRecorded(name: string): TlcResult {
  return parseTlcOutput(readFileSync(new URL(`testdata/${name}.txt`, import.meta.url), 'utf8'));
}

const UNCOUNTED = { generatedStates: undefined, distinctStates: undefined, depth: undefined };

const VERDICTS = [
  {
    name: 'completed',
    expected: {
      outcome: { kind: 'completed' },
      generatedStates: 4,
      distinctStates: 4,
      depth: 4,
      traceLength: 0,
    },
  },
  {
    name: 'invariant',
    expected: {
      outcome: { kind: 'invariant', name: 'Small' },
      generatedStates: 7,
      distinctStates: 5,
      depth: 3,
      traceLength: 3,
    },
  },
  {
    name: 'initialState',
    expected: {
      outcome: { kind: 'invariant', name: 'InitBad' },
      ...UNCOUNTED,
      traceLength: 1,
    },
  },
  {
    name: 'actionProperty',
    expected: {
      outcome: { kind: 'actionProperty', name: 'Even' },
      generatedStates: 5,
      distinctStates: 4,
      depth: 4,
      traceLength: 4,
    },
  },
  {
    name: 'stuttering',
    expected: {
      outcome: { kind: 'temporal' },
      generatedStates: 4,
      distinctStates: 4,
      depth: undefined,
      traceLength: 3,
    },
  },
  {
    name: 'lasso',
    expected: {
      outcome: { kind: 'temporal' },
      generatedStates: 6,
      distinctStates: 4,
      depth: undefined,
      traceLength: 3,
    },
  },
  {
    name: 'deadlock',
    expected: {
      outcome: { kind: 'deadlock' },
      generatedStates: 4,
      distinctStates: 4,
      depth: 4,
      traceLength: 4,
    },
  },
];

describe('parseTlcOutput() on recorded outputs', () => {
  test.each(VERDICTS)('$name', ({ name, expected }) => {
    const result = parseRecorded(name);
    expect(result).toEqual({ ...expected, trace: result.trace });
  });

  test.each([
    { name: 'parseError', part: 'Encountered "bad" at line 18' },
    { name: 'semanticError', part: "Unknown operator: `zork'." },
    { name: 'unknownInvariant', part: 'The invariant Nope specified in the configuration file' },
    { name: 'evaluation', part: 'Attempted to select field "a"' },
  ])('$name is an error that names its cause', ({ name, part }) => {
    const { outcome, traceLength } = parseRecorded(name);
    expect(outcome).toEqual({ kind: 'error', message: expect.stringContaining(part) });
    expect(traceLength).toBe(0);
  });
});

describe('parseTlcOutput() traces', () => {
  test('keeps the counterexample and drops the statistics after it', () => {
    const { trace } = parseRecorded('lasso');
    expect(trace).toMatch(/^Error: The following behavior constitutes/);
    expect(trace).toMatch(/Back to state 2: <Dec line 8.*>$/);
  });

  test('shows the violating initial state', () => {
    expect(parseRecorded('initialState').trace).toContain('/\\ x = 0');
  });
});

describe('parseTlcOutput() on broken outputs', () => {
  test.each(['', 'Killed', 'Progress(3) at 12:00: 5 states generated'])(
    'never takes %j for a proof',
    (output) => {
      expect(parseTlcOutput(output).outcome).toEqual({
        kind: 'error',
        message: 'TLC ended without a verdict',
      });
    },
  );

  test('does not believe "completed" beside an error line', () => {
    const output =
      'Error: Java ran out of memory.\nModel checking completed. No error has been found.';
    expect(parseTlcOutput(output).outcome.kind).toBe('error');
  });

  test('accepts CRLF', () => {
    const output = 'Error: Invariant X is violated.\r\nState 1: <Initial predicate>\r\n';
    expect(parseTlcOutput(output).outcome).toEqual({ kind: 'invariant', name: 'X' });
  });
});

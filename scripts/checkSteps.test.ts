import { describe, expect, test } from '@jest/globals';
import { STEPS, parseCheckOptions, selectSteps, summary } from './checkSteps.ts';
import type { CheckOptions } from './checkSteps.ts';

function names(argv: string[]): string[] {
  return selectSteps(STEPS, parseCheckOptions(argv) as CheckOptions).map(({ name }) => name);
}

describe('the steps of the check', () => {
  test('run all, some, or all but the tests', () => {
    const all = ['format', 'lint', 'types', 'types-pure', 'structure', 'unused', 'test', 'sim'];
    expect(names([])).toEqual(all);
    expect(names(['--only', 'lint', '--only', 'types'])).toEqual(['lint', 'types']);
    expect(names(['--skip-tests', '--report', 'r.json'])).toEqual(all.slice(0, 6));
  });

  test('are not guessed from a wrong command line', () => {
    expect(parseCheckOptions(['--only', 'lnit'])).toBe('There is no step lnit');
    expect(parseCheckOptions(['--only'])).toBe('--only needs a value');
    expect(parseCheckOptions(['--quick', 'x'])).toBe('Unknown option --quick');
  });

  test('are summed up with how each ended', () => {
    expect(
      summary([
        { name: 'lint', outcome: 'passed', seconds: 12.34, note: '' },
        { name: 'types', outcome: 'failed', seconds: 1, note: 'exit code 2' },
      ]),
    ).toBe(
      [
        'passed   lint           12.3 s',
        'failed   types           1.0 s  exit code 2',
        '1 passed, 1 failed',
      ].join('\n'),
    );
  });
});

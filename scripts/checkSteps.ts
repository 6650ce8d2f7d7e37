/** The steps of `npm run check`, which of them to run, and the summary. Pure. */

/** One command of the check. */
export interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Folders to be given as further arguments. */
  readonly folders?: readonly string[];
}

export interface StepResult {
  readonly name: string;
  readonly outcome: 'passed' | 'failed';
  readonly seconds: number;
  /** How it ended. */
  readonly note: string;
}

export interface CheckOptions {
  readonly only: readonly string[];
  readonly skipsTests: boolean;
  /** Where the results go as JSON as well. */
  readonly report: string | undefined;
  readonly wantsHelp: boolean;
}

/** Folders of TypeScript. */
export const SOURCES = [
  'base',
  'protocol',
  'node',
  'client',
  'cli',
  'operator',
  'crds',
  'scripts',
  'bench',
  'e2e',
  'tla',
];

/** In the order in which a fault is found cheapest. */
export const STEPS: readonly Step[] = [
  { name: 'format', command: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'lint', command: 'eslint', args: ['--max-warnings', '0', '.'] },
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'types-pure', command: 'tsc', args: ['-p', 'tsconfig.pure.json'] },
  {
    name: 'structure',
    command: 'depcruise',
    args: ['--config', '.dependency-cruiser.mjs'],
    folders: SOURCES,
  },
  { name: 'unused', command: 'knip', args: ['--no-progress'] },
  { name: 'test', command: 'jest', args: [] },
  {
    name: 'sim',
    command: 'node',
    args: ['node/sim/main.ts', '--seed', '1', '--count', '20'],
  },
];

export const USAGE = `Usage: npm run check -- [options]
  --only NAME     only this step (may be repeated): ${STEPS.map(({ name }) => name).join(', ')}
  --skip-tests    all but the tests and the simulation
  --report FILE   write the results as JSON, too
  --help          print this text`;

/** Reads the command line; a text says what is wrong with it. */
export function parseCheckOptions(argv: readonly string[]): CheckOptions | string {
  const only: string[] = [];
  let report: string | undefined;
  const rest = argv.filter((arg) => arg !== '--skip-tests' && arg !== '--help');
  for (let i = 0; i < rest.length; i += 2) {
    const [flag = '', value] = rest.slice(i, i + 2);
    if (flag !== '--only' && flag !== '--report') return `Unknown option ${flag}`;
    if (value === undefined) return `${flag} needs a value`;
    if (flag === '--report') report = value;
    else if (STEPS.some(({ name }) => name === value)) only.push(value);
    else return `There is no step ${value}`;
  }
  const skipsTests = argv.includes('--skip-tests');
  return { only, skipsTests, report, wantsHelp: argv.includes('--help') };
}

/** The steps that the options ask for. */
export function selectSteps(steps: readonly Step[], options: CheckOptions): Step[] {
  return steps.filter(
    ({ name }) =>
      (options.only.length === 0 || options.only.includes(name)) &&
      !(options.skipsTests && (name === 'test' || name === 'sim')),
  );
}

/** A line for each step, and a last one for all. */
export function summary(results: readonly StepResult[]): string {
  const lines = results.map(({ name, outcome, seconds, note }) =>
    `${outcome.padEnd(8)} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s  ${note}`.trimEnd(),
  );
  const counts = (['passed', 'failed'] as const).map(
    (outcome) => `${results.filter((result) => result.outcome === outcome).length} ${outcome}`,
  );
  return [...lines, counts.join(', ')].join('\n');
}

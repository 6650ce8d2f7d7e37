/**
 * `npm run fuzz [-- COUNT]`: gives each decoder a million (or COUNT) damaged inputs: the tests that say "survive damage",
 * which `npm test` runs with a few thousand. Prints a line for each series; exits with 1 on any other failure
 * than a refusal with a documented code.
 */
import { spawnSync } from 'node:child_process';

const DEFAULT_COUNT = 1_000_000;

const count = Number(process.argv[2] ?? DEFAULT_COUNT);
if (!Number.isSafeInteger(count) || count < 1) {
  process.stderr.write('usage: npm run fuzz [-- COUNT]\n');
  process.exit(2);
}
const jest = 'node_modules/jest/bin/jest.js';
const { status } = spawnSync(
  process.execPath,
  [
    jest,
    '--testNamePattern',
    'survives? (damage|damaged)',
    '--testTimeout',
    '600000',
    '--maxWorkers',
    '2',
  ],
  { stdio: 'inherit', env: { ...process.env, FUZZ_COUNT: String(count) } },
);
process.exit(status ?? 1);

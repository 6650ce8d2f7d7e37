/** Planting in a process of its own: what is loaded later is changed, and a change that is void is found out. */
import { execFile } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';

const ROOT = process.cwd();
const PROCESS_MS_MAX = 60_000;

/** What a program prints that plants a change of `base/units.ts`. */
function runPlanted(program: string, find: string): Promise<string> {
  const change = { file: 'base/units.ts', find, replace: 'export const KIB = 7;' };
  const source = `
    const { plant } = await import('${ROOT}/base/testing/plant.ts');
    const load = () => import('${ROOT}/base/units.ts');
    const change = ${JSON.stringify(change)};
    ${program}`;
  return new Promise((resolve) => {
    const args = ['--input-type=module', '--eval', source];
    execFile(process.execPath, args, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

const IS_THERE = 'export const KIB = 1024;';

describe('plant', () => {
  test(
    'changes what is loaded afterwards',
    async () => {
      const program = 'const check = plant([change]); console.log((await load()).KIB); check();';
      expect(await runPlanted(program, IS_THERE)).toBe('7\n');
    },
    PROCESS_MS_MAX,
  );

  test.each([
    [
      'a file that was loaded before',
      'await load(); const check = plant([change]); await load(); check();',
    ],
    ['a file that is not loaded', 'plant([change])();'],
  ])(
    'refuses %s',
    async (_what, program) => {
      expect(await runPlanted(program, IS_THERE)).toContain('Nothing is planted in base/units.ts');
    },
    PROCESS_MS_MAX,
  );

  test(
    'refuses a text that is not there',
    async () => {
      const output = await runPlanted('plant([change]); await load();', 'no such text');
      expect(output).toContain('base/units.ts must have this once, has it 0 times');
    },
    PROCESS_MS_MAX,
  );
});

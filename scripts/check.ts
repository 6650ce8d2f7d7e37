/**
 * `npm run check`: everything that is checked about the project, one step after the other, all of them even
 * when one fails. Exit codes: 0 all passed, 1 something failed, 2 wrong usage.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { STEPS, USAGE, parseCheckOptions, selectSteps, summary } from './checkSteps.ts';
import type { Step, StepResult } from './checkSteps.ts';

const ROOT = path.resolve(import.meta.dirname, '..');

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit' });
    child.on('error', (error) => {
      resolve(error.message);
    });
    child.on('exit', (code, signal) => {
      resolve(
        code === 0 ? '' : signal === null ? `exit code ${code ?? '?'}` : `killed by ${signal}`,
      );
    });
  });
}

async function runStep(step: Step): Promise<StepResult> {
  const { name } = step;
  const args = [...step.args, ...(step.folders ?? [])];
  process.stdout.write(`\n=== ${name}: ${step.command} ${args.join(' ')}\n`);
  const startMs = performance.now();
  const note = await run(step.command, args);
  const seconds = (performance.now() - startMs) / 1000;
  return { name, outcome: note === '' ? 'passed' : 'failed', seconds, note };
}

async function main(): Promise<number> {
  const options = parseCheckOptions(process.argv.slice(2));
  if (typeof options === 'string' || options.wantsHelp) {
    process.stderr.write(`${typeof options === 'string' ? `${options}\n` : ''}${USAGE}\n`);
    return typeof options === 'string' ? 2 : 0;
  }
  const results: StepResult[] = [];
  for (const step of selectSteps(STEPS, options)) results.push(await runStep(step));
  if (options.report !== undefined) writeFileSync(options.report, JSON.stringify(results));
  process.stdout.write(`\n${summary(results)}\n`);
  return results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
}

process.exitCode = await main();

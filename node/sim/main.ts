/**
 * `npm run sim -- --seed N [--count M] [--trace] [--bug NAME]`: runs seeds N..N+M-1 and prints a line for each; a failure with
 * its property, its step and the command that replays it. Exits with 1 when any seed failed.
 */
import { parseArgs } from 'node:util';
import { installNativeCrc32c } from '../io/nativeCrc32c.ts';
import { SILENT } from '../../base/log.ts';
import { bugNamed, plant } from './plant.ts';
import type { RunResult } from './run.ts';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function report(result: RunResult): void {
  const { seed, failure, step, virtualMs, digest, acknowledged, reads } = result;
  const faults = Object.entries(result.faults).map(([kind, count]) => `${kind} ${count}`);
  const facts = [
    `seed ${seed}`,
    failure === null ? 'ok' : `FAILED ${failure.property}`,
    `${acknowledged} acknowledged`,
    `${reads} read`,
    `step ${step}`,
    `${(virtualMs / 1000).toFixed(1)} s`,
    `digest ${digest.toString(16).padStart(8, '0')}`,
    faults.join(', ') || 'no faults',
  ];
  print(facts.join('  '));
  if (failure === null) return;
  print(`  ${failure.message}`);
  print(`  found at step ${step}; replay with: npm run sim -- --seed ${seed} --trace`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      count: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
      bug: { type: 'string' },
    },
  });
  const first = Number(values.seed);
  const count = Number(values.count);
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(count) || count < 1) {
    process.stderr.write('usage: npm run sim -- --seed N [--count M] [--trace]\n');
    process.exitCode = 2;
    return;
  }
  await installNativeCrc32c(SILENT);
  if (values.bug !== undefined) plant(bugNamed(values.bug));
  const { runSeed } = await import('./run.ts');
  let failed = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const result = await runSeed(seed, values.trace ? print : undefined);
    report(result);
    if (result.failure !== null) {
      failed += 1;
      if (values.bug !== undefined) break; // found
      if (values.trace) print(result.failure.stack);
    }
  }
  print(`${count - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();

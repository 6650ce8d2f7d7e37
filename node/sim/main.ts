/** `npm run sim`: runs whole clusters of the real code on virtual time, under faults drawn from seeds (USAGE below). */
import { parseArgs } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import { SILENT } from '../../base/log.ts';
import { plant } from '../../base/testing/plant.ts';
import { installNativeCrc32c } from '../io/nativeCrc32c.ts';
import { bugNamed, isFoundBy } from './bugs/index.ts';
import type { PlantedBug } from './bugs/types.ts';
import { FIXED_SEEDS } from './fixedSeeds.ts';
import { huntAll, measureAll } from './hunt.ts';
import type { Share } from './hunt.ts';
import { runSeedsInJobs } from './jobs.ts';
import type { RunResult, runSeed as RunSeed } from './run.ts';
import type { ScenarioKind } from './scenarios.ts';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function report(result: RunResult, planted: string): void {
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
  print(`  found at step ${step}; replay with: npm run sim -- --seed ${seed}${planted} --trace`);
}

/** Seeds that are run alike. */
interface Portion {
  readonly seeds: readonly number[];
  /** Of a scenario. */
  readonly focus: string | undefined;
}

interface Counts {
  passed: number;
  failed: number;
}

/** Nothing that a bug may be planted in is loaded before this. */
async function loadPlanted(planted: PlantedBug | undefined): Promise<typeof RunSeed> {
  const assertPlanted = plant(planted?.changes ?? []);
  const { runSeed } = await import('./run.ts');
  assertPlanted();
  return runSeed;
}

/** Runs seeds in this process; with a planted bug, until it is found by a property that it must break. */
async function runHere(
  portions: readonly Portion[],
  { isTraced, bug }: { readonly isTraced: boolean; readonly bug: string | undefined },
): Promise<Counts> {
  await installNativeCrc32c(SILENT);
  const planted = bug === undefined ? undefined : bugNamed(bug);
  const runSeed = await loadPlanted(planted);
  const counts = { passed: 0, failed: 0 };
  for (const { seeds, focus: wanted } of portions) {
    const focus = await focusOf(wanted ?? planted?.focus);
    const special = bug === undefined ? argsOf({ focus: wanted }) : argsOf({ bug });
    for (const seed of seeds) {
      const result = await runSeed(seed, { trace: isTraced ? print : undefined, focus });
      report(result, special.map((arg) => ` ${arg}`).join(''));
      if (result.failure === null) {
        counts.passed += 1;
        continue;
      }
      counts.failed += 1;
      if (isTraced) print(result.failure.stack);
      if (isFoundBy(planted, result.failure.property)) return counts;
    }
  }
  return counts;
}

async function runInJobs(
  portions: readonly Portion[],
  { jobs, bug }: { readonly jobs: number; readonly bug: string | undefined },
): Promise<Counts> {
  const counts = { passed: 0, failed: 0 };
  for (const { seeds, focus } of portions) {
    const { passed, failed } = await runSeedsInJobs(
      seeds,
      { jobs, args: argsOf({ bug, focus }) },
      print,
    );
    counts.passed += passed;
    counts.failed += failed;
  }
  return counts;
}

const USAGE = `npm run sim -- [options]: runs seeds, each a whole cluster on virtual time, and prints a line for each; a
failure with its property, its step and the command that replays it. Exit code 1: a seed failed, or a planted bug was not found.

  --seed N          the first seed, default: from the time
  --count M         how many seeds, default 1
  --seeds N,N,...   these seeds
  --fixed           the fixed seeds, too
  --jobs J          processes side by side, default 1
  --trace           prints what happens
  --focus SCENARIO  only this scenario, often
  --bug NAME        with this bug planted, until it is found by a property that it must break
  --bugs            hunts all planted bugs instead; --share K/N: the K-th of N shares, --measure: counts the seeds that each takes
  --help            prints this text
`;

const OPTIONS = {
  seed: { type: 'string' },
  count: { type: 'string', default: '1' },
  /** Some seeds, separated by commas. */
  seeds: { type: 'string' },
  jobs: { type: 'string', default: '1' },
  trace: { type: 'boolean', default: false },
  fixed: { type: 'boolean', default: false },
  /** Only this scenario, often: for runs that aim at a rule. */
  focus: { type: 'string' },
  bug: { type: 'string' },
  bugs: { type: 'boolean', default: false },
  /** Of the planted bugs, as K/N: the K-th of N shares. */
  share: { type: 'string', default: '1/1' },
  measure: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function seedsOf(values: { seed?: string; count: string; seeds?: string }): number[] {
  if (values.seeds !== undefined) return values.seeds.split(',').map(Number);
  const first = Number(values.seed ?? Date.now() % 1_000_000_000);
  const count = Number(values.count);
  const drawn = Number.isSafeInteger(count) && count > 0 ? count : 0;
  return Array.from({ length: drawn }, (_, index) => first + index);
}

function portionsOf(values: ReturnType<typeof parse>): Portion[] {
  const { focus } = values;
  const wanted = { seeds: seedsOf(values), focus };
  if (!values.fixed) return [wanted];
  const plain = FIXED_SEEDS.filter((fixed) => fixed.focus === undefined);
  const special = FIXED_SEEDS.filter((fixed) => fixed.focus !== undefined);
  return [
    ...special.map((fixed) => ({ seeds: [fixed.seed], focus: fixed.focus })),
    { seeds: plain.map(({ seed }) => seed), focus },
    wanted,
  ];
}

async function focusOf(name: string | undefined): Promise<ScenarioKind | undefined> {
  if (name === undefined) return undefined;
  const { SCENARIOS } = await import('./scenarios.ts');
  const kinds = Object.keys(SCENARIOS) as ScenarioKind[];
  const kind = kinds.find((known) => known === name);
  if (kind === undefined)
    throw new Error(`There is no scenario ${name}; there are ${kinds.join(', ')}`);
  return kind;
}

/** @throws {Error} unless it is K/N with K in 1..N. */
function shareOf(text: string): Share {
  const [index = 0, count = 0] = text.split('/').map(Number);
  if (Number.isSafeInteger(count) && Number.isSafeInteger(index) && index >= 1 && index <= count) {
    return { index, count };
  }
  throw new Error(`--share must be K/N with K in 1..N, not ${text}`);
}

function refuse(problem: string): void {
  process.stderr.write(`${problem}\n\n${USAGE}`);
  process.exitCode = 2;
}

/** null when everything is said. */
function valuesOf(): ReturnType<typeof parse> | null {
  try {
    const values = parse();
    if (!values.help) return values;
    process.stdout.write(USAGE);
  } catch (error) {
    refuse(messageOf(error));
  }
  return null;
}

function parse() {
  return parseArgs({ options: OPTIONS }).values;
}

/** What every process of a run in several is told. */
function argsOf({
  bug,
  focus,
}: {
  readonly bug?: string | undefined;
  readonly focus?: string | undefined;
}): string[] {
  return [
    ...(bug === undefined ? [] : ['--bug', bug]),
    ...(focus === undefined ? [] : ['--focus', focus]),
  ];
}

async function main(): Promise<void> {
  const values = valuesOf();
  if (values === null) return;
  const jobs = Number(values.jobs);
  if (values.bugs) {
    const share = shareOf(values.share);
    if (values.measure) {
      await measureAll(jobs, share, print);
      return;
    }
    const survivors = await huntAll(jobs, share, print);
    print(survivors.length === 0 ? 'every bug was found' : `NOT FOUND: ${survivors.join(', ')}`);
    process.exitCode = survivors.length === 0 ? 0 : 1;
    return;
  }
  const portions = portionsOf(values);
  const seeds = portions.flatMap((portion) => portion.seeds);
  if (seeds.length === 0 || !seeds.every(Number.isSafeInteger) || !(jobs >= 1)) {
    refuse('--seed, --count, --seeds and --jobs take whole numbers');
    return;
  }
  const { bug, trace: isTraced } = values;
  const { passed, failed } =
    jobs > 1
      ? await runInJobs(portions, { jobs, bug })
      : await runHere(portions, { isTraced, bug });
  print(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();

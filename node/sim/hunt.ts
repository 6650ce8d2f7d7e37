/** Hunts planted bugs: each in a process of its own, since it is planted while modules are loaded. */
import { PLANTED_BUGS, isFoundBy } from './bugs/index.ts';
import type { PlantedBug } from './bugs/types.ts';
import { inParallel, runChild } from './jobs.ts';
import { CRASH } from './properties.ts';

/** Where a planted bug was found. */
export interface Found {
  readonly property: string;
  readonly seed: number;
  /** Seeds that were run until it was found. */
  readonly runs: number;
}

/** The K-th of N shares. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** Finds of each bug that a measurement waits for, and the seeds after which it gives up. */
const MEASURED_FINDS = 5;
const MEASURED_SEEDS_MAX = 400;

/** Runs a planted bug until a run breaks a property that is to find it. */
async function search(bug: PlantedBug, first: number, count: number): Promise<Found | null> {
  const args = ['--bug', bug.name, '--seed', String(first), '--count', String(count)];
  const { output } = await runChild(args);
  for (const [, seedText, property = ''] of output.matchAll(/^seed (\d+) {2}FAILED (\w+)/gm)) {
    const seed = Number(seedText);
    if (property === CRASH) {
      throw new Error(
        `${bug.name} is not planted as it is meant, it breaks the program:\n${output}`,
      );
    }
    if (isFoundBy(bug, property)) return { seed, property, runs: seed - first + 1 };
  }
  const [, passed, failed] = /(\d+) passed, (\d+) failed\s*$/.exec(output) ?? [];
  if (Number(passed) + Number(failed) === count) return null;
  throw new Error(`The run of ${bug.name} ended without a result:\n${output}`);
}

/** Without the bug the same run must be clean: otherwise it is not the planted bug that was found. */
async function isClean(bug: PlantedBug, { seed }: Found): Promise<boolean> {
  const focus = bug.focus === undefined ? [] : ['--focus', bug.focus];
  return (await runChild(['--seed', String(seed), ...focus])).exitCode === 0;
}

/** Tries the known seed, then seeds 1 to the bound; passes over seeds that fail without the bug, too. */
async function hunt(bug: PlantedBug): Promise<Found | null> {
  const known = bug.knownSeed === undefined ? null : await search(bug, bug.knownSeed, 1);
  if (known !== null && (await isClean(bug, known))) return known;
  for (let first = 1; first <= bug.seeds;) {
    const found = await search(bug, first, bug.seeds - first + 1);
    if (found === null || (await isClean(bug, found))) return found;
    first = found.seed + 1;
  }
  return null;
}

function sharedOut({ index, count }: Share): readonly PlantedBug[] {
  return PLANTED_BUGS.filter((_, at) => at % count === index - 1);
}

/** Hunts planted bugs and prints a table; resolves with the names of those that survived. */
export async function huntAll(
  jobs: number,
  share: Share,
  print: (line: string) => void,
): Promise<string[]> {
  const survivors: string[] = [];
  print(row(['bug', 'rule', 'found by', 'seed', 'within']));
  const tasks = sharedOut(share).map((bug) => async (): Promise<void> => {
    const found = await hunt(bug);
    if (found === null) survivors.push(bug.name);
    const [property, seed] =
      found === null ? ['NOT FOUND', '-'] : [found.property, String(found.seed)];
    const isStale = bug.knownSeed !== undefined && found?.seed !== bug.knownSeed;
    const note = isStale ? `(known seed ${bug.knownSeed} finds it no more)` : '';
    print(row([bug.name, bug.rule, property, seed, String(bug.seeds), note]));
  });
  await inParallel(jobs, tasks);
  return survivors;
}

/** Finds each bug several times, in as many seeds as that takes, and prints how many they were. */
export async function measureAll(
  jobs: number,
  share: Share,
  print: (line: string) => void,
): Promise<void> {
  print(row(['bug', 'rule', 'found by', 'mean seeds', 'bound', 'found at']));
  const tasks = sharedOut(share).map((bug) => async (): Promise<void> => {
    const finds: Found[] = [];
    let next = 1;
    while (finds.length < MEASURED_FINDS && next <= MEASURED_SEEDS_MAX) {
      const found = await search(bug, next, MEASURED_SEEDS_MAX - next + 1);
      if (found !== null) finds.push(found);
      next = found === null ? MEASURED_SEEDS_MAX + 1 : found.seed + 1;
    }
    const mean = finds.length === 0 ? '-' : ((next - 1) / finds.length).toFixed(1);
    const properties = [...new Set(finds.map(({ property }) => property))].join('+');
    const seeds = finds.map(({ seed }) => seed).join(' ');
    print(row([bug.name, bug.rule, properties, mean, String(bug.seeds), seeds]));
  });
  await inParallel(jobs, tasks);
}

function row([name = '', rule = '', property = '', ...rest]: readonly string[]): string {
  const texts = [
    name.padEnd(26),
    rule.padEnd(17),
    property.padEnd(34),
    ...rest.map((text) => text.padEnd(11)),
  ];
  return texts.join(' ').trimEnd();
}

/** Many runs in several processes: seeds in portions, and every planted bug in a process of its own. */
import { spawn } from 'node:child_process';
import { PLANTED_BUGS } from './bugs/index.ts';
import type { PlantedBug } from './bugs/types.ts';

const MAIN = 'node/sim/main.ts';
/** Seeds of one process, before it makes way for the next. */
const PORTION = 10;

/** What one process printed, and how it ended. */
interface Outcome {
  readonly output: string;
  readonly exitCode: number;
}

function runChild(args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // eslint-disable-next-line no-restricted-globals -- the command line starts processes, nothing simulated does
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ output: Buffer.concat(chunks).toString('utf8'), exitCode: code ?? 1 });
    });
  });
}

/** Runs tasks, at most `jobs` at once. */
async function inParallel(jobs: number, tasks: (() => Promise<void>)[]): Promise<void> {
  const work = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await task();
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/** Runs seeds in several processes; resolves with how many passed and failed. */
export async function runSeedsInJobs(
  seeds: readonly number[],
  jobs: number,
  print: (line: string) => void,
): Promise<{ passed: number; failed: number }> {
  const counts = { passed: 0, failed: 0 };
  const portions: number[][] = [];
  for (let at = 0; at < seeds.length; at += PORTION) portions.push(seeds.slice(at, at + PORTION));
  const tasks = portions.map((portion) => async (): Promise<void> => {
    const { output } = await runChild(['--seeds', portion.join(',')]);
    for (const line of output.trimEnd().split('\n')) {
      if (!/^\d+ passed, \d+ failed$/.test(line)) print(line);
    }
    // A process that ends without a count has crashed: its seeds count as failed.
    const counted = /(\d+) passed, (\d+) failed\s*$/.exec(output);
    counts.passed += Number(counted?.[1] ?? 0);
    counts.failed += Number(counted?.[2] ?? portion.length);
  });
  await inParallel(jobs, tasks);
  return counts;
}

/** Where a planted bug was found; null when it survived. */
export interface Found {
  readonly property: string;
  readonly seed: number;
}

/** Runs one planted bug over its seeds, in a process of its own. */
export async function huntBug(bug: PlantedBug): Promise<Found | null> {
  const args = ['--bug', bug.name, '--seed', '1', '--count', String(bug.seeds)];
  const { output } = await runChild(args);
  const found = /^seed (\d+) {2}FAILED (\w+)/m.exec(output);
  if (found !== null) return { seed: Number(found[1]), property: found[2] ?? '' };
  if (/\d+ passed, 0 failed\s*$/.test(output)) return null;
  throw new Error(`The run of ${bug.name} ended without a result:\n${output}`);
}

/** Hunts every planted bug and prints a table; resolves with the names of those that survived. */
export async function huntAll(jobs: number, print: (line: string) => void): Promise<string[]> {
  const survivors: string[] = [];
  print(row(['bug', 'rule', 'found by', 'seed', 'within']));
  const tasks = PLANTED_BUGS.map((bug) => async (): Promise<void> => {
    const found = await huntBug(bug);
    if (found === null) survivors.push(bug.name);
    const [property, seed] =
      found === null ? ['NOT FOUND', '-'] : [found.property, `${found.seed}`];
    print(row([bug.name, bug.rule, property, seed, String(bug.seeds)]));
  });
  await inParallel(jobs, tasks);
  return survivors;
}

function row([name = '', ...rest]: readonly string[]): string {
  return [name.padEnd(26), ...rest.map((text) => text.padEnd(20))].join('').trimEnd();
}

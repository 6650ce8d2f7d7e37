/** Many runs in several processes, each with a portion of the seeds. */
import { spawn } from 'node:child_process';

const MAIN = 'node/sim/main.ts';
/** Seeds of one process, before it makes way for the next. */
const PORTION = 10;

/** What one process printed, and how it ended. */
export interface Outcome {
  readonly output: string;
  readonly exitCode: number;
}

/** Runs the simulator in a process of its own. */
export function runChild(args: readonly string[]): Promise<Outcome> {
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
export async function inParallel(jobs: number, tasks: (() => Promise<void>)[]): Promise<void> {
  const work = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await task();
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

/**
 * Runs seeds in several processes; resolves with how many passed and failed.
 * @param args - What else each process is told.
 */
export async function runSeedsInJobs(
  seeds: readonly number[],
  { jobs, args }: { readonly jobs: number; readonly args: readonly string[] },
  print: (line: string) => void,
): Promise<{ passed: number; failed: number }> {
  const counts = { passed: 0, failed: 0 };
  const portions: number[][] = [];
  for (let at = 0; at < seeds.length; at += PORTION) portions.push(seeds.slice(at, at + PORTION));
  const tasks = portions.map((portion) => async (): Promise<void> => {
    const { output } = await runChild(['--seeds', portion.join(','), ...args]);
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

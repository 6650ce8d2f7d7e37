/**
 * The processes of a cluster. All of them live in its network namespaces (or die with a process that does), so they are
 * found there: a file with a process id may name a stranger after a crash.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from '../chaos/wait.ts';
import { tryRun } from './commands.ts';

const END_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;

/** The processes in a network namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const listed = await tryRun('ip', ['netns', 'pids', namespace]);
  return listed.split('\n').filter(Boolean).map(Number);
}

/** Those of them that run a program of this name. */
export async function findProcesses(namespace: string, program: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await processesIn(namespace)) {
    if ((await programOf(pid)) === program) found.push(pid);
  }
  return found;
}

async function programOf(pid: number): Promise<string | undefined> {
  try {
    const line = await fs.readFile(`/proc/${pid}/cmdline`, 'utf8');
    return path.basename(line.split('\0', 1)[0] ?? '');
  } catch {
    return undefined; // it has ended
  }
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Kills everything in a network namespace, as a power cut would, and waits until nothing is left. */
export async function killAll(namespace: string): Promise<void> {
  await waitFor(`${namespace} has no processes any more`, END_MS_MAX, async () => {
    const pids = await processesIn(namespace);
    signal(pids, 'SIGKILL');
    return pids.length === 0;
  });
}

/** Kills a program with `SIGKILL` and waits for its end. */
export async function killProgram(namespace: string, program: string): Promise<void> {
  await waitFor(`${program} has ended`, END_MS_MAX, async () => {
    const pids = await findProcesses(namespace, program);
    signal(pids, 'SIGKILL');
    return pids.length === 0;
  });
}

/** Asks a program to stop, and kills it if it does not. */
export async function stopProgram(namespace: string, program: string): Promise<void> {
  signal(await findProcesses(namespace, program), 'SIGTERM');
  const isGone = async (): Promise<boolean> =>
    (await findProcesses(namespace, program)).length === 0;
  try {
    await waitFor(`${program} has stopped`, STOP_MS_MAX, isGone);
  } catch {
    await killProgram(namespace, program);
  }
}

/** Child processes: started, ended, asked what they cost. */
import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

const ROOT = path.resolve(import.meta.dirname, '..');
/** How the kernel counts processor time: ticks of 10 ms. */
const TICK_MS = 10;
/** Where in /proc/PID/stat, counted from what follows the name, the ticks of user and kernel are. */
const USER_TICKS_AT = 11;
const KERNEL_TICKS_AT = 12;
const LOOK_EVERY_MS = 5;

const running = new Set<ChildProcess>();

/** Starts a program of this project. Settings in the environment do not reach it. */
export function startNode(
  script: string,
  args: readonly string[],
  stdio: StdioOptions,
): ChildProcess {
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith('WALRUS_'));
  const child = spawn(process.execPath, [path.join(ROOT, script), ...args], {
    stdio,
    env: Object.fromEntries(env),
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Asks all programs that still run to end: the benchmark was interrupted. */
export function stopAll(): void {
  for (const child of running) child.kill('SIGTERM');
}

/** Runs a program of this project to its end; returns what it printed. @throws {Error} when it fails. */
export async function runNode(
  script: string,
  args: readonly string[],
  codes: readonly number[] = [0],
): Promise<string> {
  const child = startNode(script, args, ['ignore', 'pipe', 'inherit']);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  await closed(child, script, codes);
  return Buffer.concat(chunks).toString();
}

/** Waits until a process has ended and all that it printed has come. @throws {Error} unless with one of the codes. */
export async function closed(
  child: ChildProcess,
  what: string,
  codes: readonly number[] = [0],
): Promise<void> {
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code === null || !codes.includes(code)) {
    throw new Error(`${what} ended with ${signal ?? `exit code ${code}`}`);
  }
}

/** Waits for something to come about. @throws {Error} */
export async function waitFor(
  what: string,
  deadlineMs: number,
  condition: () => Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** The processor time that a process has used so far. */
export function processorMs(pid: number): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return TICK_MS * (Number(fields[USER_TICKS_AT]) + Number(fields[KERNEL_TICKS_AT]));
}

/** The memory of a process that is in use now, in MiB. */
export function residentMebibytes(pid: number): number {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** What a directory occupies on the disk, in MiB. */
export function occupiedMebibytes(directory: string): number {
  const files = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  const blocks = files
    .filter((entry) => entry.isFile())
    .map((entry) => fs.statSync(path.join(entry.parentPath, entry.name)).blocks);
  return blocks.reduce((sum, count) => sum + 512 * count, 0) / 2 ** 20;
}

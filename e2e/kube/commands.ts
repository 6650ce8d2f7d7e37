/** Runs programs: to their end, or in the background beyond the end of this process. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** Its output goes to the user, as progress. */
  readonly isShown?: boolean;
}

const TIMEOUT_MS = 120_000;

/** A program that ended with another code than 0, was killed, or is not there. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  /** What it printed on stderr. */
  readonly stderr: string;

  constructor(command: string, how: string, stderr: string) {
    super(`${command}: ${how}${stderr === '' ? '' : `: ${stderr.trim()}`}`);
    this.stderr = stderr;
  }
}

/** Runs a program to its end. @returns Its stdout. @throws {CommandError} */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { timeoutMs = TIMEOUT_MS, isShown = false } = options;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    out.push(chunk);
    if (isShown) process.stderr.write(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err.push(chunk);
    if (isShown) process.stderr.write(chunk);
  });
  const line = [path.basename(command), ...args.slice(0, 3)].join(' ');
  child.on('error', (error) => reject(new CommandError(line, error.message, '')));
  child.on('close', (code, signal) => {
    if (code === 0) resolve(Buffer.concat(out).toString());
    else {
      const how = signal === null ? `exit code ${code ?? '?'}` : `killed by ${signal}`;
      reject(new CommandError(line, how, Buffer.concat(err).toString()));
    }
  });
  child.stdin.on('error', () => undefined); // it ended before it had read everything: its code says why
  child.stdin.end(options.input ?? '');
  return promise;
}

/** The same, for what may fail without harm. */
export async function tryRun(command: string, args: readonly string[]): Promise<string> {
  try {
    return await run(command, args);
  } catch (error) {
    if (error instanceof CommandError) return '';
    throw error;
  }
}

/** Starts a program that goes on when this process ends; its output is appended to a file. */
export function start(command: string, args: readonly string[], log: string): void {
  const fd = fs.openSync(log, 'a');
  try {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', fd, fd] });
    child.on('error', (error) => fs.appendFileSync(log, `cannot start: ${error.message}\n`));
    child.unref();
  } finally {
    fs.closeSync(fd);
  }
}

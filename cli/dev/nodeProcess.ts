/** One node as a child process that is started again when it dies. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import readline from 'node:readline';
import type { Output } from '../output.ts';

const RESTART_MS = 1000;
const RESTART_MAX_MS = 30_000;
/** A node that ran so long did start: the next delay is short again. */
const HEALTHY_MS = 60_000;
/** Above the shutdown time-out of the nodes and what closing takes. */
const KILL_AFTER_MS = 20_000;

export class NodeProcess {
  readonly #id: number;
  readonly #arguments: () => string[];
  readonly #output: Output;
  #child: ChildProcess | null = null;
  #delayMs = RESTART_MS;
  #timer: NodeJS.Timeout | null = null;
  #isStopping = false;
  #lastWords = '';
  #exited: Promise<void> = Promise.resolve();

  /** @param args - The command line of the next start. */
  constructor(id: number, args: () => string[], output: Output) {
    this.#id = id;
    this.#arguments = args;
    this.#output = output;
  }

  start(): void {
    const script = process.argv[1] ?? '';
    const child = spawn(process.execPath, [...process.execArgv, script, ...this.#arguments()], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: process.env,
    });
    const startMs = performance.now();
    this.#child = child;
    this.#lastWords = '';
    if (child.stderr !== null) {
      readline.createInterface({ input: child.stderr }).on('line', (line) => {
        this.#lastWords = line;
      });
    }
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#lastWords = error.message;
      });
      child.once('close', (code, signal) => {
        this.#child = null;
        resolve();
        if (!this.#isStopping) this.#again(performance.now() - startMs, signal ?? `code ${code}`);
      });
    });
  }

  #again(ranMs: number, how: string): void {
    if (ranMs >= HEALTHY_MS) this.#delayMs = RESTART_MS;
    const delayMs = this.#delayMs;
    // What ends by itself is likely to do so again; what was killed is not.
    this.#delayMs = this.#lastWords === '' ? RESTART_MS : Math.min(2 * delayMs, RESTART_MAX_MS);
    const why = this.#lastWords === '' ? '' : `: ${this.#lastWords}`;
    this.#output.note(
      `node ${this.#id} died (${how})${why}; starting it again in ${delayMs / 1000} s`,
    );
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  /** Stops it cleanly, and by force when that takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    await this.#exited;
    clearTimeout(killer);
  }
}

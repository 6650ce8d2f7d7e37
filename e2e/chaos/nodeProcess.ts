/** One node of the cluster under test: its process, its lives one after the other, each with a log of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { waitFor } from './wait.ts';

const READY_CHECK_MS = 1000;
const EXIT_MS_MAX = 30_000;

export interface NodePorts {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

export interface NodeProcessOptions {
  readonly nodeId: number;
  /** What is run: the arguments of node before the settings. */
  readonly command: readonly string[];
  readonly ports: NodePorts;
  readonly dataDir: string;
  readonly logDir: string;
  /** Called when the process ends although nobody wanted it to. */
  readonly onUnexpectedEnd: (message: string) => void;
}

/** How a process came to its end. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class NodeProcess {
  readonly nodeId: number;
  readonly dataDir: string;
  readonly ports: NodePorts;
  readonly #options: NodeProcessOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<Ending> = Promise.resolve({ code: 0, signal: null });
  #isEndWanted = true;
  #isPaused = false;
  #livesCount = 0;
  #logFile = '';

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.dataDir = options.dataDir;
    this.ports = options.ports;
  }

  get clientAddress(): string {
    return `127.0.0.1:${this.ports.client}`;
  }

  get peerAddress(): string {
    return `127.0.0.1:${this.ports.peer}`;
  }

  /** Whether the process is there and not stopped by a signal. */
  get isRunning(): boolean {
    return this.#child !== null && !this.#isPaused;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Where the present, or the last, life is logged. */
  get logFile(): string {
    return this.#logFile;
  }

  /** Starts a process. `mayEnd`: its end is expected, for a start that is to be refused. */
  start(settings: readonly string[], { mayEnd = false } = {}): void {
    if (this.#child !== null) throw new Error(`node ${this.nodeId} runs already`);
    const { command, ports, logDir, dataDir } = this.#options;
    this.#livesCount += 1;
    this.#logFile = path.join(logDir, `node-${this.nodeId}.life-${this.#livesCount}.log`);
    const log = fs.openSync(this.#logFile, 'a');
    const child = spawn(
      process.execPath,
      [
        ...command,
        ...['--node-id', String(this.nodeId), '--data-dir', dataDir],
        ...['--client-port', String(ports.client), '--peer-port', String(ports.peer)],
        ...['--http-port', String(ports.http)],
        ...settings,
      ],
      { stdio: ['ignore', log, log], env: withoutSettings(process.env) },
    );
    fs.closeSync(log);
    this.#child = child;
    this.#isEndWanted = mayEnd;
    this.#isPaused = false;
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#child = null;
        resolve({ code, signal });
        if (this.#isEndWanted) return;
        const how = signal ?? `exit code ${code ?? '?'}`;
        this.#options.onUnexpectedEnd(
          `node ${this.nodeId} ended by itself (${how}), see ${this.#logFile}`,
        );
      });
    });
  }

  /** Ends the process at once, as a power failure of its machine's user space would. */
  async kill(): Promise<void> {
    this.#isEndWanted = true;
    this.#child?.kill('SIGKILL');
    await this.#ended;
  }

  /** Asks the process to end, and waits until it has. */
  async stop(): Promise<Ending> {
    this.#isEndWanted = true;
    this.#child?.kill('SIGTERM');
    return await this.ended();
  }

  /** Waits for the process to end by itself. @throws {DeadlineError} */
  async ended(): Promise<Ending> {
    await waitFor(`node ${this.nodeId} ends`, EXIT_MS_MAX, () => this.#child === null);
    return await this.#ended;
  }

  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(): void {
    this.#isPaused = true;
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill('SIGCONT');
    this.#isPaused = false;
  }

  /** Whether the node says that it serves. */
  isReady(): Promise<boolean> {
    if (!this.isRunning) return Promise.resolve(false);
    return new Promise((resolve) => {
      const request = http.get(
        { host: '127.0.0.1', port: this.ports.http, path: '/readyz', agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        },
      );
      request.setTimeout(READY_CHECK_MS, () => request.destroy(new Error('no answer')));
      request.on('error', () => resolve(false));
    });
  }

  /** Everything that the present life has logged. */
  readLog(): string {
    return this.#logFile === '' ? '' : fs.readFileSync(this.#logFile, 'utf8');
  }
}

/** The environment without settings of Walrus: they would reach the nodes under test. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('WALRUS_')));
}

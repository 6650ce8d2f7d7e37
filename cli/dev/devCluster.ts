/**
 * Nodes as child processes: started, watched, started again when they die, stopped together.
 *
 * Node 1 creates the cluster, once: as soon as it serves, a file beside the data says so, and from then on every
 * node is told to join the others, so that an emptied directory can never become a second cluster.
 */
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isWalrusError } from '../../base/errors.ts';
import { connect } from '../../client/index.ts';
import type { Output } from '../output.ts';
import { NodeProcess } from './nodeProcess.ts';
import { HOST } from './ports.ts';
import type { NodePorts } from './ports.ts';

const CREATED_FILE = 'cluster-created';
const POLL_MS = 100;
const ATTEMPT_MS = 2000;
const VOTERS_MAX = 3;

export interface DevClusterOptions {
  readonly ports: readonly NodePorts[];
  readonly dataDir: string;
  readonly isFresh: boolean;
  readonly output: Output;
  readonly signal: AbortSignal;
}

export class DevCluster {
  readonly #options: DevClusterOptions;
  readonly #nodes: NodeProcess[];

  constructor(options: DevClusterOptions) {
    this.#options = options;
    this.#nodes = options.ports.map(
      (_, index) => new NodeProcess(index + 1, () => this.#arguments(index), options.output),
    );
  }

  /** Runs until the signal. */
  async run(): Promise<void> {
    const { dataDir, isFresh, signal, output, ports } = this.#options;
    await fs.mkdir(dataDir, { recursive: true });
    if (isFresh) await this.#deleteData();
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
    });
    try {
      for (const node of this.#nodes) node.start();
      if (await this.#isReady()) {
        const addresses = ports.map(({ client }) => `${HOST}:${client}`);
        output.result({ addresses }, `walrus cluster ready: ${addresses.join(',')}`);
        await stopped;
      }
      output.note('walrus: stopping the nodes');
    } finally {
      await Promise.all(this.#nodes.map((node) => node.stop()));
    }
  }

  get #createdFile(): string {
    return path.join(this.#options.dataDir, CREATED_FILE);
  }

  async #deleteData(): Promise<void> {
    const { dataDir } = this.#options;
    for (const name of await fs.readdir(dataDir)) {
      if (!/^node-\d+(\.log)?$/.test(name) && name !== CREATED_FILE) continue;
      await fs.rm(path.join(dataDir, name), { recursive: true });
    }
  }

  #arguments(index: number): string[] {
    const { ports, dataDir } = this.#options;
    const own = ports[index] as NodePorts;
    const others = ports.filter((each) => each !== own).map(({ peer }) => `${HOST}:${peer}`);
    const creates = index === 0 && !existsSync(this.#createdFile);
    const join = creates || others.length === 0 ? [] : ['--join', others.join(',')];
    return [
      'node',
      ...['--node-id', String(index + 1)],
      ...['--data-dir', path.join(dataDir, `node-${index + 1}`)],
      ...['--log-file', path.join(dataDir, `node-${index + 1}.log`)],
      ...['--client-port', String(own.client)],
      ...['--peer-port', String(own.peer)],
      ...['--http-port', String(own.http)],
      ...['--shutdown-timeout', '3s'],
      ...join,
    ];
  }

  /** Waits until all nodes are registered and enough of them vote; false when it is stopped before. */
  async #isReady(): Promise<boolean> {
    const { ports, signal } = this.#options;
    const votersCount = ports.length >= VOTERS_MAX ? VOTERS_MAX : 1;
    while (!signal.aborted) {
      if (await this.#isServing(votersCount)) return true;
      await sleep(POLL_MS);
    }
    return false;
  }

  async #isServing(votersCount: number): Promise<boolean> {
    const addresses = this.#options.ports.map(({ client }) => `${HOST}:${client}`);
    const first = addresses.slice(0, 1);
    const isCreated = existsSync(this.#createdFile);
    const client = await connect({
      addresses: isCreated ? addresses : first,
      clientName: 'walrus-dev',
      connectTimeoutMs: ATTEMPT_MS,
      requestTimeoutMs: ATTEMPT_MS,
    });
    try {
      const { nodes, raft } = await client.admin.describeCluster();
      if (!isCreated) await fs.writeFile(this.#createdFile, '');
      const alive = nodes.filter(({ isAlive }) => isAlive);
      return alive.length >= addresses.length && raft.voters.length >= votersCount;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      return false; // not yet
    } finally {
      client.abort();
    }
  }
}

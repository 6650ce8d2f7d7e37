/**
 * Nodes as child processes: started, watched, started again when they die, stopped together.
 *
 * Node 1 creates the cluster, once: as soon as it serves, a file beside the data says so, and from then on every
 * node is told to join the others, so that an emptied directory can never become a second cluster. The cluster's id is
 * written down before the first start, so that the nodes join no other cluster that may listen on their ports.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isWalrusError } from '../../base/errors.ts';
import { lockFile } from '../../node/main.ts';
import { connect } from '../../client/index.ts';
import type { Output } from '../output.ts';
import { NodeProcess } from './nodeProcess.ts';
import { HOST } from './ports.ts';
import type { NodePorts } from './ports.ts';

/** Held by the supervisor in the data directory, and by each node in its own. */
const LOCK_FILE = 'LOCK';

const CREATED_FILE = 'cluster-created';
const CLUSTER_ID_FILE = 'cluster-id';
const CLUSTER_ID_BYTES = 16;
const POLL_MS = 100;
const ATTEMPT_MS = 2000;
const VOTERS_MAX = 3;

export interface DevClusterOptions {
  /** Called once the data directory is this supervisor's. */
  choosePorts(): Promise<readonly NodePorts[]>;
  readonly dataDir: string;
  readonly isFresh: boolean;
  readonly output: Output;
  readonly signal: AbortSignal;
}

export class DevCluster {
  readonly #options: DevClusterOptions;
  #clusterId = '';
  #ports: readonly NodePorts[] = [];
  #nodes: readonly NodeProcess[] = [];

  constructor(options: DevClusterOptions) {
    this.#options = options;
  }

  /**
   * Runs until the signal.
   * @throws {WalrusError} DATA_DIR_LOCKED when another supervisor, or a node, uses the data.
   */
  async run(): Promise<void> {
    const { dataDir, isFresh, output } = this.#options;
    await fs.mkdir(dataDir, { recursive: true });
    const lock = lockFile(path.join(dataDir, LOCK_FILE));
    try {
      if (isFresh) await this.#deleteData();
      this.#ports = await this.#options.choosePorts();
      this.#clusterId = await this.#readClusterId();
      this.#nodes = this.#ports.map(
        (_, index) => new NodeProcess(index + 1, () => this.#arguments(index), output),
      );
      await this.#supervise();
    } finally {
      lock.release();
    }
  }

  async #supervise(): Promise<void> {
    const { signal, output } = this.#options;
    const stopped = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
    });
    try {
      for (const node of this.#nodes) node.start();
      if (await this.#isReady()) {
        const addresses = this.#ports.map(({ client }) => `${HOST}:${client}`);
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

  async #readClusterId(): Promise<string> {
    const file = path.join(this.#options.dataDir, CLUSTER_ID_FILE);
    if (!existsSync(file)) await fs.writeFile(file, randomBytes(CLUSTER_ID_BYTES).toString('hex'));
    return (await fs.readFile(file, 'utf8')).trim();
  }

  async #deleteData(): Promise<void> {
    const { dataDir } = this.#options;
    const names = await fs.readdir(dataDir);
    // A node may have outlived its supervisor: nothing is deleted while one of them runs.
    for (const name of names) {
      const file = path.join(dataDir, name, LOCK_FILE);
      if (/^node-\d+$/.test(name) && existsSync(file)) lockFile(file).release();
    }
    for (const name of names) {
      if (!/^(node-\d+(\.log)?|cluster-(created|id))$/.test(name)) continue;
      await fs.rm(path.join(dataDir, name), { recursive: true });
    }
  }

  #arguments(index: number): string[] {
    const { dataDir } = this.#options;
    const own = this.#ports[index] as NodePorts;
    const others = this.#ports.filter((each) => each !== own).map(({ peer }) => `${HOST}:${peer}`);
    const creates = index === 0 && !existsSync(this.#createdFile);
    const join = creates || others.length === 0 ? [] : ['--join', others.join(',')];
    return [
      'node',
      ...['--cluster-id', this.#clusterId],
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
    const { signal } = this.#options;
    const votersCount = this.#ports.length >= VOTERS_MAX ? VOTERS_MAX : 1;
    while (!signal.aborted) {
      if (await this.#isServing(votersCount)) return true;
      await sleep(POLL_MS);
    }
    return false;
  }

  async #isServing(votersCount: number): Promise<boolean> {
    const addresses = this.#ports.map(({ client }) => `${HOST}:${client}`);
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

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
import { DEFAULT_ADDRESS } from '../values.ts';
import type { NodePorts } from './ports.ts';

/** Held by the supervisor in the data directory, and by each node in its own. */
const LOCK_FILE = 'LOCK';

const CREATED_FILE = 'cluster-created';
const CLUSTER_ID_FILE = 'cluster-id';
const CLUSTER_ID_BYTES = 16;
const POLL_MS = 100;
/** A start that takes so long says what it waits for, and again from time to time. */
const FIRST_NOTE_MS = 5000;
const NOTE_INTERVAL_MS = 10_000;
const ATTEMPT_MS = 2000;
const VOTERS_MAX = 3;

export interface DevClusterOptions {
  /** Called once the data directory is this supervisor's; before it is made, where there is none. */
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
    // What is refused leaves nothing behind.
    const early = existsSync(dataDir) ? null : await this.#options.choosePorts();
    await fs.mkdir(dataDir, { recursive: true });
    const lock = lockFile(path.join(dataDir, LOCK_FILE));
    try {
      if (isFresh) await this.#deleteData();
      this.#ports = early ?? (await this.#options.choosePorts());
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
        // The commands of another terminal would go to whoever listens on the usual port.
        const [first = ''] = addresses;
        if (first !== DEFAULT_ADDRESS) output.note(`export WALRUS_ADDR=${first}`);
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
    const known = existsSync(file) ? (await fs.readFile(file, 'utf8')).trim() : '';
    if (known !== '') return known; // it is empty when its writing was cut off: no node has started then
    const clusterId = randomBytes(CLUSTER_ID_BYTES).toString('hex');
    await fs.writeFile(file, clusterId);
    return clusterId;
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
    let nextNoteMs = performance.now() + FIRST_NOTE_MS;
    while (!signal.aborted) {
      const missing = await this.#missing(votersCount);
      if (missing === null) return true;
      if (performance.now() >= nextNoteMs) {
        nextNoteMs = performance.now() + NOTE_INTERVAL_MS;
        this.#options.output.note(`walrus: the cluster is starting, waiting for ${missing}`);
      }
      await sleep(POLL_MS);
    }
    return false;
  }

  /** The nodes that are waited for, each with the last line of its log. */
  async #describe(ids: readonly number[]): Promise<string> {
    const lines = ids.map(async (id) => {
      const file = path.join(this.#options.dataDir, `node-${id}.log`);
      const log = await fs.readFile(file, 'utf8').catch(() => '');
      return `node ${id} (${log.trimEnd().split('\n').at(-1) || 'its process is starting'})`;
    });
    return (await Promise.all(lines)).join(', ');
  }

  /** What is not there yet; null when everything is. */
  async #missing(votersCount: number): Promise<string | null> {
    const addresses = this.#ports.map(({ client }) => `${HOST}:${client}`);
    const ids = this.#ports.map((_, index) => index + 1);
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
      const alive = new Set(
        nodes.filter(({ isAlive }) => isAlive).map(({ nodeId }) => Number(nodeId)),
      );
      const absent = ids.filter((id) => !alive.has(id));
      if (absent.length > 0) return await this.#describe(absent);
      if (raft.voters.length >= votersCount) return null;
      return `${votersCount} voters of the metadata: there are ${raft.voters.length}`;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      return await this.#describe(isCreated ? ids : ids.slice(0, 1));
    } finally {
      client.abort();
    }
  }
}

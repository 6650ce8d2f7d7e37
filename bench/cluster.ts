/** Real node processes on free ports of this machine. */
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { connect } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import { startNode, waitFor } from './processes.ts';

const HOST = '127.0.0.1';
/** Below the range from which the system takes ports for outgoing connections. */
const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
const PORT_TRIES_MAX = 1000;
const READY_MS_MAX = 60_000;
const ASK_MS = 1000;

interface BenchNode {
  readonly id: number;
  readonly dataDir: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly httpPort: number;
  readonly args: readonly string[];
  process: ChildProcess | null;
}

export class Cluster {
  readonly #nodes: readonly BenchNode[];
  readonly #directory: string;
  readonly client: Client;

  private constructor(nodes: readonly BenchNode[], directory: string, client: Client) {
    this.#nodes = nodes;
    this.#directory = directory;
    this.client = client;
  }

  /** Starts nodes with empty disks and waits until all serve. */
  static async start(directory: string, count: number): Promise<Cluster> {
    fs.mkdirSync(directory, { recursive: true });
    const ports = await freePorts(3 * count);
    const nodes = Array.from({ length: count }, (_, index) =>
      describeNode(index + 1, directory, ports.slice(3 * index)),
    );
    const addresses = nodes.map(({ clientAddress }) => clientAddress);
    const client = await connect({ addresses, clientName: 'bench' });
    const cluster = new Cluster(nodes, directory, client);
    try {
      cluster.startNode(1, { isCreator: true });
      for (let id = 2; id <= count; id += 1) cluster.startNode(id);
      for (let id = 1; id <= count; id += 1) await cluster.untilReady(id);
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  get addresses(): string[] {
    return this.#nodes.map(({ clientAddress }) => clientAddress);
  }

  get ids(): number[] {
    return this.#nodes.map(({ id }) => id);
  }

  dataDirOf(id: number): string {
    return this.#node(id).dataDir;
  }

  pidOf(id: number): number {
    return this.#node(id).process?.pid ?? 0;
  }

  addressOf(id: number): string {
    return this.#node(id).clientAddress;
  }

  startNode(id: number, { isCreator = false } = {}): void {
    const node = this.#node(id);
    const others = this.#nodes.filter((other) => other !== node);
    const join = others.map(({ peerAddress }) => peerAddress).join(',');
    const log = fs.openSync(path.join(this.#directory, `node-${id}.log`), 'a');
    const args = isCreator || join === '' ? node.args : [...node.args, '--join', join];
    node.process = startNode('cli/walrus.mjs', args, ['ignore', log, log]);
    fs.closeSync(log);
  }

  /** Waits until the node says that it serves. */
  async untilReady(id: number): Promise<void> {
    const node = this.#node(id);
    await waitFor(`node ${id} serves`, READY_MS_MAX, () => isReady(node.httpPort));
  }

  /** Ends a node's process at once. */
  async kill(id: number): Promise<void> {
    const node = this.#node(id);
    const child = node.process;
    node.process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** Ends everything and removes the data. */
  async end(): Promise<void> {
    this.client.abort();
    for (const { id } of this.#nodes) await this.kill(id);
    fs.rmSync(this.#directory, { recursive: true });
  }

  #node(id: number): BenchNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }
}

function describeNode(id: number, directory: string, ports: readonly number[]): BenchNode {
  const [clientPort = 0, peerPort = 0, httpPort = 0] = ports;
  const dataDir = path.join(directory, `node-${id}`);
  return {
    id,
    dataDir,
    clientAddress: `${HOST}:${clientPort}`,
    peerAddress: `${HOST}:${peerPort}`,
    httpPort,
    args: [
      ...['node', '--node-id', String(id), '--data-dir', dataDir],
      ...['--client-port', String(clientPort), '--peer-port', String(peerPort)],
      ...['--http-port', String(httpPort)],
    ],
    process: null,
  };
}

function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: HOST, port, path: '/readyz', agent: false, timeout: ASK_MS };
    const request = http.get(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries += 1) {
    if (tries >= PORT_TRIES_MAX) throw new Error(`cannot find ${count} free ports`);
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

/** The cluster under test: its processes and what it says of itself. */
import fs from 'node:fs';
import path from 'node:path';
import { connect, isWalrusError } from '../../client/index.ts';
import type { Client } from '../../client/index.ts';
import { NodeProcess } from './nodeProcess.ts';
import { freePorts } from './ports.ts';
import { waitFor } from './wait.ts';

/** How long the cluster may take to be whole again after a fault. */
export const WHOLE_MS_MAX = 60_000;
const PORTS_PER_NODE = 3;
/** How long one question to the cluster may take. */
const ASK_TIMEOUT_MS = 5000;

export interface ClusterOptions {
  readonly nodesCount: number;
  readonly directory: string;
  /** The arguments of node before the settings. */
  readonly command: readonly string[];
  /** Settings of every node. */
  readonly settings: readonly string[];
}

export class Cluster {
  readonly nodes: readonly NodeProcess[];
  /** Everything that went wrong with the processes. */
  readonly failures: string[];
  readonly #settings: readonly string[];
  readonly #client: Client;

  private constructor(
    parts: Pick<Cluster, 'nodes' | 'failures'>,
    client: Client,
    options: ClusterOptions,
  ) {
    this.nodes = parts.nodes;
    this.failures = parts.failures;
    this.#client = client;
    this.#settings = options.settings;
  }

  /** Starts all nodes and waits until they serve. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const { directory, nodesCount, command } = options;
    const logDir = path.join(directory, 'logs');
    fs.mkdirSync(logDir, { recursive: true });
    const ports = await freePorts(PORTS_PER_NODE * nodesCount);
    const failures: string[] = [];
    const nodes = Array.from({ length: nodesCount }, (_, i) => {
      const [client = 0, peer = 0, http = 0] = ports.slice(i * PORTS_PER_NODE);
      return new NodeProcess({
        nodeId: i + 1,
        command,
        ports: { client, peer, http },
        dataDir: path.join(directory, `node-${i + 1}`),
        logDir,
        onUnexpectedEnd: (message) => failures.push(message),
      });
    });
    const addresses = nodes.map((node) => node.clientAddress);
    const client = await connect({
      addresses,
      clientName: 'chaos',
      requestTimeoutMs: ASK_TIMEOUT_MS,
    });
    const cluster = new Cluster({ nodes, failures }, client, options);
    try {
      // The first node creates the cluster; from then on everyone joins, so that an emptied disk creates none.
      for (const node of nodes) cluster.startNode(node, { isCreator: node.nodeId === 1 });
      await cluster.waitUntilReady();
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  get addresses(): string[] {
    return this.nodes.map((node) => node.clientAddress);
  }

  /** Starts a node's process. `extra`: settings for this life only. */
  startNode(
    node: NodeProcess,
    { isCreator = false, mayEnd = false, extra = [] as readonly string[] } = {},
  ): void {
    const others = this.nodes.filter((other) => other !== node);
    const join = isCreator ? [] : ['--join', others.map((each) => each.peerAddress).join(',')];
    node.start([...this.#settings, ...join, ...extra], { mayEnd });
  }

  /** Waits until every node serves. @throws {DeadlineError} */
  async waitUntilReady(): Promise<void> {
    for (const node of this.nodes) {
      await waitFor(`node ${node.nodeId} serves`, WHOLE_MS_MAX, () => node.isReady());
    }
  }

  async createTopic(name: string): Promise<void> {
    const replication = { replicas: 3, ackQuorum: 2 };
    await this.#client.admin.createTopic({ name, ...replication, ifNotExists: true });
  }

  /** Who leads a topic's partition 0; null while nobody does, or nobody can say. */
  async leaderOf(topic: string): Promise<NodeProcess | null> {
    return await this.#ask(async () => {
      const { topics } = await this.#client.admin.metadata();
      return topics.find(({ name }) => name === topic)?.partitions[0]?.leader ?? null;
    });
  }

  /** Who leads the metadata; null while nobody can say. */
  async metadataLeader(): Promise<NodeProcess | null> {
    return await this.#ask(
      async () => (await this.#client.admin.metadata()).metadataLeader ?? null,
    );
  }

  async #ask(question: () => Promise<number | null>): Promise<NodeProcess | null> {
    try {
      const id = await question();
      return this.nodes.find(({ nodeId }) => nodeId === id) ?? null;
    } catch (error) {
      if (isWalrusError(error)) return null;
      throw error;
    }
  }

  /** How many nodes vote on the metadata; null while nobody can say. */
  async votersCount(): Promise<number | null> {
    try {
      return (await this.#client.admin.describeCluster()).raft.voters.length;
    } catch (error) {
      if (isWalrusError(error)) return null;
      throw error;
    }
  }

  /** How many of the topics' sealed segments lack a copy or have a damaged one, and how many segments there are; null: cannot be asked. */
  async segments(
    topics: readonly string[],
  ): Promise<{ readonly count: number; readonly lackingCount: number } | null> {
    try {
      const found = await Promise.all(
        topics.map((topic) => this.#client.admin.describeTopic(topic)),
      );
      const { disks } = await this.#client.admin.describeCluster();
      const lost = new Set(
        disks.filter(({ state }) => state === 'LOST').map(({ diskId }) => diskId),
      );
      const segments = found.flatMap(({ partitions }) =>
        partitions.flatMap((each) => each.segments),
      );
      const lacking = segments.filter(
        ({ isUnderReplicated, ensemble, damagedNodes }) =>
          isUnderReplicated ||
          damagedNodes.length > 0 ||
          ensemble.some(({ diskId }) => lost.has(diskId)),
      );
      return { count: segments.length, lackingCount: lacking.length };
    } catch (error) {
      if (isWalrusError(error)) return null;
      throw error;
    }
  }

  /** Ends all processes and connections. */
  async end(): Promise<void> {
    this.#client.abort();
    for (const node of this.nodes) node.thaw();
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}

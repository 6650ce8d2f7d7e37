/** The admin API of real nodes: a cluster begins by a word, drains, moves its leader, and says who may be restarted. */
import { afterEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type {
  ClusterStatus,
  DrainStatus,
  NodeStatus,
  Verdict,
  VotersStatus,
} from '../../protocol/admin/types.ts';
import { NodeProcess } from '../chaos/nodeProcess.ts';
import { freePorts } from '../chaos/ports.ts';
import { waitFor } from '../chaos/wait.ts';

const MAIN = path.resolve(__dirname, '..', '..', 'cli', 'main.ts');
const CLUSTER_ID = 'c'.repeat(32);
const TEST_MS_MAX = 240_000;
const WAIT_MS_MAX = 60_000;
const COMMAND_MS_MAX = 60_000;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, TEST_MS_MAX);

/** Nodes with the same addresses, one of which no name stands for yet, as pods have them. */
class Pods {
  readonly nodes: readonly NodeProcess[];
  readonly #settings: readonly string[];

  private constructor(nodes: readonly NodeProcess[]) {
    this.nodes = nodes;
    const join = ['walrus-9.walrus.invalid:6001', ...nodes.map((node) => node.peerAddress)];
    this.#settings = [
      ...['--cluster-id', CLUSTER_ID, '--join', join.join(',')],
      ...['--shutdown-timeout', '3s'],
    ];
  }

  static async create(count = 3): Promise<Pods> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-admin-'));
    cleanups.push(() => fs.rmSync(directory, { recursive: true, force: true }));
    const ports = await freePorts(3 * count);
    const nodes = Array.from({ length: count }, (_, index) => {
      const nodeId = index + 1;
      const [client = 0, peer = 0, http = 0] = ports.slice(3 * (nodeId - 1));
      return new NodeProcess({
        nodeId,
        command: [MAIN, 'node'],
        ports: { client, peer, http },
        dataDir: path.join(directory, `node-${nodeId}`),
        logDir: directory,
        onUnexpectedEnd: () => undefined,
      });
    });
    for (const node of nodes) cleanups.push(() => node.kill());
    return new Pods(nodes);
  }

  start(node: NodeProcess): void {
    node.start(this.#settings);
  }

  node(nodeId: number): NodeProcess {
    return this.nodes[nodeId - 1] as NodeProcess;
  }

  async everyoneServes(nodes = this.nodes): Promise<void> {
    await waitFor('all nodes serve', WAIT_MS_MAX, async () => {
      const ready = await Promise.all(nodes.map((node) => node.isReady()));
      return ready.every(Boolean);
    });
  }

  async begin(): Promise<string> {
    const first = this.node(1);
    const { diskId } = await waiting(first);
    const begun = await ask(first, 'POST', '/bootstrap', { clusterId: CLUSTER_ID, diskId });
    expect(begun.status).toBe(200);
    return diskId ?? '';
  }
}

interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

async function ask<T>(
  { ports }: NodeProcess,
  method: string,
  route: string,
  body?: unknown,
): Promise<Answer<T>> {
  const headers = { 'content-type': 'application/json' };
  const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${ports.http}/admin/v1${route}`, init);
  return { status: response.status, body: (await response.json()) as T };
}

/** The status of a node once it waits for its cluster, on a disk of its own. */
async function waiting(node: NodeProcess): Promise<NodeStatus> {
  const seen: NodeStatus[] = [];
  await waitFor(`node ${node.nodeId} waits`, WAIT_MS_MAX, async () => {
    const status = await ask<NodeStatus>(node, 'GET', '/node').then(
      ({ body }) => body,
      () => null, // nobody listens yet
    );
    if (status?.phase !== 'Joining' || status.diskId === null) return false;
    seen.push(status);
    return true;
  });
  return seen[0]!;
}

interface Outcome {
  readonly code: number | null;
  readonly said: string;
}

function walrus(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], { timeout: COMMAND_MS_MAX });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

test(
  'a cluster begins once, on the disk that was named, whatever dies meanwhile',
  async () => {
    const pods = await Pods.create();
    const [first, second, third] = pods.nodes as [NodeProcess, NodeProcess, NodeProcess];
    for (const node of [third, first]) pods.start(node);
    const { diskId } = await waiting(first);
    const request = { clusterId: CLUSTER_ID, diskId };
    await first.kill(); // noted, and not yet asked
    pods.start(first);
    expect((await waiting(first)).diskId).toBe(diskId);
    expect(await ask(third, 'POST', '/bootstrap', request)).toMatchObject({
      status: 409,
      body: { reason: 'OtherDisk' },
    });
    // A node that waits ends when it is told to, and has nothing to drain.
    expect((await walrus('drain', '--http', `127.0.0.1:${third.ports.http}`)).code).toBe(0);
    expect(await third.stop()).toEqual({ code: 0, signal: null });
    pods.start(third);
    const asked = [1, 2].map(() => ask(first, 'POST', '/bootstrap', request));
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200]);
    await first.kill();
    for (const node of [first, second]) pods.start(node);
    await pods.everyoneServes();
    const again = await ask<NodeStatus>(first, 'POST', '/bootstrap', request);
    expect(again).toMatchObject({ status: 200, body: { phase: 'Serving', diskId } });
    const other = await ask<NodeStatus>(second, 'GET', '/node');
    const wrong = { clusterId: CLUSTER_ID, diskId: other.body.diskId };
    expect(await ask(second, 'POST', '/bootstrap', wrong)).toMatchObject({
      status: 409,
      body: { reason: 'AlreadyBootstrapped' },
    });
    // The whole cluster is started again: nobody waits for anybody to tell it of the cluster.
    await Promise.all(pods.nodes.map((node) => node.kill()));
    for (const node of pods.nodes) pods.start(node);
    await pods.everyoneServes();
  },
  TEST_MS_MAX,
);

async function statusOf(node: NodeProcess): Promise<ClusterStatus> {
  return (await ask<ClusterStatus>(node, 'GET', '/cluster')).body;
}

/** Waits until any node may be restarted, as all of them say. */
async function untilWell(pods: Pods): Promise<void> {
  await waitFor('every node may be restarted', WAIT_MS_MAX, async () => {
    const verdicts = pods.nodes.map(({ nodeId }, at) =>
      ask<Verdict>(pods.node(1 + ((at + 1) % 3)), 'GET', `/nodes/${nodeId}/can-restart`),
    );
    return (await Promise.all(verdicts)).every(
      ({ status, body }) => status === 200 && body.isAllowed,
    );
  });
}

test(
  'nodes are restarted one after the other, each drained before, and the leader last',
  async () => {
    const pods = await Pods.create();
    for (const node of pods.nodes) pods.start(node);
    await pods.begin();
    await pods.everyoneServes();
    const addresses = pods.nodes.map((node) => node.clientAddress).join(',');
    const created = await walrus('topic', 'create', 't', '--partitions', '6', '--addr', addresses);
    expect(created).toMatchObject({ code: 0 });
    await untilWell(pods);
    const { epoch, leader } = await statusOf(pods.node(3));
    expect(leader.isFresh).toBe(true);
    const stale = await ask(pods.node(2), 'POST', '/leadership', { to: null, epoch: epoch - 1 });
    expect(stale).toMatchObject({ status: 409, body: { reason: 'StaleEpoch' } });
    const moved = await ask(pods.node(2), 'POST', '/leadership', { to: 3, epoch });
    expect(moved).toMatchObject({ status: 200, body: { nodeId: 3 } });
    for (const node of pods.nodes) {
      await untilWell(pods);
      const drained = await walrus('drain', '--http', `127.0.0.1:${node.ports.http}`, '--json');
      expect(drained.code).toBe(0);
      expect(JSON.parse(drained.said)).toMatchObject({
        isDrained: true,
        ledSegments: 0,
        leadsMetadata: false,
      } satisfies Partial<DrainStatus>);
      const busy = pods.node(1 + (node.nodeId % 3));
      await waitFor('no other one may be restarted', WAIT_MS_MAX, async () => {
        const { body } = await ask<Verdict>(busy, 'GET', `/nodes/${busy.nodeId}/can-restart`);
        return !body.isAllowed && body.reason === 'AnotherNodeIsDown';
      });
      expect(await node.stop()).toEqual({ code: 0, signal: null });
      pods.start(node);
      await pods.everyoneServes();
    }
    await untilWell(pods);
    const asked = await walrus('cluster', 'can-restart', '2', '--addr', addresses);
    expect(asked).toEqual({ code: 0, said: 'node 2 may be restarted\n' });
    const well = await statusOf(pods.node(1));
    expect(
      well.nodes.map(({ isAlive, isDraining, isCaughtUp }) => [isAlive, isDraining, isCaughtUp]),
    ).toEqual(Array(3).fill([true, false, true]));
    expect(well.segments).toMatchObject({ open: 6, unavailable: 0 });
    // Alone there is nobody to take over, and nobody who could decide anything.
    await Promise.all([pods.node(2).kill(), pods.node(3).kill()]);
    const alone = await walrus('drain', '--http', `127.0.0.1:${pods.node(1).ports.http}`);
    expect(alone).toMatchObject({ code: 0, said: expect.stringContaining('no other node') });
    const undone = await walrus(
      'drain',
      '--undo',
      '--http',
      `127.0.0.1:${pods.node(1).ports.http}`,
    );
    expect(undone.code).toBe(0);
    expect(await ask(pods.node(1), 'GET', '/nodes/1/can-restart')).toMatchObject({
      status: 503,
      body: { reason: 'NoLeader' },
    });
  },
  TEST_MS_MAX,
);

test(
  'three voters become five once there are five nodes, and do without any two; five become three again',
  async () => {
    const pods = await Pods.create(5);
    const firstThree = pods.nodes.slice(0, 3);
    for (const node of firstThree) pods.start(node);
    await pods.begin();
    await pods.everyoneServes(firstThree);
    const addresses = pods.nodes.map((node) => node.clientAddress).join(',');
    const command = (...args: string[]): Promise<Outcome> => walrus(...args, '--addr', addresses);
    const becomes = async (count: number): Promise<void> => {
      await waitFor(`${count} vote`, WAIT_MS_MAX, async () => {
        const { code, said } = await command('cluster', 'set-voters', String(count), '--json');
        return code === 0 && (JSON.parse(said) as VotersStatus).voters === count;
      });
    };
    await becomes(3);
    const tooMany = await command('cluster', 'set-voters', '5');
    expect(tooMany).toMatchObject({ code: 1, said: expect.stringContaining('has 3 nodes') });
    expect((await command('cluster', 'set-voters', '4')).code).toBe(2);
    for (const node of pods.nodes.slice(3)) pods.start(node);
    await pods.everyoneServes();
    await becomes(5);
    const created = await command('topic', 'create', 't', '--replicas', '5');
    expect(created).toMatchObject({ code: 0 });
    const { leader } = await statusOf(pods.node(1));
    // The leader, and one of those that vote since the beginning.
    const first = pods.node(leader.nodeId ?? 1);
    const second = firstThree.find((node) => node !== first) as NodeProcess;
    await Promise.all([first.kill(), second.kill()]);
    expect(await command('put', 't', 'written by three of five')).toMatchObject({ code: 0 });
    expect((await command('topic', 'create', 'u', '--replicas', '3')).code).toBe(0);
    // Those that are down stop voting.
    await becomes(3);
    const left = pods.nodes.filter((node) => node !== first && node !== second);
    const { nodes } = await statusOf(left[0] as NodeProcess);
    expect(nodes.flatMap(({ nodeId, role }) => (role === 'Voter' ? [nodeId] : [])).sort()).toEqual(
      left.map(({ nodeId }) => nodeId),
    );
    for (const node of [first, second]) pods.start(node);
    await pods.everyoneServes();
    await becomes(5);
  },
  TEST_MS_MAX,
);

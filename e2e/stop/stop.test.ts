/**
 * A node that is asked to end does so, with exit code 0 and in bounded time, whatever it is doing. Real processes:
 * what keeps one alive is a timer, a socket or a descriptor of the real machine.
 */
import { afterEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Cluster } from '../chaos/cluster.ts';
import { NodeProcess } from '../chaos/nodeProcess.ts';
import { freePorts } from '../chaos/ports.ts';
import { waitFor } from '../chaos/wait.ts';

const CLI = path.resolve(__dirname, '..', '..', 'cli', 'walrus.mjs');
const WALRUS = [CLI, 'node'];
const SHUTDOWN_TIMEOUT_MS = 2000;
/** The time-out, what closing takes, and room for a busy machine. */
const STOP_MS_MAX = SHUTDOWN_TIMEOUT_MS + 6000;
/** Of all nodes that end together: far below the time that they would have to hand over to each other. */
const TOGETHER_MS_MAX = 20_000;
/** So many that some leadership would be on its way at any time. */
const TOPICS_COUNT = 12;
const TEST_MS_MAX = 120_000;
const START_MS_MAX = 60_000;
const NODES_COUNT = 3;
const SETTINGS = ['--shutdown-timeout', `${SHUTDOWN_TIMEOUT_MS}ms`];

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, TEST_MS_MAX);

function newDirectory(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-stop-'));
  cleanups.push(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function startCluster(settings: readonly string[] = SETTINGS): Promise<Cluster> {
  const directory = newDirectory();
  const options = { nodesCount: NODES_COUNT, directory, command: WALRUS, settings };
  const cluster = await Cluster.start(options);
  cleanups.push(() => cluster.end());
  await cluster.createTopic('t');
  // They serve before they vote, and a node that alone votes waits for nobody.
  const isVoted = async (): Promise<boolean> => (await cluster.votersCount()) === NODES_COUNT;
  await waitFor('every node votes', START_MS_MAX, isVoted);
  return cluster;
}

/** A node on its own, which nobody waits for. */
async function startNode(...settings: string[]): Promise<NodeProcess> {
  const directory = newDirectory();
  const [client = 0, peer = 0, http = 0] = await freePorts(3);
  const node = new NodeProcess({
    nodeId: 1,
    command: WALRUS,
    ports: { client, peer, http },
    dataDir: path.join(directory, 'data'),
    logDir: directory,
    onUnexpectedEnd: () => undefined,
  });
  cleanups.push(() => node.kill());
  node.start([...SETTINGS, ...settings]);
  return node;
}

/** Stops a node and expects that it ends as it should. */
async function expectStop(node: NodeProcess): Promise<void> {
  const startMs = performance.now();
  const ending = await node.stop();
  const tookMs = performance.now() - startMs;
  const said = node.readLog();
  expect({ node: node.nodeId, ending, said }).toEqual({
    node: node.nodeId,
    ending: { code: 0, signal: null },
    said: expect.not.stringContaining('was held by'),
  });
  expect(tookMs).toBeLessThan(STOP_MS_MAX);
}

const FRAMES_AT_ONCE = 64;

function frames(command: string, count: number): Buffer {
  const bytes = Buffer.from(command);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat(Array.from({ length: count }, () => [length, bytes]).flat());
}

/** Sends commands through a node, more with every reply, until the node closes the connection. */
function send(address: string, command: string): void {
  const [host = '', port = ''] = address.split(':');
  const socket = net.connect(Number(port), host);
  const more = frames(command, FRAMES_AT_ONCE);
  socket.on('connect', () => socket.write(more));
  socket.on('data', () => {
    if (socket.writableLength === 0) socket.write(more);
  });
  socket.on('error', () => undefined); // the node has gone
  cleanups.push(() => void socket.destroy());
}

/** Writes and reads through all nodes. */
function load(cluster: Cluster): void {
  for (const address of cluster.addresses) {
    for (let i = 0; i < 4; i += 1) send(address, `PUT t ${'x'.repeat(500)}`);
    send(address, 'GET t');
  }
}

test(
  'under load, one node after the other, the last ones without a quorum',
  async () => {
    const cluster = await startCluster();
    load(cluster);
    const leader = await cluster.leaderOf('t');
    const order = [...cluster.nodes].sort((a) => (a === leader ? -1 : 1));
    for (const node of order) await expectStop(node);
  },
  TEST_MS_MAX,
);

test(
  'all nodes at once',
  async () => {
    const cluster = await startCluster();
    load(cluster);
    await Promise.all(cluster.nodes.map(expectStop));
  },
  TEST_MS_MAX,
);

/** As on Kubernetes, where each has its hook before it is stopped. */
async function drainAndStop(node: NodeProcess): Promise<void> {
  const http = `127.0.0.1:${node.ports.http}`;
  const args = [CLI, 'drain', '--wait', '30s', '--http', http];
  const drain = spawn(process.execPath, args, { stdio: 'ignore' });
  const [code] = (await once(drain, 'exit')) as [number | null];
  expect(code).toBe(0);
  await expectStop(node);
}

test.each([
  ['stopped', expectStop],
  ['drained and stopped', drainAndStop],
])(
  'all nodes at once that are %s hand nothing over to each other, and so wait for nobody',
  async (_, stop) => {
    const cluster = await startCluster(['--shutdown-timeout', '30s']);
    const topics = Array.from({ length: TOPICS_COUNT }, (__, index) => `t-${index}`);
    for (const topic of topics) await cluster.createTopic(topic);
    load(cluster);
    const startMs = performance.now();
    await Promise.all(cluster.nodes.map(stop));
    expect(performance.now() - startMs).toBeLessThan(TOGETHER_MS_MAX);
  },
  TEST_MS_MAX,
);

test(
  'while segments are being recovered',
  async () => {
    const cluster = await startCluster();
    load(cluster);
    const leader = await cluster.leaderOf('t');
    await leader?.kill();
    await Promise.all(cluster.nodes.filter((node) => node !== leader).map(expectStop));
  },
  TEST_MS_MAX,
);

test(
  'without a quorum from the start, with a request under way',
  async () => {
    const cluster = await startCluster();
    const [one, ...others] = cluster.nodes as [NodeProcess, ...NodeProcess[]];
    await Promise.all(others.map((node) => node.kill()));
    send(one.clientAddress, 'PUT t x');
    await expectStop(one);
  },
  TEST_MS_MAX,
);

test(
  'while it looks for a cluster to join',
  async () => {
    const node = await startNode('--join', '127.0.0.1:1');
    await waitFor('it asks', START_MS_MAX, () => node.readLog().includes('does not answer yet'));
    await expectStop(node);
  },
  TEST_MS_MAX,
);

test(
  'while it waits for the rest of its cluster',
  async () => {
    const cluster = await startCluster();
    await Promise.all(cluster.nodes.map((node) => node.kill()));
    const [one] = cluster.nodes as [NodeProcess];
    cluster.startNode(one);
    const hasAsked = (): boolean => one.readLog().includes('waits for a majority of the voters');
    await waitFor('it asks', START_MS_MAX, hasAsked);
    await expectStop(one);
  },
  TEST_MS_MAX,
);

test(
  'at every moment of its start',
  async () => {
    for (const momentMs of [60, 120, 180, 240, 300, 360, 420, 500, 700]) {
      const node = await startNode();
      await new Promise((resolve) => setTimeout(resolve, momentMs)); // the moments are the test
      const { code, signal } = await node.stop();
      // Before the very first line of its code ran, the signal itself ends a process.
      const isOk = code === 0 || signal === 'SIGTERM';
      expect({ momentMs, code, signal, isOk, said: node.readLog() }).toMatchObject({ isOk: true });
    }
  },
  TEST_MS_MAX,
);

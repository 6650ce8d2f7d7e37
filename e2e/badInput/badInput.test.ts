/**
 * What nobody should send, at every port of a real cluster: each gets its answer, and nobody else is disturbed. The
 * starts of a node that must be refused, too.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Cluster } from '../chaos/cluster.ts';

const MAIN = path.resolve(__dirname, '..', '..', 'cli', 'main.ts');
const TEST_MS_MAX = 120_000;
const MIB = 1024 * 1024;

let directory = '';
let cluster: Cluster;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-bad-'));
  const command = [MAIN, 'node'];
  cluster = await Cluster.start({ nodesCount: 3, directory, command, settings: [] });
  await cluster.createTopic('t');
}, TEST_MS_MAX);

afterAll(async () => {
  await cluster.end();
  fs.rmSync(directory, { recursive: true, force: true });
}, TEST_MS_MAX);

function frame(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function node(index = 0) {
  const found = cluster.nodes[index];
  if (found === undefined) throw new Error('There are three nodes');
  return found;
}

/** Sends bytes and the end, and takes everything until the node has closed, too. */
function talk(port: number, bytes: Buffer | string): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('connect', () => socket.end(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined); // closed while more was on its way
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

const WLR1 = Buffer.from('WLR1');
const binary = (...bytes: number[]): Buffer => Buffer.concat([WLR1, frame(Buffer.from(bytes))]);
const NAMES = 'only A-Z, a-z, 0-9';

const TO_CLIENT_PORT: readonly (readonly [string, Buffer | string, string])[] = [
  ['a name of 250 characters', frame(`REGISTER ${'a'.repeat(250)}`), 'ERR invalid topic name'],
  ['the name ..', frame('REGISTER ..'), 'ERR invalid topic name'],
  ['a name with a slash', frame('REGISTER a/b'), NAMES],
  ['a name that is not UTF-8', frame(Buffer.from('REGISTER \xff\xfe', 'latin1')), NAMES],
  ['a name that clients cannot have', frame('REGISTER $text'), NAMES],
  ['two names', frame('REGISTER a b'), 'ERR REGISTER takes one topic'],
  ['no name', frame('REGISTER'), 'ERR REGISTER requires a topic'],
  ['a topic that is not there', frame('PUT nope x'), 'ERR unknown topic nope'],
  ['no payload', frame('PUT t'), 'ERR PUT requires a payload'],
  ['another command', frame('FLUSHALL'), 'ERR unknown command'],
  ['bytes that are no text', frame(Buffer.from([0x80, 0x81])), 'ERR unknown command'],
  ['an empty frame', frame(''), 'ERR invalid frame length'],
  ['a frame over the limit', frame(`PUT t ${'x'.repeat(MIB)}`), 'ERR invalid frame length'],
  ['a length of 4 GiB', Buffer.from([255, 255, 255, 255, 1]), 'ERR invalid frame length'],
  ['half a length', Buffer.from([5, 0]), ''],
  ['half a frame', Buffer.from([5, 0, 0, 0, 71]), ''],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'client port of a Walrus node'],
  ['TLS', Buffer.from('16030100c8010000c40303', 'hex'), '\x15\x03'],
  ['a request of another version', binary(1, 0, 9, 0, 1, 0, 0, 0), 'this node speaks 0 to 0'],
  ['a request that is not known', binary(0xe7, 3, 0, 0, 1, 0, 0, 0), 'does not know it'],
  ['a request that is cut short', binary(2, 0, 0, 0, 1, 0, 0, 0), 'Cannot read'],
  ['half a header', binary(1), 'Cannot read a request header'],
  ['a binary frame of 1 GiB', Buffer.from([...WLR1, 0, 0, 0, 64]), 'the limit is'],
];

const TO_PEER_PORT: readonly (readonly [string, Buffer | string, string])[] = [
  ['a text command', frame('REGISTER t'), 'ERR This is the peer port of a Walrus node'],
  ['the binary protocol', binary(1, 0, 0, 0, 1, 0, 0, 0), 'This is the peer port'],
  ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'This is the peer port'],
  ['half a frame', Buffer.from([48, 0, 0]), ''],
];

async function expectUndisturbed(): Promise<void> {
  for (const each of cluster.nodes) {
    expect(await each.isReady()).toBe(true);
    expect(await talk(each.ports.client, frame('PUT t x'))).toContain('OK');
  }
  expect(cluster.failures).toEqual([]);
}

test.each(TO_CLIENT_PORT)(
  'at the client port: %s',
  async (_what, bytes, answer) => {
    expect(await talk(node().ports.client, bytes)).toContain(answer);
  },
  TEST_MS_MAX,
);

test.each(TO_PEER_PORT)(
  'at the peer port: %s',
  async (_what, bytes, answer) => {
    expect(await talk(node().ports.peer, bytes)).toContain(answer);
  },
  TEST_MS_MAX,
);

test.each([
  ['a text command', frame('REGISTER t')],
  ['the binary protocol', 'WLR1'],
])(
  'at the http port: %s',
  async (_what, bytes) => {
    expect(await talk(node().ports.http, bytes)).toContain('400 Bad Request');
  },
  TEST_MS_MAX,
);

test(
  'clients that send half a frame, or never read, and stay, harm nobody',
  async () => {
    const { client } = node().ports;
    const stuck = Array.from({ length: 50 }, (_, index) => {
      const socket = net.connect(client, '127.0.0.1').pause();
      socket.on('error', () => undefined);
      socket.write(index % 2 === 0 ? Buffer.from([200, 0, 0, 0, 80]) : frame('METRICS'));
      return socket;
    });
    await expectUndisturbed();
    for (const socket of stuck) socket.destroy();
  },
  TEST_MS_MAX,
);

interface Refused {
  readonly code: number | null;
  readonly err: string;
}

/** Starts a node that is to end by itself. */
function start(args: readonly string[], env: Record<string, string> = {}): Promise<Refused> {
  const ports = ['--client-port', '--peer-port', '--http-port'];
  const free = ports.flatMap((flag) => (args.includes(flag) ? [] : [flag, '0']));
  const child = spawn(process.execPath, [MAIN, 'node', ...free, ...args], {
    env: { ...process.env, ...env },
    timeout: TEST_MS_MAX / 2,
  });
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, err }));
  });
}

test(
  'a node that cannot start says why, with a code, and ends',
  async () => {
    const inUse = node();
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, '{broken');
    const to = (name: string): string[] => ['--data-dir', path.join(directory, name)];
    const cases: readonly (readonly [string[], number, string, Record<string, string>?])[] = [
      [['--max-fram-bytes', '1MiB'], 2, 'did you mean --max-frame-bytes? (INVALID_CONFIG)'],
      [[], 2, 'did you mean WALRUS_ZONE? (INVALID_CONFIG)', { WALRUS_ZON: 'a' }],
      [['--config', file], 2, 'INVALID_CONFIG'],
      [['--client-port', '80000'], 2, 'INVALID_CONFIG'],
      [['--join', 'nonsense'], 2, '"nonsense" must be host:port (INVALID_CONFIG)'],
      [[...to('a'), '--client-port', String(inUse.ports.client)], 1, 'ADDRESS_IN_USE'],
      [[...to('a'), '--peer-port', String(inUse.ports.peer)], 1, 'ADDRESS_IN_USE'],
      [[...to('a'), '--http-port', String(inUse.ports.http)], 1, 'ADDRESS_IN_USE'],
      [['--data-dir', file], 2, 'INVALID_CONFIG'],
      [['--data-dir', '/proc/absent/below'], 2, 'INVALID_CONFIG'],
      [['--data-dir', inUse.dataDir], 1, 'DATA_DIR_LOCKED'],
      [[...to('b'), '--join', inUse.peerAddress], 1, 'DISK_REFUSED'],
    ];
    for (const [args, code, text, env] of cases) {
      const refused = await start(args, env);
      expect({ args, ...refused }).toEqual({ args, code, err: expect.stringContaining(text) });
    }
    await expectUndisturbed();
  },
  TEST_MS_MAX,
);

test(
  'a directory of another node or cluster is refused',
  async () => {
    const stopped = node(2);
    await stopped.stop();
    const asAnother = await start(['--node-id', '7', '--data-dir', stopped.dataDir]);
    expect(asAnother).toEqual({ code: 1, err: expect.stringContaining('WRONG_DATA_DIR') });
    const clusterId = ['--cluster-id', 'c'.repeat(32)];
    const asOther = await start(['--node-id', '3', '--data-dir', stopped.dataDir, ...clusterId]);
    expect(asOther).toEqual({ code: 1, err: expect.stringContaining('WRONG_DATA_DIR') });
    cluster.startNode(stopped);
    await cluster.waitUntilReady();
    await expectUndisturbed();
  },
  TEST_MS_MAX,
);

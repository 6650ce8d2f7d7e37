/** The command line against real nodes: what it prints, its exit codes and its error codes, when things are not well. */
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

const MAIN = path.resolve(__dirname, '..', '..', 'cli', 'main.ts');
const TEST_MS_MAX = 120_000;
const COMMAND_MS_MAX = 60_000;
const WAIT_MS_MAX = 60_000;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, TEST_MS_MAX);

async function startCluster(
  nodesCount: number,
  settings: readonly string[] = [],
): Promise<Cluster> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-cli-'));
  cleanups.push(() => fs.rmSync(directory, { recursive: true, force: true }));
  const cluster = await Cluster.start({
    nodesCount,
    directory,
    command: [MAIN, 'node'],
    settings: ['--shutdown-timeout', '2s', ...settings],
  });
  cleanups.push(() => cluster.end());
  return cluster;
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `walrus`, with what it reads from standard input. */
function walrus(address: string, args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, WALRUS_ADDR: address },
    timeout: COMMAND_MS_MAX,
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on('error', () => undefined); // a command that fails does not read on
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

function lines(from: number, to: number): string {
  return Array.from({ length: to - from }, (_, i) => `${from + i}\n`).join('');
}

/** The exit code with the error's code, as `--json` tells it. */
async function failureOf(address: string, ...args: string[]): Promise<[number | null, string]> {
  const { code, err } = await walrus(address, [...args, '--json']);
  const last = err.trimEnd().split('\n').at(-1) ?? '';
  return [code, (JSON.parse(last) as { error: { code: string } }).error.code];
}

test(
  'each failure has its exit code and one of the codes of docs/errors.md',
  async () => {
    const cluster = await startCluster(1);
    const [address = ''] = cluster.addresses;
    const known = fs.readFileSync(path.resolve(__dirname, '..', '..', 'docs', 'errors.md'), 'utf8');
    const cases: readonly (readonly [string, number, string])[] = [
      ['get nope', 3, 'TOPIC_NOT_FOUND'],
      ['state nope', 3, 'TOPIC_NOT_FOUND'],
      ['put nope x', 3, 'TOPIC_NOT_FOUND'],
      ['register a*b', 2, 'INVALID_TOPIC_NAME'],
      ['topic create t --replicas 2', 2, 'INVALID_REPLICATION'],
      ['produce t package.json --whole-files --delimiter x', 2, 'INVALID_CONFIG'],
      ['node --config /no/such/file', 2, 'INVALID_CONFIG'],
      ['topic list --addr ,', 2, 'INVALID_CONFIG'],
      ['topic describe nope', 3, 'TOPIC_NOT_FOUND'],
      ['group describe nope', 3, 'GROUP_NOT_FOUND'],
      ['group delete nope', 3, 'GROUP_NOT_FOUND'],
      ['topic create t --partitions 0', 2, 'INVALID_CONFIG'],
      ['topic create t --partitions 100000', 2, 'INVALID_CONFIG'],
      ['topic create t --replicas 300 --ack-quorum 2', 2, 'INVALID_REPLICATION'],
      ['consume t --group a*b', 2, 'INVALID_CONFIG'],
      ['consume t --format raw --delimiter x', 2, 'INVALID_CONFIG'],
      ['produce t /no/such/file', 2, 'INVALID_CONFIG'],
      ['nonsense', 2, 'INVALID_CONFIG'],
    ];
    for (const [command, code, errorCode] of cases) {
      expect([command, ...(await failureOf(address, ...command.split(' ')))]).toEqual([
        command,
        code,
        errorCode,
      ]);
      expect(known).toContain(`\`${errorCode}\``);
    }
    expect(await failureOf(address, 'register', 'a b')).toEqual([2, 'INVALID_TOPIC_NAME']);
    const limit = await walrus(address, ['topic', 'create', 't', '--partitions', '100000']);
    expect(limit.err).toContain('with 100000 partitions: a topic has 1 to 1000');
  },
  TEST_MS_MAX,
);

test(
  'help, version and settings need no cluster, and end with 0',
  async () => {
    const { version } = JSON.parse(fs.readFileSync('package.json', 'utf8')) as { version: string };
    const said = { code: 0, out: `walrus ${version}\n`, err: '' };
    expect(await walrus('', ['--version'])).toEqual(said);
    for (const args of [['-h'], ['topic', '-h'], ['consume', '-h'], ['consume', '--help']]) {
      expect(await walrus('', args)).toMatchObject({ code: 0, err: '' });
    }
    const { code, out } = await walrus('', ['node', '--print-config', '--json', '--node-id', '7']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toContainEqual({
      name: 'nodeId',
      value: '7',
      source: 'flag --node-id',
    });
    for (const tool of ['node/sim/main.ts', 'e2e/chaos/main.ts', 'bench/main.ts']) {
      const child = spawn(process.execPath, [tool, '--help'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      const [end] = (await once(child, 'close')) as [number];
      expect({ tool, end, text }).toEqual({
        tool,
        end: 0,
        text: expect.stringContaining('npm run'),
      });
    }
  },
  TEST_MS_MAX,
);

test(
  'a node that is told to join at a client port says so',
  async () => {
    const cluster = await startCluster(1);
    const [address = ''] = cluster.addresses;
    const [client = 0, peerPort = 0, http = 0] = await freePorts(3);
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-cli-'));
    cleanups.push(() => fs.rmSync(directory, { recursive: true, force: true }));
    const node = new NodeProcess({
      nodeId: 2,
      command: [MAIN, 'node'],
      ports: { client, peer: peerPort, http },
      dataDir: path.join(directory, 'data'),
      logDir: directory,
      onUnexpectedEnd: () => undefined,
    });
    cleanups.push(() => node.kill());
    node.start(['--join', address]);
    await waitFor('it says so', WAIT_MS_MAX, () =>
      node.readLog().includes('the client port of a Walrus node; give its peer port'),
    );
  },
  TEST_MS_MAX,
);

test(
  'produce that waits for its input is ended by an interrupt, and what is whole is stored',
  async () => {
    const cluster = await startCluster(1);
    const [address = ''] = cluster.addresses;
    await walrus(address, ['register', 't']);
    const child = spawn(process.execPath, [MAIN, 'produce', 't', '--addr', address]);
    child.stdin.write('one\ntwo\nhalf a li');
    await waitFor('it is stored', WAIT_MS_MAX, async () => {
      return (await walrus(address, ['consume', 't'])).out === 'one\ntwo\n';
    });
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(130);
    expect((await walrus(address, ['consume', 't'])).out).toBe('one\ntwo\n');

    expect((await walrus(address, ['produce', 't', '-'], 'three\n')).code).toBe(0);
    const typed = await walrus(address, ['repl'], 'produce t\nconsume t\n');
    expect(typed).toMatchObject({ code: 2, out: 'one\ntwo\nthree\n' });
    expect(typed.err).toContain('produce needs a FILE here');

    if (!fs.existsSync('/dev/full')) return;
    const full = fs.openSync('/dev/full', 'w');
    const consume = spawn(process.execPath, [MAIN, 'consume', 't', '--addr', address], {
      stdio: ['ignore', full, 'pipe'],
    });
    let said = '';
    consume.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [end] = (await once(consume, 'close')) as [number | null];
    fs.closeSync(full);
    expect([end, said]).toEqual([
      1,
      'walrus: Cannot write to standard output: no space is left there\n',
    ]);
  },
  TEST_MS_MAX,
);

test(
  'records and batches fit what the node takes, or are refused at once',
  async () => {
    const cluster = await startCluster(1, ['--max-frame-bytes', '64KiB']);
    const [address = ''] = cluster.addresses;
    await walrus(address, ['topic', 'create', 't']);
    const input = lines(0, 50_000);
    expect(await walrus(address, ['produce', 't'], input)).toMatchObject({ code: 0, err: '' });
    expect((await walrus(address, ['consume', 't'])).out).toBe(input);

    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-cli-')), 'large');
    cleanups.push(() => fs.rmSync(path.dirname(file), { recursive: true }));
    fs.writeFileSync(file, 'x'.repeat(300_000));
    const refused = await walrus(address, ['produce', 't', '--whole-files', file]);
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /the nodes take up to 64\d{3}; split it, or raise --max-frame-bytes/,
      ),
    });
    const cut = await walrus(address, ['produce', 't'], `1\n2\n3\n${'x'.repeat(300_000)}\n4\n`);
    expect(cut.err).toContain('3 records are acknowledged, 0 are not');
  },
  TEST_MS_MAX,
);

test(
  'without a quorum what is there is read, and then the end is not known',
  async () => {
    const cluster = await startCluster(3);
    const [address = ''] = cluster.addresses;
    await cluster.createTopic('t');
    await walrus(address, ['produce', 't'], lines(0, 1000));
    const leader = await cluster.leaderOf('t');
    if (leader === null) throw new Error('The topic has a leader');
    await leader.stop(); // seals the segment
    cluster.startNode(leader);
    await waitFor('a segment is sealed and the next one is led', WAIT_MS_MAX, async () => {
      const segments = await cluster.segments(['t']);
      return (segments?.count ?? 0) > 1 && (await cluster.leaderOf('t')) !== null;
    });
    await waitFor('every node serves', WAIT_MS_MAX, () => leader.isReady());
    const survivor = cluster.nodes[0];
    if (survivor === undefined) throw new Error('There are nodes');
    await Promise.all(cluster.nodes.slice(1).map((node) => node.kill()));

    const some = await walrus(survivor.clientAddress, ['consume', 't', '--max', '2']);
    expect(some).toEqual({ code: 0, out: '0\n1\n', err: '' });
    const all = await walrus(survivor.clientAddress, ['consume', 't']);
    expect(all).toEqual({
      code: 4,
      out: lines(0, 1000),
      err: expect.stringMatching(
        /Read t\/0 up to offset 1000; whether there is more cannot be known now: .*\((METADATA_UNAVAILABLE|NOT_LEADER)\)/,
      ),
    });
    const put = await walrus(survivor.clientAddress, ['put', 't', 'x']);
    expect(put.code).toBe(4);
    expect(put.err).toMatch(/^walrus: (Nothing was stored|The outcome is unknown): /);
    expect(put.err).toMatch(/too few nodes may be up for a quorum.*see `walrus cluster status`/i);
    expect(put.err).not.toMatch(/unknown.*unknown/);
  },
  TEST_MS_MAX,
);

test(
  'a command that waits for an answer ends at once when it is interrupted',
  async () => {
    const silent = net.createServer();
    const sockets: net.Socket[] = [];
    silent.on('connection', (socket) => sockets.push(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    cleanups.push(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as net.AddressInfo;
    for (const command of [
      ['topic', 'list'],
      ['get', 't'],
    ]) {
      const child = spawn(process.execPath, [MAIN, ...command, '--addr', `127.0.0.1:${port}`]);
      const count = sockets.length;
      await waitFor('it asks', WAIT_MS_MAX, () => sockets.length > count);
      child.kill('SIGINT');
      const [code] = (await once(child, 'close')) as [number | null];
      expect(code).toBe(130);
    }
  },
  TEST_MS_MAX,
);

test(
  'what operators ask of a cluster is done, may be repeated, and is refused with a code',
  async () => {
    const cluster = await startCluster(3);
    const [address = ''] = cluster.addresses;
    const json = async (...args: string[]): Promise<unknown> => {
      const { code, out, err } = await walrus(address, [...args, '--json']);
      expect([code, err]).toEqual([0, '']);
      return JSON.parse(out);
    };
    await cluster.createTopic('t');
    await walrus(address, ['produce', 't'], lines(0, 10));
    const begins = { topic: 't', partitions: [{ partition: 0, logStartOffset: 4 }] };
    for (let i = 0; i < 2; i += 1) {
      expect(await json('topic', 'delete-records', 't', '--before', '4')).toEqual(begins);
    }
    const rest = await walrus(address, ['consume', 't']);
    expect(rest.out).toBe(lines(4, 10));
    const beyond = ['topic', 'delete-records', 't', '--before', '11'];
    expect(await failureOf(address, ...beyond)).toEqual([3, 'OFFSET_OUT_OF_RANGE']);
    expect(await json('segment', 'list', 't')).toMatchObject([
      { topic: 't', state: 'SEALED', baseOffset: 0, endOffset: 10 },
      { topic: 't', state: 'OPEN', baseOffset: 10 },
    ]);

    for (const to of ['2', '2', '3']) {
      await waitFor(`node ${to} leads the metadata`, WAIT_MS_MAX, async () => {
        const { code } = await walrus(address, ['cluster', 'transfer-leadership', '--to', to]);
        return code === 0; // a voter first has to be one
      });
      await waitFor('it says so', WAIT_MS_MAX, async () => {
        return (await cluster.metadataLeader())?.nodeId === Number(to);
      });
    }
    const nobody = ['cluster', 'transfer-leadership', '--to', '9'];
    expect(await failureOf(address, ...nobody)).toEqual([1, 'INVALID_MEMBERSHIP']);

    const { disks } = (await json('cluster', 'status')) as { disks: { diskId: string }[] };
    const [, disk = { diskId: '' }] = disks;
    const mark = ['cluster', 'mark-disk-lost', disk.diskId.slice(0, 8), '--yes'];
    expect((await failureOf(address, ...mark))[1]).toBe('CONFLICT');
    expect((await failureOf(address, 'cluster', 'mark-disk-lost', 'ffffffff'))[1]).toBe(
      'DISK_REFUSED',
    );
    await cluster.nodes[1]?.kill();
    await waitFor('the disk is marked lost', WAIT_MS_MAX, async () => {
      return (await walrus(address, mark)).code === 0; // once its node counts as down
    });
    const again = { diskId: disk.diskId, nodeId: 2, isLost: true, segments: 0, blocked: 0 };
    expect(await json(...mark)).toMatchObject(again);
  },
  TEST_MS_MAX,
);

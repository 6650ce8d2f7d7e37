/** Whole clusters serving text clients on virtual time. */
import { describe, expect, jest, test } from '@jest/globals';
import { decodeUtf8Lossy } from '../../base/bytes.ts';
import type { ServerLimits } from '../server/serverContext.ts';
import { FIRST_BYTES_MS } from '../server/connection.ts';
import { SimBinaryClient } from './simBinaryClient.ts';
import { SimClients, clientAddressOf } from './simClients.ts';
import type { SimTextClient } from './simClients.ts';
import { SimCluster } from './simCluster.ts';
import type { Machine } from './simCluster.ts';

const CONFIG = {
  metadataVoters: 3,
  maxSegmentEntries: 1_000_000,
  maxSegmentBytes: 16 * 1024 * 1024,
  maxSegmentAgeMs: 3_600_000,
};

/** Real time, for a busy machine: what is tested passes in virtual time. */
jest.setTimeout(60_000);

interface World {
  readonly cluster: SimCluster;
  readonly clients: SimClients;
  readonly machines: readonly Machine[];
  readonly lines: string[];
  /** Runs virtual time until a promise is settled. */
  wait<T>(promise: Promise<T>, withinMs?: number): Promise<T>;
}

async function world(
  options: { seed?: number; entries?: number; nodes?: number; limits?: Partial<ServerLimits> } = {},
): Promise<World> {
  const { seed = 1, entries = CONFIG.maxSegmentEntries, nodes: nodeCount = 3 } = options;
  const config = { ...CONFIG, maxSegmentEntries: entries };
  const lines: string[] = [];
  const cluster = new SimCluster({ seed, nodeCount, config, trace: (line) => lines.push(line) });
  const clients = new SimClients(cluster, options.limits);
  await cluster.startAll();
  const wait = async <T>(promise: Promise<T>, withinMs = 20_000): Promise<T> => {
    let isSettled = false;
    promise.then(
      () => (isSettled = true),
      () => (isSettled = true),
    );
    try {
      await cluster.runUntil(() => isSettled, withinMs);
    } catch (error) {
      console.log(lines.slice(-80).join('\n'));
      throw error;
    }
    return await promise;
  };
  return { cluster, clients, machines: cluster.machines, lines, wait };
}

/** Every record through one client, until EMPTY. */
async function drain(client: SimTextClient, topic: string): Promise<string[]> {
  const values: string[] = [];
  for (;;) {
    const reply = await client.ask(`GET ${topic}`);
    if (reply === 'EMPTY') return values;
    if (!reply.startsWith('OK ')) throw new Error(reply);
    values.push(reply.slice(3));
  }
}

function leaderOf({ machines }: World, topic: string): Machine {
  const metadata = machines.find((machine) => machine.isServing)?.parts?.metadata.metadata;
  const id = metadata?.topics.get(topic)?.partitions[0]?.segments.at(-1);
  const nodeId = id === undefined ? undefined : metadata?.segments.get(id)?.leader.nodeId;
  const found = machines.find((machine) => machine.nodeId === nodeId);
  if (found === undefined) throw new Error('no leader');
  return found;
}

describe('text clients of a cluster', () => {
  test('write and read through every node, in order, each record once, over rolls', async () => {
    const at = await world({ entries: 10 });
    const clients = at.machines.map((machine) => at.clients.text(machine));
    expect(await at.wait(clients[0]!.ask('REGISTER logs'))).toBe('OK');
    const puts: Promise<string>[] = [];
    for (let i = 0; i < 120; i += 1) puts.push(clients[i % 3]!.ask(`PUT logs ${i}`));
    const replies = await at.wait(Promise.all(puts));
    expect(new Set(replies)).toEqual(new Set(['OK']));
    const state = JSON.parse(await at.wait(clients[1]!.ask('STATE logs'))) as {
      sealed_segments: Record<string, number>;
    };
    expect(Object.keys(state.sealed_segments).length).toBeGreaterThanOrEqual(3);
    const values: number[] = [];
    for (let i = 0; ; i += 1) {
      const reply = await at.wait(clients[i % 3]!.ask('GET logs'));
      if (reply === 'EMPTY') break;
      values.push(Number(reply.slice(3)));
    }
    // Each client's own are in its order; all of them are there once.
    for (const rest of [0, 1, 2]) {
      const own = values.filter((value) => value % 3 === rest);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
    expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => i));
  });

  test.each([7, 9])(
    'GET from many at once over rolls gives each record once (%d)',
    async (seed) => {
      const at = await world({ entries: 10, seed });
      const writer = at.clients.text(at.machines[0]!);
      await at.wait(writer.ask('REGISTER logs'));
      const count = 100;
      const got: number[] = [];
      const read = async (client: SimTextClient): Promise<void> => {
        while (got.length < count) {
          const reply = await client.ask('GET logs');
          if (reply.startsWith('OK ')) got.push(Number(reply.slice(3)));
          else expect(reply).toBe('EMPTY');
        }
      };
      const readers = at.machines.map((machine) => read(at.clients.text(machine)));
      const write = async (): Promise<void> => {
        for (let i = 0; i < count; i += 1) expect(await writer.ask(`PUT logs ${i}`)).toBe('OK');
      };
      await at.wait(Promise.all([...readers, write()]), 60_000);
      expect([...got].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    },
  );

  test('pipelined GETs come in order through every node, many with one round trip', async () => {
    const at = await world({ entries: 1000 });
    const writer = at.clients.text(at.machines[0]!);
    await at.wait(writer.ask('REGISTER logs'));
    const puts = Array.from({ length: 900 }, (_, i) => writer.ask(`PUT logs ${i}`));
    await at.wait(Promise.all(puts));
    const leader = leaderOf(at, 'logs');
    let next = 0;
    for (const machine of at.machines) {
      const client = at.clients.text(machine);
      const startMs = at.cluster.scheduler.nowMs;
      expect(await at.wait(client.ask('GET logs'))).toBe(`OK ${next}`);
      const oneMs = at.cluster.scheduler.nowMs - startMs;
      const rest = Array.from({ length: 299 }, () => client.ask('GET logs'));
      const replies = await at.wait(Promise.all(rest));
      expect(replies).toEqual(replies.map((_, i) => `OK ${next + 1 + i}`));
      const allMs = at.cluster.scheduler.nowMs - startMs;
      if (machine !== leader) expect(allMs).toBeLessThan(30 * oneMs);
      next += 300;
    }
    expect(await at.wait(writer.ask('GET logs'))).toBe('EMPTY');
  });

  test('GETs between other commands of one connection keep their places', async () => {
    const at = await world();
    for (const machine of at.machines) {
      const topic = `t${machine.nodeId}`;
      const client = at.clients.text(machine);
      await at.wait(client.ask(`REGISTER ${topic}`));
      const commands = ['GET', 'PUT', 'PUT', 'GET', 'GET', 'GET', 'PUT', 'GET', 'NO'];
      const replies = commands.map((word, i) =>
        client.ask(word === 'PUT' ? `PUT ${topic} ${i}` : `${word} ${topic}`),
      );
      expect(await at.wait(Promise.all(replies))).toEqual([
        ...['EMPTY', 'OK', 'OK', 'OK 1', 'OK 2', 'EMPTY', 'OK', 'OK 6'],
        expect.stringMatching(/^ERR unknown command/),
      ]);
    }
  });

  test('a dead leader costs a pause; what was acknowledged is read once and in order', async () => {
    const at = await world({ entries: 50, seed: 3 });
    const [first] = at.machines;
    const votersOf = ({ parts }: Machine): number =>
      parts?.raft.status().configuration.voters.length ?? 0;
    await at.cluster.runUntil(() => votersOf(first!) === 3, 10_000); // two could not do without one
    const setup = at.clients.text(first!);
    await at.wait(setup.ask('REGISTER logs'));
    const victim = leaderOf(at, 'logs');
    const survivors = at.machines.filter((machine) => machine !== victim);
    const client = at.clients.text(survivors[0]!);
    const acked: number[] = [];
    let sent = 0;
    let worstMs = 0;
    const write = async (): Promise<void> => {
      for (; sent < 300; sent += 1) {
        const startMs = at.cluster.scheduler.nowMs;
        const reply = await client.ask(`PUT logs ${sent}`);
        worstMs = Math.max(worstMs, at.cluster.scheduler.nowMs - startMs);
        if (reply === 'OK') acked.push(sent);
        if (sent === 100) at.cluster.kill(victim);
      }
    };
    await at.wait(write(), 60_000);
    expect(acked).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(worstMs).toBeLessThan(3000);
    const values = await at.wait(drain(at.clients.text(survivors[1]!), 'logs'), 60_000);
    expect(values.map(Number)).toEqual(acked);
  });

  test('payloads come back exactly, whatever is in them', async () => {
    const at = await world({ nodes: 1 });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    const payload = Uint8Array.of(0x20, 0xff, 0x00, 0x0a, 0x20, 0x20);
    const put = new Uint8Array([...new TextEncoder().encode('PUT t '), ...payload]);
    expect(decodeUtf8Lossy((await at.wait(client.send(put))) ?? new Uint8Array())).toBe('OK');
    await at.wait(client.ask('PUT t '));
    expect(await at.wait(client.send('GET t'))).toEqual(
      new Uint8Array([...new TextEncoder().encode('OK '), ...payload]),
    );
    expect(await at.wait(client.ask('GET t'))).toBe('OK ');
    expect(await at.wait(client.ask('GET t'))).toBe('EMPTY');
  });

  test('commands under way on one connection are answered in order, half-closed or not', async () => {
    const at = await world();
    const client = at.clients.text(at.machines[1]!);
    const replies = [
      client.ask('REGISTER a'),
      client.ask('PUT a 1'),
      client.ask('PUT missing x'),
      client.ask('PUT a 2'),
      client.ask('GET a'),
      client.ask('NONSENSE'),
      client.ask('GET a'),
      client.ask('GET a'),
    ];
    client.stream.end();
    const answers = await at.wait(Promise.all(replies));
    expect(answers.slice(0, 5)).toEqual(['OK', 'OK', 'ERR unknown topic missing', 'OK', 'OK 1']);
    expect(answers[5]).toMatch(/^ERR unknown command "NONSENSE"/);
    expect(answers.slice(6)).toEqual(['OK 2', 'EMPTY']);
    await at.cluster.runUntil(() => client.isClosed, 1000);
  });

  test('the position survives the death of the node that holds it', async () => {
    const at = await world({ seed: 5 });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    for (let i = 0; i < 10; i += 1) await at.wait(client.ask(`PUT t ${i}`));
    const victim = leaderOf(at, 't');
    const others = at.machines.filter((machine) => machine !== victim);
    const reader = at.clients.text(others[0]!);
    for (let i = 0; i < 5; i += 1) expect(await at.wait(reader.ask('GET t'))).toBe(`OK ${i}`);
    await at.cluster.run(500); // the position is committed behind the replies
    at.cluster.kill(victim);
    const rest = await at.wait(drain(at.clients.text(others[1]!), 't'), 60_000);
    expect(rest).toEqual(['5', '6', '7', '8', '9']);
  });

  test('a record whose client vanished is handed out again', async () => {
    const at = await world({ nodes: 1 });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    await at.wait(client.ask('PUT t 1'));
    await at.wait(client.ask('PUT t 2'));
    const server = at.clients.servers.get(at.machines[0]!);
    // A stream that is closed when the reply comes.
    const gone = { remoteAddress: 'x', pendingBytes: 0, write: none, pause: none, resume: none };
    const handlers = server!.accept({ ...gone, end: none, destroy: none });
    handlers.onClose(null);
    handlers.onData(Uint8Array.of(5, 0, 0, 0, ...new TextEncoder().encode('GET t')));
    expect(await at.wait(drain(client, 't'))).toEqual(['1', '2']);
  });

  test('records that a client has not read are handed out again when it is killed', async () => {
    const at = await world({ nodes: 1 });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    const values = Array.from({ length: 50 }, (_, i) => String(i));
    await at.wait(Promise.all(values.map((value) => client.ask(`PUT t ${value}`))));
    const killed = at.clients.text(at.machines[0]!);
    await at.cluster.run(10);
    killed.stream.pause(); // what comes stays in the buffers of its system
    for (let i = 0; i < values.length; i += 1) void killed.ask('GET t');
    await at.cluster.run(100);
    killed.stream.destroy();
    await at.cluster.run(100);
    expect(await at.wait(drain(client, 't'))).toEqual(values);
  });

  test('records of a client that has ended in order are not handed out again', async () => {
    const at = await world({ nodes: 1 });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    await at.wait(client.ask('PUT t 1'));
    const once = at.clients.text(at.machines[0]!);
    expect(await at.wait(once.ask('GET t'))).toBe('OK 1');
    once.stream.end();
    await at.cluster.run(10);
    expect(await at.wait(client.ask('GET t'))).toBe('EMPTY');
  });
});

function none(): void {
  // nothing
}

describe('bad input', () => {
  test('a frame over the limit gets ERR behind the other replies, and a close', async () => {
    const at = await world({ nodes: 1, limits: { maxFrameBytes: 1000 } });
    const client = at.clients.text(at.machines[0]!);
    const bystander = at.clients.text(at.machines[0]!);
    const register = client.ask('REGISTER t');
    const put = client.ask('PUT t x');
    const large = client.ask(`PUT t ${'x'.repeat(2000)}`);
    const after = client.ask('PUT t y');
    expect(await at.wait(Promise.all([register, put, large, after]))).toEqual([
      'OK',
      'OK',
      'ERR invalid frame length: 2006 bytes, the limit is 1000',
      'CLOSED',
    ]);
    expect(await at.wait(drain(bystander, 't'))).toEqual(['x']);
  });

  test('other dialects are refused, garbage and half frames harm nobody', async () => {
    const at = await world({ nodes: 1 });
    const received: string[] = [];
    const open = (bytes: Uint8Array): void => {
      const stream = at.clients.streams.network(null).connect('node-1:9091', {
        onOpen: () => undefined,
        onData: (chunk) => received.push(decodeUtf8Lossy(chunk)),
        onDrain: () => undefined,
        onClose: () => received.push('closed'),
      });
      stream.write(bytes);
    };
    const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
    open(utf8('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    await at.cluster.run(100);
    expect(received.join('')).toMatch(/^HTTP\/1.1 400 Bad Request.*not HTTP.*closed$/s);
    received.length = 0;
    open(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00));
    await at.cluster.run(100);
    expect(received.at(-1)).toBe('closed');
    received.length = 0;
    open(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    await at.cluster.run(100);
    expect(received.join('')).toMatch(/ERR invalid frame length.*closed$/s);
    open(Uint8Array.of(20, 0, 0, 0, 0x50)); // half a frame, and then nothing
    const client = at.clients.text(at.machines[0]!);
    expect(await at.wait(client.ask('REGISTER t'))).toBe('OK');
    expect(await at.wait(client.ask('PUT t x'))).toBe('OK');
  });

  test('one connection too many is told so in its dialect, and counted', async () => {
    const at = await world({ nodes: 1, limits: { maxConnections: 2 } });
    const [machine] = at.machines;
    const { streams } = at.clients;
    const kept = [at.clients.text(machine!), at.clients.text(machine!)];
    for (const client of kept) expect(await at.wait(client.ask('STATE t'))).toMatch(/^ERR unknown/);
    const text = at.clients.text(machine!);
    expect(await at.wait(text.ask('STATE t'))).toMatch(/^ERR overloaded: .*maxConnections/);
    const binary = new SimBinaryClient(streams, clientAddressOf(machine!));
    await at.cluster.run(100);
    expect([text.isClosed, binary.isClosed]).toEqual([true, true]);
    kept[0]!.stream.destroy();
    await at.cluster.run(100);
    const next = at.clients.text(machine!);
    expect(await at.wait(next.ask('STATE t'))).toMatch(/^ERR unknown/);
  });

  test('a connection that says nothing, or not enough, is closed; one that has spoken may rest', async () => {
    const at = await world({ nodes: 1 });
    const [machine] = at.machines;
    const spoken = at.clients.text(machine!);
    await at.wait(spoken.ask('STATE t'));
    const silent = at.clients.text(machine!);
    const half = at.clients.text(machine!);
    half.stream.write(Uint8Array.of(5));
    await at.cluster.run(FIRST_BYTES_MS - 1000);
    expect([silent.isClosed, half.isClosed]).toEqual([false, false]);
    await at.cluster.run(2000);
    expect([silent.isClosed, half.isClosed, spoken.isClosed]).toEqual([true, true, false]);
    expect(at.clients.servers.get(machine!)!.connectionCounts()).toEqual({ text: 1, binary: 0 });
  });

  test('a client that reads nothing is not read from beyond its bound', async () => {
    const limits = { maxConnectionInFlightBytes: 64 * 1024 };
    const at = await world({ nodes: 1, limits });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    await at.wait(client.ask(`PUT t ${'x'.repeat(10_000)}`));
    const slow = at.clients.text(at.machines[0]!);
    await at.cluster.run(10);
    slow.stream.pause();
    for (let i = 0; i < 3000; i += 1) void slow.ask('STATE t');
    await at.cluster.run(1000);
    const server = at.clients.servers.get(at.machines[0]!);
    expect(server!.inFlightBytes).toBeLessThan(400 * 1024);
    expect(await at.wait(client.ask('PUT t y'))).toBe('OK');
    slow.stream.resume();
    await at.cluster.runUntil(() => slow.replies.length === 3000, 10_000);
    expect(server!.inFlightBytes).toBe(0);
  });

  test('a node with too much under way says so and goes on', async () => {
    const limits = { maxNodeInFlightBytes: 20_000 };
    const at = await world({ nodes: 1, limits });
    const client = at.clients.text(at.machines[0]!);
    await at.wait(client.ask('REGISTER t'));
    const puts = Array.from({ length: 50 }, () => client.ask(`PUT t ${'x'.repeat(1000)}`));
    const replies = await at.wait(Promise.all(puts));
    const overloaded = replies.filter((reply) => reply.startsWith('ERR overloaded'));
    expect(overloaded.length).toBeGreaterThan(10);
    expect(replies.filter((reply) => reply === 'OK').length).toBeGreaterThan(5);
    expect(await at.wait(client.ask('PUT t y'))).toBe('OK');
  });
});

describe('a node that stops', () => {
  const STOP_MS = 30_000;

  /** How long its server takes to be done. */
  async function stopMs(at: World, machine: Machine): Promise<number> {
    const startMs = at.cluster.scheduler.nowMs;
    await at.wait(at.clients.servers.get(machine)!.drain(STOP_MS), 2 * STOP_MS);
    return at.cluster.scheduler.nowMs - startMs;
  }

  test('answers what is under way and takes nothing more, so that a busy connection ends, too', async () => {
    const at = await world();
    const machine = at.machines[0]!;
    const client = at.clients.text(machine);
    expect(await at.wait(client.ask('REGISTER t'))).toBe('OK');
    let confirmed = 0;
    const putOn = async (): Promise<void> => {
      while ((await client.ask('PUT t x')) === 'OK') confirmed += 1;
    };
    const putting = Promise.all([putOn(), putOn(), putOn()]); // one at least is under way at any time
    await at.cluster.run(500);
    expect(await stopMs(at, machine)).toBeLessThan(1000);
    await at.wait(putting);
    expect(client.isClosed).toBe(true);
    const stored = await at.wait(drain(at.clients.text(at.machines[1]!), 't'));
    expect(stored.length).toBeGreaterThanOrEqual(confirmed);
    expect(confirmed).toBeGreaterThan(10);
  });

  test('gives up what nobody is there to confirm', async () => {
    const at = await world();
    const machine = at.machines[0]!;
    const client = at.clients.text(machine);
    expect(await at.wait(client.ask('REGISTER t'))).toBe('OK');
    for (const other of at.machines.slice(1)) at.cluster.kill(other);
    const put = client.ask('PUT t x');
    await at.cluster.run(100);
    expect(await stopMs(at, machine)).toBeLessThan(5000);
    at.clients.servers.get(machine)!.stop();
    expect(await at.wait(put)).not.toBe('OK');
  });
});

import { afterEach, describe, expect, test } from '@jest/globals';
import { BufferPool } from '../../base/bufferPool.ts';
import { decodeUtf8Lossy, encodeUtf8 } from '../../base/bytes.ts';
import type { LogFields, LogLevel } from '../../base/log.ts';
import { SILENT } from '../../base/log.ts';
import type { Network } from '../../base/network.ts';
import { SeededRandom } from '../../base/random.ts';
import { MIB, nodeId } from '../../base/units.ts';
import {
  PEER_PROTOCOL_VERSION,
  encodeHello,
  encodePeerFrame,
} from '../../protocol/peer/envelope.ts';
import { RealClock } from '../io/realClock.ts';
import { TcpNetwork } from '../io/tcpNetwork.ts';
import { StreamPeerTransport } from './peerTransport.ts';
import type { PeerTransportOptions } from './peerContext.ts';
import { FakeNetwork } from './testing/fakeNetwork.ts';
import { ManualClock } from './testing/manualClock.ts';

const CLUSTER = 'c'.repeat(32);
const OTHER_CLUSTER = 'd'.repeat(32);

interface Node {
  readonly transport: StreamPeerTransport;
  readonly address: string;
  readonly received: string[];
  readonly log: string[];
  clusterId: string;
}

async function startNode(
  id: number,
  network: Network,
  options: Partial<PeerTransportOptions> & { clusterId?: string } = {},
): Promise<Node> {
  const log: string[] = [];
  const received: string[] = [];
  const state = { clusterId: options.clusterId ?? CLUSTER };
  let address = `node${id}:6000`;
  const logger = {
    log: (level: LogLevel, message: string, fields: LogFields = {}) =>
      log.push(`${level} ${message}: ${String(fields['reason'] ?? fields['peer'])}`),
  };
  const transport = new StreamPeerTransport({
    network,
    clock: new RealClock(),
    random: new SeededRandom(id),
    logger,
    buffers: new BufferPool({ maxFreeBytes: MIB, spoils: true }),
    local: () => ({
      clusterId: state.clusterId,
      nodeId: nodeId(id),
      address,
      softwareVersion: '1',
    }),
    ...options,
  });
  transport.onMessage((from, message) => {
    received.push(`${from.nodeId} ${from.address} ${decodeUtf8Lossy(message)}`);
  });
  if (network instanceof TcpNetwork) {
    address = `127.0.0.1:${await transport.listen('127.0.0.1', 0)}`;
  } else {
    await transport.listen(`node${id}`, 6000);
  }
  return Object.assign(state, { transport, address, received, log });
}

function say(from: Node, to: Node, text: string): boolean {
  return from.transport.send(to.address, [encodeUtf8(text.slice(0, 1)), encodeUtf8(text.slice(1))]);
}

describe('StreamPeerTransport over a network in memory', () => {
  async function pair(options: Partial<PeerTransportOptions> = {}, clusters: string[] = []) {
    const clock = new ManualClock();
    const network = new FakeNetwork(clock);
    const of = (id: number) =>
      startNode(id, network, { ...options, clock, clusterId: clusters[id - 1] ?? CLUSTER });
    return { clock, network, a: await of(1), b: await of(2) };
  }

  test('delivers in order on one connection, which it makes when it is needed', async () => {
    const { clock, network, a, b } = await pair();
    expect(network.connectCount).toBe(0);
    for (const text of ['one', 'two', 'three']) expect(say(a, b, text)).toBe(true);
    clock.advance(1);
    say(a, b, 'four');
    clock.advance(1);
    expect(b.received).toEqual(['one', 'two', 'three', 'four'].map((t) => `1 node1:6000 ${t}`));
    expect([network.connectCount, b.transport.connectionCount()]).toEqual([1, 1]);
    expect(clock.timerCount).toBe(0);
  });

  test('loses what was under way at a reset and goes on by itself', async () => {
    const { clock, network, a, b } = await pair();
    for (let round = 0; round < 50; round += 1) {
      say(a, b, `before ${round}`);
      clock.advance(2);
      say(a, b, `lost ${round}`);
      network.resetAll();
      clock.advance(2);
      say(a, b, `after ${round}`);
      clock.advance(30);
    }
    const texts = b.received.map((line) => line.slice('1 node1:6000 '.length));
    for (let round = 0; round < 50; round += 1) {
      expect(texts).toContain(`before ${round}`);
      expect(texts).toContain(`after ${round}`);
    }
    expect(new Set(texts).size).toBe(texts.length);
    expect(b.transport.connectionCount()).toBe(1);
  });

  test('rests between attempts, drops what waited, and comes back when the peer says hello', async () => {
    const { clock, network, a, b } = await pair();
    await b.transport.stop();
    for (let i = 0; i < 200; i += 1) {
      say(a, b, `lost ${i}`);
      clock.advance(50);
    }
    expect(network.connectCount).toBeGreaterThan(15);
    expect(network.connectCount).toBeLessThan(50);
    expect(a.log).toEqual(['warn A peer cannot be reached: nobody listens on node2:6000']);
    say(a, b, 'kept');
    const again = await startNode(2, network, { clock });
    say(again, a, 'up');
    clock.advance(1);
    expect(a.received).toEqual(['2 node2:6000 up']);
    expect(again.received).toEqual(['1 node1:6000 kept']);
    expect(a.log.at(-1)).toBe('info A peer is reached again: node2:6000');
    expect(a.transport.problemOf(b.address)).toBeNull();
  });

  test('bounds what waits for one peer, and no other', async () => {
    let dropped = 0;
    const { clock, network, a, b } = await pair({
      maxQueueBytes: 1000,
      onDropped: () => (dropped += 1),
    });
    say(a, b, 'first');
    clock.advance(1);
    network.freeze(b.address);
    const results = Array.from({ length: 10 }, () => say(a, b, 'x'.repeat(192)));
    expect(results).toEqual([true, true, true, true, true, false, false, false, false, false]);
    expect([dropped, a.transport.queuedBytes()]).toEqual([5, 1000]);
    expect(say(a, a, 'to myself')).toBe(true);
    clock.advance(1);
    expect(a.received).toEqual(['1 node1:6000 to myself']);
    // The same bound while there is no connection at all.
    const c = { ...b, address: 'node9:6000' };
    expect(Array.from({ length: 6 }, () => say(a, c, 'x'.repeat(192)))).toEqual([
      ...Array<boolean>(5).fill(true),
      false,
    ]);
  });

  test('connects anew to a peer that gets messages and has fallen silent', async () => {
    const { clock, network, a, b } = await pair();
    say(a, b, 'ping');
    say(b, a, 'pong');
    clock.advance(1);
    network.freeze(b.address);
    for (let i = 0; i < 40; i += 1) {
      say(a, b, 'into the void');
      clock.advance(100);
    }
    network.thaw(b.address);
    clock.advance(6000);
    say(a, b, 'hello again');
    clock.advance(600);
    expect(b.received.at(-1)).toBe('1 node1:6000 hello again');
  });

  test('two clusters refuse each other, both say why, and only once', async () => {
    const { clock, network, a, b } = await pair({}, [CLUSTER, OTHER_CLUSTER]);
    for (let i = 0; i < 300; i += 1) {
      say(a, b, 'x');
      clock.advance(100);
    }
    expect(b.received).toEqual([]);
    expect(b.log).toEqual([
      `warn A connection of a peer was refused: The node at node1:6000 belongs to cluster ${CLUSTER}, ` +
        `not to ${OTHER_CLUSTER}: check its addresses and data directory`,
    ]);
    // Each names the other, not itself.
    const seenFromA =
      `The node at node2:6000 belongs to cluster ${OTHER_CLUSTER}, ` +
      `not to ${CLUSTER}: check its addresses and data directory`;
    expect(a.log).toEqual([`warn A peer cannot be reached: ${seenFromA}`]);
    expect(a.transport.problemOf(b.address)).toMatchObject({
      code: 'WRONG_CLUSTER',
      message: seenFromA,
    });
    expect(a.transport.problemOf('node9:6000')).toBeNull();
    expect(network.connectCount).toBeLessThan(30);
  });

  test('a joining node, which knows no cluster yet, is let in both ways', async () => {
    const { clock, a, b } = await pair({}, [CLUSTER, '']);
    say(a, b, 'x');
    say(b, a, 'y');
    clock.advance(1);
    expect([a.received, b.received]).toEqual([['2 node2:6000 y'], ['1 node1:6000 x']]);
  });

  test('another version, a stranger, a damaged frame and a giant are refused', async () => {
    const { clock, network, a, b } = await pair({ maxMessageBytes: 1000 });
    const answers: string[] = [];
    const greet = (...frames: Uint8Array[]): void => {
      const stream = network.connect(b.address, {
        onOpen: () => {
          for (const frame of frames) stream.write(frame);
        },
        onData: (chunk) => answers.push(decodeUtf8Lossy(chunk)),
        onDrain: () => undefined,
        onClose: () => answers.push('closed'),
      });
      clock.advance(1);
    };
    const local = { clusterId: CLUSTER, nodeId: nodeId(9), address: 'x:1', softwareVersion: '2' };
    const hello = { protocolVersion: PEER_PROTOCOL_VERSION, ...local };
    const version = PEER_PROTOCOL_VERSION + 1;
    const wrongVersion = encodePeerFrame([encodeHello({ ...hello, protocolVersion: version })]);
    // What follows a refused hello is not looked at, whatever it says.
    const after = [
      ...encodePeerFrame([encodeHello(hello)]),
      ...encodePeerFrame([encodeUtf8('no')]),
    ];
    greet(...wrongVersion, ...after);
    expect(answers.join()).toContain(`peer protocol ${version}`);
    greet(encodeUtf8('\x0e\0\0\0REGISTER topic'));
    greet(encodeUtf8('GET / HTTP/1.1\r\n\r\n'));
    expect(answers.at(-2)).toMatch(/^HTTP\/1\.1 400 [^]*This is the peer port of a Walrus node/);
    const good = encodePeerFrame([encodeUtf8('fine')]);
    const bad = encodePeerFrame([encodeUtf8('damaged')]).map((part) => part.slice());
    (bad[1] as Uint8Array)[2] = 0;
    greet(...encodePeerFrame([encodeHello(hello)]), ...good, ...bad, ...good);
    greet(...encodePeerFrame([encodeHello(hello)]), new Uint8Array([0, 0, 0, 1]));
    expect(answers.filter((answer) => answer === 'closed')).toHaveLength(5);
    expect(b.received).toEqual(['9 x:1 fine']);
    expect(b.transport.connectionCount()).toBe(0);
    // Both clients have the same trouble, which is logged once.
    expect(b.log.map((line) => line.slice(0, 60))).toHaveLength(4);
    expect(() => say(a, b, 'x'.repeat(1000))).toThrow('A message between nodes has at most 1000');
  });

  test('a connection without a hello, and a listener without an answer, are given up', async () => {
    const { clock, network, a, b } = await pair();
    let closed = 0;
    network.connect(b.address, {
      onOpen: () => undefined,
      onData: () => undefined,
      onDrain: () => undefined,
      onClose: () => (closed += 1),
    });
    await network.listen('mute', 1, () => ({
      onData: () => undefined,
      onDrain: () => undefined,
      onClose: () => (closed += 1),
    }));
    a.transport.send('mute:1', [encodeUtf8('x')]);
    clock.advance(4999);
    expect(closed).toBe(0);
    clock.advance(2);
    expect(closed).toBe(2);
    expect(a.log).toHaveLength(1);
    expect([a.transport.queuedBytes(), clock.timerCount]).toEqual([0, 0]);
  });
});

describe('StreamPeerTransport over TCP', () => {
  let nodes: Node[] = [];

  afterEach(async () => {
    for (const { transport } of nodes) await transport.stop();
    nodes = [];
  });

  test('carries messages of all sizes between three nodes in both directions', async () => {
    for (let id = 1; id <= 3; id += 1) nodes.push(await startNode(id, new TcpNetwork()));
    const sizes = [1, 10, 1000, 100_000, 3_000_000];
    const expected = new Map(nodes.map(({ address }) => [address, [] as string[]]));
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to) continue;
        for (const size of sizes) {
          const text = `${size} ${'x'.repeat(size)}`;
          expect(say(from, to, text)).toBe(true);
          expected.get(to.address)?.push(`${nodes.indexOf(from) + 1} ${from.address} ${text}`);
        }
      }
    }
    const count = (): number => nodes.reduce((sum, { received }) => sum + received.length, 0);
    while (count() < 6 * sizes.length) await new Promise((resolve) => setImmediate(resolve));
    for (const { address, received } of nodes) {
      expect(received.sort()).toEqual(expected.get(address)?.sort());
    }
  });

  test('finds a peer again that was stopped and started on its port', async () => {
    const a = await startNode(1, new TcpNetwork());
    const b = await startNode(2, new TcpNetwork());
    nodes = [a];
    say(a, b, 'first');
    while (b.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await b.transport.stop();
    const received: string[] = [];
    const again = new StreamPeerTransport({
      network: new TcpNetwork(),
      clock: new RealClock(),
      random: new SeededRandom(2),
      logger: SILENT,
      buffers: new BufferPool({ maxFreeBytes: MIB, spoils: true }),
      local: () => ({
        clusterId: CLUSTER,
        nodeId: nodeId(2),
        address: b.address,
        softwareVersion: '1',
      }),
    });
    again.onMessage((_from, message) => received.push(decodeUtf8Lossy(message)));
    await again.listen('127.0.0.1', Number(b.address.split(':')[1]));
    nodes.push({ ...b, transport: again });
    while (received.length === 0) {
      say(a, b, 'again');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(received[0]).toBe('again');
  });
});

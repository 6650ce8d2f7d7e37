import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import net from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { concatBytes, decodeUtf8Lossy, encodeUtf8 } from '../../base/bytes.ts';
import type { ByteStream, Listener, StreamHandlers } from '../../base/network.ts';
import { parseAddress } from './address.ts';
import { TcpNetwork } from './tcpNetwork.ts';

let listeners: Listener[] = [];
let streams: ByteStream[] = [];

afterEach(async () => {
  for (const stream of streams) stream.destroy();
  for (const listener of listeners) await listener.close();
  listeners = [];
  streams = [];
});

/** Notes what a stream's owner is told. */
class Recorder implements StreamHandlers {
  readonly events: string[] = [];
  byteCount = 0;
  #chunks: Uint8Array[] = [];
  #waiting: { isMet: () => boolean; resolve: () => void }[] = [];

  #note(event: string): void {
    this.events.push(event);
    for (const { isMet, resolve } of this.#waiting) if (isMet()) resolve();
  }
  onOpen(): void {
    this.#note('open');
  }
  onData(chunk: Uint8Array): void {
    this.#chunks.push(chunk.slice());
    this.byteCount += chunk.length;
    this.#note(`data`);
  }
  onDrain(): void {
    this.#note('drain');
  }
  onClose(error: Error | null): void {
    this.#note(error === null ? 'close' : `close: ${error.message}`);
  }
  get bytes(): Uint8Array {
    return concatBytes(this.#chunks);
  }
  get text(): string {
    return decodeUtf8Lossy(this.bytes);
  }
  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ isMet, resolve }));
  }
  closed(): Promise<void> {
    return this.until(() => this.events.some((event) => event.startsWith('close')));
  }
}

async function listen(
  network: TcpNetwork,
  accept: (stream: ByteStream) => StreamHandlers,
): Promise<string> {
  const listener = await network.listen('127.0.0.1', 0, (stream) => {
    streams.push(stream);
    return accept(stream);
  });
  listeners.push(listener);
  return `127.0.0.1:${listener.port}`;
}

function connect(network: TcpNetwork, address: string, handlers: Recorder): ByteStream {
  const stream = network.connect(address, handlers);
  streams.push(stream);
  return stream;
}

function echo(stream: ByteStream): StreamHandlers {
  return {
    onData: (chunk) => stream.write(chunk.slice()),
    onDrain: () => undefined,
    onClose: () => undefined,
    onEnd: () => stream.end(),
  };
}

for (const canMoveHandles of [true, false]) {
  describe(`TcpNetwork reading by ${canMoveHandles ? 'its own buffer' : "'data' events"}`, () => {
    const network = new TcpNetwork({ canMoveHandles, readBufferBytes: 64 * 1024 });

    test('carries bytes both ways on many connections that share a read buffer', async () => {
      const address = await listen(network, echo);
      const clients = Array.from({ length: 20 }, (_, index) => {
        const recorder = new Recorder();
        const stream = connect(network, address, recorder);
        const sent = new Uint8Array(300_000).map((_byte, i) => (i * 7 + index) & 0xff);
        for (let at = 0; at < sent.length; at += 1000) stream.write(sent.slice(at, at + 1000));
        return { recorder, stream, sent };
      });
      for (const { recorder, stream, sent } of clients) {
        await recorder.until(() => recorder.byteCount === sent.length);
        expect(Buffer.compare(recorder.bytes, sent)).toBe(0);
        expect(recorder.events[0]).toBe('open');
        stream.end();
        await recorder.closed();
        expect(recorder.events.filter((event) => event.startsWith('close'))).toEqual(['close']);
        expect(stream.pendingBytes).toBe(0);
      }
    });

    test('close() ends every stream, destroys those that hang, and takes no new ones', async () => {
      const owned = new TcpNetwork({ canMoveHandles });
      const accepted = new Recorder();
      const address = await listen(owned, () => accepted);
      // A client that never closes its side.
      const client = net.connect({ port: Number(address.split(':')[1]), allowHalfOpen: true });
      client.on('error', () => undefined);
      client.resume();
      await once(client, 'connect');
      client.write('x');
      await accepted.until(() => accepted.byteCount === 1);
      await owned.close(20);
      await accepted.closed();
      const late = new Recorder();
      owned.connect(address, late);
      await late.closed();
      expect(late.events[0]).toContain('this process is stopping');
      client.destroy();
      const refused = net.connect(Number(address.split(':')[1]));
      const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).toBe('ECONNREFUSED');
    });

    test('pause() holds the sender back and resume() goes on without loss', async () => {
      const received = new Recorder();
      let serverSide: ByteStream | undefined;
      const address = await listen(network, (stream) => {
        serverSide = stream;
        stream.pause();
        return received;
      });
      const sender = new Recorder();
      const stream = connect(network, address, sender);
      await sender.until(() => sender.events.includes('open'));
      const total = 32 * 1024 * 1024;
      for (let at = 0; at < total; at += 1 << 20)
        stream.write(new Uint8Array(1 << 20).fill(at >> 20));
      expect(stream.pendingBytes).toBe(total);
      while (serverSide === undefined) await turn();
      for (let i = 0; i < 50; i += 1) await turn();
      expect(received.events).toEqual([]);
      expect(stream.pendingBytes).toBeGreaterThan(0);
      expect(sender.events).toEqual(['open']);
      serverSide.resume();
      await received.until(() => received.byteCount > total / 4);
      serverSide.pause();
      const countAtPause = received.byteCount;
      for (let i = 0; i < 50; i += 1) await turn();
      expect(received.byteCount).toBe(countAtPause);
      serverSide.resume();
      await received.until(() => received.byteCount === total);
      await sender.until(() => sender.events.includes('drain'));
      expect(stream.pendingBytes).toBe(0);
      expect(received.bytes[total - 1]).toBe(31);
    });

    test('half a connection closed by the client still gets its replies', async () => {
      const address = await listen(network, (stream) => ({
        ...echo(stream),
        onEnd: () => {
          setImmediate(() => {
            stream.write(encodeUtf8('late'));
            stream.end();
          });
        },
      }));
      const socket = net.connect({ port: parseAddress(address)!.port, allowHalfOpen: true });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.end('early,');
      await once(socket, 'end');
      expect(text).toBe('early,late');
    });

    test('a reply before end() arrives although the client goes on sending', async () => {
      let calls = 0;
      const server = new Recorder();
      const address = await listen(network, (stream) => {
        server.onData = () => {
          calls += 1;
          stream.pause();
          stream.write(encodeUtf8('ERR too large'));
          stream.end();
        };
        return server;
      });
      const client = new Recorder();
      const stream = connect(network, address, client);
      for (let i = 0; i < 100; i += 1) stream.write(new Uint8Array(100_000));
      await client.closed();
      expect(client.text).toBe('ERR too large');
      await server.closed();
      expect([calls, server.events]).toEqual([1, ['close']]);
    });

    test('a reset is told once, with its reason', async () => {
      const server = new Recorder();
      const address = await listen(network, () => server);
      const socket = net.connect(parseAddress(address)!.port);
      await once(socket, 'connect');
      socket.write('x');
      await server.until(() => server.text === 'x');
      socket.resetAndDestroy();
      await server.closed();
      const last = server.events.at(-1);
      expect(last).toMatch(/^close: The connection with 127.0.0.1:\d+ failed: read ECONNRESET$/);
      expect(server.events.filter((event) => event.startsWith('close'))).toHaveLength(1);
    });

    test('destroy() in accept and in onData stops every other call', async () => {
      const refused = new Recorder();
      const first = await listen(network, (stream) => {
        stream.destroy();
        return refused;
      });
      const client = new Recorder();
      connect(network, first, client).write(encodeUtf8('x'));
      await Promise.all([client.closed(), refused.closed()]);
      expect(refused.events).toEqual(['close']);

      const cut = new Recorder();
      const second = await listen(network, (stream) => {
        cut.onData = () => {
          stream.destroy();
          stream.write(encodeUtf8('ignored'));
          stream.end();
        };
        return cut;
      });
      const other = new Recorder();
      connect(network, second, other).write(new Uint8Array(1 << 20));
      await Promise.all([cut.closed(), other.closed()]);
      expect(cut.events).toEqual(['close']);
      expect(other.text).toBe('');
    });

    test('streams over the limit are closed as they come', async () => {
      let refusedCount = 0;
      const onRefused = (): void => void (refusedCount += 1);
      const small = new TcpNetwork({ canMoveHandles, maxStreams: 1, onRefused });
      const server = new Recorder();
      const address = await listen(small, () => server);
      const kept = connect(small, address, new Recorder());
      kept.write(encodeUtf8('a'));
      await server.until(() => server.text === 'a');
      const refused = new Recorder();
      connect(small, address, refused);
      await refused.closed();
      expect(refusedCount).toBe(1);
      kept.end();
      await server.closed();
      connect(small, address, new Recorder()).write(encodeUtf8('b'));
      await server.until(() => server.text === 'ab');
    });

    test(`chunks ${canMoveHandles ? 'share one buffer' : 'have buffers of their own'}`, async () => {
      const buffers = new Set<ArrayBufferLike>();
      const server = new Recorder();
      const address = await listen(network, () => ({
        onData: (chunk) => {
          buffers.add(chunk.buffer);
          server.onData(chunk);
        },
        onDrain: () => undefined,
        onClose: () => undefined,
      }));
      for (let i = 0; i < 2; i += 1) {
        const stream = connect(network, address, new Recorder());
        stream.write(new Uint8Array(10_000));
      }
      await server.until(() => server.byteCount === 20_000);
      expect(buffers.size === 1).toBe(canMoveHandles);
    });
  });
}

describe('TcpNetwork', () => {
  const network = new TcpNetwork();

  test('sends the writes of one turn, promises included, as one chunk', async () => {
    const server = new Recorder();
    const address = await listen(network, () => server);
    const client = new Recorder();
    const stream = connect(network, address, client);
    await client.until(() => client.events.includes('open'));
    stream.write(encodeUtf8('a'));
    stream.write(encodeUtf8('b'));
    void Promise.resolve()
      .then(() => stream.write(encodeUtf8('c')))
      .then(() => stream.write(encodeUtf8('d')));
    await server.until(() => server.text === 'abcd');
    expect(server.events).toEqual(['data']);
    await client.until(() => client.events.includes('drain'));
  });

  test('keeps the order of small and large parts', async () => {
    const server = new Recorder();
    const address = await listen(network, () => server);
    const stream = connect(network, address, new Recorder());
    const sizes = [1, 5000, 3, 4, 4096, 4095, 100_000, 2, ...Array<number>(100).fill(1500), 9];
    const parts = sizes.map((size, i) => new Uint8Array(size).fill(i));
    for (const part of parts) stream.write(part);
    const sent = concatBytes(parts);
    await server.until(() => server.byteCount === sent.length);
    expect(Buffer.compare(server.bytes, sent)).toBe(0);
  });

  test('says when written bytes may change, and not before they have left', async () => {
    const server = new Recorder();
    const client = new Recorder();
    const address = await listen(network, () => server);
    const stream = connect(network, address, client);
    await client.until(() => client.events.includes('open'));
    const large = new Uint8Array(8_000_000).fill(1);
    const small = new Uint8Array(100).fill(2);
    let releasedCount = 0;
    await new Promise<void>((resolve) => {
      const release = (): void => {
        large.fill(0xdb);
        small.fill(0xdb);
        releasedCount += 1;
        if (releasedCount === 2) resolve();
      };
      stream.write(large, release);
      stream.write(small, release);
      expect(releasedCount).toBe(0);
    });
    await server.until(() => server.byteCount === 8_000_100);
    const isAsWritten = server.bytes.every((byte, i) => byte === (i < 8_000_000 ? 1 : 2));
    expect(isAsWritten).toBe(true);
  });

  test('does not say so of bytes that never left', async () => {
    const server = new Recorder();
    const client = new Recorder();
    const address = await listen(network, () => server);
    const stream = connect(network, address, client);
    await client.until(() => client.events.includes('open'));
    let isReleased = false;
    stream.write(new Uint8Array(64), () => {
      isReleased = true;
    });
    stream.destroy();
    await client.closed();
    expect(isReleased).toBe(false);
  });

  test('tells of a port in use, a host that is not ours, and nobody listening', async () => {
    const address = await listen(network, echo);
    const { port } = parseAddress(address)!;
    await expect(network.listen('127.0.0.1', port, echo)).rejects.toMatchObject({
      code: 'ADDRESS_IN_USE',
    });
    await expect(network.listen('192.0.2.1', port, echo)).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
    });
    await listeners.pop()?.close();
    const again = await network.listen('127.0.0.1', port, echo);
    await again.close();
    const nobody = new Recorder();
    const stream = connect(network, address, nobody);
    expect(nobody.events).toEqual([]);
    stream.write(encodeUtf8('x'));
    await nobody.closed();
    expect(nobody.events).toEqual([
      `close: The connection with ${address} failed: connect ECONNREFUSED ${address}`,
    ]);
  });

  test('gives up a connect after its time-out', async () => {
    // A listener whose backlog is full does not answer; an address of TEST-NET may do so, or be unreachable.
    const impatient = new TcpNetwork({ connectTimeoutMs: 20 });
    const client = new Recorder();
    connect(impatient, '192.0.2.1:9', client);
    await client.closed();
    expect(client.events).toHaveLength(1);
    expect(client.events[0]).toMatch(/no answer within 20 ms|ENETUNREACH|EHOSTUNREACH|ECONN/);
  });

  test('refuses an address that is none, not synchronously', async () => {
    const client = new Recorder();
    const stream = connect(network, 'nonsense', client);
    stream.write(encodeUtf8('x'));
    expect(client.events).toEqual([]);
    await client.closed();
    expect(client.events[0]).toContain('it is not of the form host:port');
  });
});

test('parseAddress() knows names, IPv4 and IPv6', () => {
  expect(parseAddress('node-1.walrus:6001')).toEqual({ host: 'node-1.walrus', port: 6001 });
  expect(parseAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
  for (const bad of ['a', 'a:', ':1', 'a:0', 'a:65536', '::1:80', 'a b:1', 'a:1x']) {
    expect(parseAddress(bad)).toBeUndefined();
  }
});

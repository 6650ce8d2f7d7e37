/**
 * TCP (`base/network.ts`) on node:net.
 *
 * - Reads go into ONE buffer for all connections: a chunk is valid during `onData` only, and libuv fills the buffer
 *   and calls back in one step, so no two connections can have bytes in it. An idle connection costs no buffer.
 * - For incoming connections Node has no public way to give a socket such a buffer, so its handle is moved
 *   into a new socket. Where that is not possible any more, 'data' events do the same more slowly.
 */
import net from 'node:net';
import type { AddressInfo, OnReadOpts } from 'node:net';
import { WalrusError } from '../../base/errors.ts';
import type { ErrorCode } from '../../base/errors.ts';
import { SILENT } from '../../base/log.ts';
import type { Logger } from '../../base/log.ts';
import type { ByteStream, Listener, Network, StreamHandlers } from '../../base/network.ts';
import { KIB } from '../../base/units.ts';
import { parseAddress } from './address.ts';
import { errnoOf } from './errno.ts';
import { TcpStream, connectionError } from './tcpStream.ts';

export interface TcpNetworkOptions {
  /** Size of the shared read buffer: the largest chunk. */
  readonly readBufferBytes?: number;
  /** How long a connect may take before it fails. */
  readonly connectTimeoutMs?: number;
  /** Streams open at once on one listener; more are closed as they come. */
  readonly maxStreams?: number;
  /** Told of each of them. */
  readonly onRefused?: () => void;
  /** Told of failed accepts. */
  readonly logger?: Logger;
  /** False reads by 'data' events; for tests of that path. */
  readonly canMoveHandles?: boolean;
}

const DEFAULTS = {
  readBufferBytes: 256 * KIB,
  connectTimeoutMs: 5_000,
  maxStreams: 10_000,
  onRefused: () => undefined,
  logger: SILENT,
  canMoveHandles: true,
};

/** How long a silent connection stays before TCP asks whether the other end is still there. */
const KEEP_ALIVE_MS = 30_000;
const BACKLOG = 1024;

/** The machine's network. */
export class TcpNetwork implements Network {
  readonly #streams = new Set<TcpStream>();
  readonly #servers = new Set<net.Server>();
  #isClosed = false;
  readonly #options: Required<TcpNetworkOptions>;
  readonly #readBuffer: Uint8Array;

  constructor(options: TcpNetworkOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    this.#readBuffer = new Uint8Array(this.#options.readBufferBytes);
  }

  connect(address: string, handlers: StreamHandlers & { onOpen(): void }): ByteStream {
    const target = parseAddress(address);
    if (this.#isClosed) return new UnusableStream(address, handlers, 'this process is stopping');
    if (target === undefined) {
      return new UnusableStream(address, handlers, 'it is not of the form host:port');
    }
    const stream = new TcpStream(address);
    const socket = net.connect({
      ...target,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
      onread: this.#reader(stream),
    });
    stream.attach(socket);
    this.#keep(stream);
    stream.own(handlers);
    stream.openWithin(this.#options.connectTimeoutMs, () => {
      handlers.onOpen();
    });
    return stream;
  }

  listen(
    host: string,
    port: number,
    accept: (stream: ByteStream) => StreamHandlers,
  ): Promise<Listener> {
    let streamCount = 0;
    const server = net.createServer({
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
    });
    server.on('connection', (socket) => {
      const isOver = streamCount >= this.#options.maxStreams;
      if (this.#isClosed || isOver) {
        socket.destroy();
        if (isOver) this.#options.onRefused();
        return;
      }
      const stream = this.#accept(socket, accept);
      streamCount += 1;
      stream.onceClosed(() => {
        streamCount -= 1;
      });
    });
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => {
        reject(listenError(host, port, cause));
      });
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.removeAllListeners('error');
        server.on('error', (error) => {
          // Too many open files, most likely: the listener goes on, the client was closed.
          this.#options.logger.log('warn', 'A connection could not be accepted', {
            reason: error.message,
          });
        });
        resolve(listenerOf(server));
      });
    });
  }

  #accept(socket: net.Socket, accept: (stream: ByteStream) => StreamHandlers): TcpStream {
    const stream = new TcpStream(`${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`);
    const moved = this.#options.canMoveHandles
      ? moveHandle(socket, this.#reader(stream))
      : undefined;
    stream.attach(moved ?? socket, { readsByEvents: moved === undefined });
    this.#keep(stream);
    stream.own(accept(stream));
    stream.startReading();
    return stream;
  }

  /**
   * Stops listening, refuses to connect, and ends every stream: those that are ending have `lingerMs` for it, in
   * which the last replies leave.
   */
  async close(lingerMs: number): Promise<void> {
    this.#isClosed = true;
    for (const server of this.#servers) server.close();
    for (const stream of this.#streams) stream.end();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs);
      const check = (): void => {
        if (this.#streams.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      for (const stream of this.#streams) stream.onceClosed(check);
      check();
    });
    for (const stream of this.#streams) stream.destroy();
  }

  #keep(stream: TcpStream): void {
    this.#streams.add(stream);
    stream.onceClosed(() => this.#streams.delete(stream));
  }

  #reader(stream: TcpStream): OnReadOpts {
    return {
      buffer: this.#readBuffer,
      callback: (length, buffer) => {
        stream.receive(buffer.subarray(0, length));
        return true; // pausing is done by pause()
      },
    };
  }
}

/** Node's own handle of a socket: not public, hence checked before use. */
interface HandleOwner {
  _handle?: { readStart?: unknown } | null;
}

/**
 * Moves an accepted connection into a socket that reads into a given buffer.
 * @returns undefined, with `socket` untouched, when this Node does not allow it.
 */
function moveHandle(socket: net.Socket, onread: OnReadOpts): net.Socket | undefined {
  // `_handle` is in no type: it is looked at before it is used.
  const owner = socket as unknown as HandleOwner;
  const handle = owner._handle;
  if (typeof handle !== 'object' || handle === null || !('readStart' in handle)) return undefined;
  owner._handle = null;
  socket.destroy(); // without its handle this only takes it off the server's count
  const options = { handle, onread, allowHalfOpen: true, pauseOnCreate: true };
  return new net.Socket(options as object);
}

function listenerOf(server: net.Server): Listener {
  return {
    port: (server.address() as AddressInfo).port,
    // The port is free when close() returns. Its callback would wait for streams, which belong to their owners.
    close: () => {
      server.close();
      return Promise.resolve();
    },
  };
}

function listenError(host: string, port: number, cause: Error): WalrusError {
  const isInUse = errnoOf(cause) === 'EADDRINUSE';
  const code: ErrorCode = isInUse ? 'ADDRESS_IN_USE' : 'INVALID_CONFIG';
  const reason = isInUse ? 'another process uses this port' : cause.message;
  return new WalrusError(code, `Cannot listen on ${host}:${port}: ${reason}`, {
    details: { host, port },
    cause,
  });
}

/** What `connect` gives where there can be no connection: closed from the start. */
class UnusableStream implements ByteStream {
  readonly remoteAddress: string;
  readonly pendingBytes = 0;

  constructor(address: string, handlers: StreamHandlers, reason: string) {
    this.remoteAddress = address;
    setImmediate(() => {
      handlers.onClose(connectionError(address, reason));
    });
  }

  write(): void {
    // Closed.
  }
  pause(): void {
    // Closed.
  }
  resume(): void {
    // Closed.
  }
  end(): void {
    // Closed.
  }
  destroy(): void {
    // Closed.
  }
}

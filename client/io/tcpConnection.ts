/**
 * A TCP connection to a node as a `ByteStream`. Reads into one buffer that is reused; the writes of one turn leave
 * together, without copies.
 */
import net from 'node:net';
import process from 'node:process';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import { KIB } from '../../base/units.ts';

/** What one read takes at most. */
const READ_BUFFER_BYTES = 256 * KIB;

export class TcpConnection implements ByteStream {
  readonly remoteAddress: string;
  readonly #socket: net.Socket;
  readonly #handlers: StreamHandlers;
  #error: WalrusError | null = null;
  #isCorked = false;
  #isClosed = false;

  constructor(address: string, handlers: StreamHandlers & { onOpen(): void }) {
    this.remoteAddress = address;
    this.#handlers = handlers;
    this.#socket = net.connect({
      ...target(address),
      noDelay: true,
      onread: {
        buffer: new Uint8Array(READ_BUFFER_BYTES),
        callback: (length, buffer) => {
          if (!this.#isClosed) handlers.onData(buffer.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('connect', () => {
      if (!this.#isClosed) handlers.onOpen();
    });
    this.#socket.on('drain', () => handlers.onDrain());
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= failure(address, error);
    });
    this.#socket.on('close', () => this.#onClosed());
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onClosed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handlers.onClose(this.#error);
  }
}

function target(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = Number(address.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    const message = `Cannot connect to "${address}": an address is HOST:PORT`;
    throw new WalrusError('INVALID_CONFIG', message);
  }
  return { host, port };
}

function failure(address: string, error: NodeJS.ErrnoException): WalrusError {
  const details = { address, ...(error.code === undefined ? {} : { errno: error.code }) };
  const message = `The connection with ${address} failed: ${error.message}`;
  return new WalrusError('CONNECTION_FAILED', message, { details, cause: error });
}

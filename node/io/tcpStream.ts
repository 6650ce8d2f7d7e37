/**
 * One TCP connection as a `ByteStream`.
 *
 * - Writes are gathered until the present callback and its promises are through, then leave in one system call:
 *   small ones copied together, large ones as they are.
 * - `end` lingers: what still arrives is read and dropped until the other side closes, too. To close with unread
 *   bytes would send a reset, which may overtake the last reply (the `ERR` that says why).
 */
import type net from 'node:net';
import process from 'node:process';
import { assertDefined } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import { KIB } from '../../base/units.ts';
import { errnoOf } from './errno.ts';

/** Parts below this size are copied together. */
const SMALL_PART_BYTES = 4 * KIB;
/** What is copied together at most into one part. */
const GATHER_BYTES = 64 * KIB;
/** How long `end` waits for the other side before it closes for good. */
const LINGER_MS = 5_000;

export class TcpStream implements ByteStream {
  readonly remoteAddress: string;
  #socket: net.Socket | undefined;
  #handlers: StreamHandlers | undefined;
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  /** Whom to tell when the parts are sent. */
  #onReleased: (() => void)[] = [];
  #isFlushPlanned = false;
  #state: 'open' | 'ending' | 'closed' = 'open';
  #isPaused = false;
  #readsByEvents = false;
  #error: Error | null = null;
  #timer: NodeJS.Timeout | undefined;
  readonly #closedCallbacks: (() => void)[] = [];

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  /** Binds the stream to its socket, before its owner may use it. `readsByEvents`: by 'data' events. */
  attach(socket: net.Socket, options: { readsByEvents?: boolean } = {}): void {
    this.#socket = socket;
    this.#readsByEvents = options.readsByEvents ?? false;
    socket.on('error', (error) => {
      this.#error ??= connectionError(this.remoteAddress, error.message, error);
    });
    socket.on('end', () => {
      this.#onRemoteEnd();
    });
    socket.on('close', () => {
      this.#onClosed();
    });
  }

  /** Names the owner, before the first event. */
  own(handlers: StreamHandlers): void {
    this.#handlers = handlers;
  }

  /** Calls back once the connection stands; fails it when that takes too long. */
  openWithin(timeoutMs: number, onOpen: () => void): void {
    this.#timer = setTimeout(() => {
      this.#fail(connectionError(this.remoteAddress, `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#open().once('connect', () => {
      clearTimeout(this.#timer);
      if (this.#state === 'open') onOpen();
    });
  }

  /** Begins to read from an accepted connection, unless the owner has paused or closed it already. */
  startReading(): void {
    if (this.#readsByEvents) {
      this.#open().on('data', (chunk: Uint8Array) => {
        this.receive(chunk);
      });
    }
    if (this.#state === 'open' && this.#isPaused) this.#open().pause();
    else this.#open().resume();
  }

  /** Registers what the network does when the stream is over. */
  onceClosed(callback: () => void): void {
    this.#closedCallbacks.push(callback);
  }

  /** Takes bytes from the socket. */
  receive(chunk: Uint8Array): void {
    if (this.#state === 'open') this.#owner().onData(chunk);
  }

  get pendingBytes(): number {
    return this.#partBytes + (this.#socket?.writableLength ?? 0);
  }

  write(bytes: Uint8Array, onReleased?: () => void): void {
    if (this.#state !== 'open' || bytes.length === 0) return;
    this.#parts.push(bytes);
    this.#partBytes += bytes.length;
    if (onReleased !== undefined) this.#onReleased.push(onReleased);
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    // A tick that is asked for from a microtask runs after all microtasks: what promises write goes along.
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#isFlushPlanned = false;
        this.#flush();
      });
    });
  }

  #flush(): void {
    const socket = this.#open();
    const parts = this.#parts;
    if (parts.length === 0 || this.#state === 'closed') return;
    const released = this.#onReleased;
    this.#parts = [];
    this.#partBytes = 0;
    this.#onReleased = [];
    const gathered = gather(parts);
    const last = gathered.length - 1;
    socket.cork();
    for (let i = 0; i < last; i += 1) socket.write(gathered[i] as Uint8Array);
    socket.write(gathered[last] as Uint8Array, (error) => {
      // After a failure the system may still be at them.
      if (!error) for (const release of released) release();
      if (!error && this.#state === 'open' && this.pendingBytes === 0) this.#owner().onDrain();
    });
    socket.uncork();
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#state === 'open') this.#socket?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#state === 'open') this.#socket?.resume();
  }

  end(): void {
    if (this.#state !== 'open') return;
    this.#flush();
    this.#state = 'ending';
    const socket = this.#open();
    socket.end();
    socket.resume(); // reads to the end, see above
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      socket.destroy();
    }, LINGER_MS);
  }

  destroy(): void {
    if (this.#state === 'closed') return;
    this.#state = 'ending';
    this.#parts = [];
    this.#partBytes = 0;
    this.#socket?.destroy();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.destroy();
  }

  #onRemoteEnd(): void {
    if (this.#state !== 'open') return;
    const owner = this.#owner();
    if (owner.onEnd === undefined) this.end();
    else owner.onEnd();
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    this.#parts = [];
    this.#partBytes = 0;
    for (const callback of this.#closedCallbacks) callback();
    this.#owner().onClose(this.#error);
  }

  #open(): net.Socket {
    return assertDefined(this.#socket, 'A stream is attached before it is used');
  }

  #owner(): StreamHandlers {
    return assertDefined(this.#handlers, 'A stream is attached before it is used');
  }
}

/** Copies neighbouring small parts together; large ones stay as they are. */
function gather(parts: readonly Uint8Array[]): Uint8Array[] {
  if (parts.length === 1) return [parts[0] as Uint8Array];
  const gathered: Uint8Array[] = [];
  let run: Uint8Array[] = [];
  let runBytes = 0;
  const closeRun = (): void => {
    if (run.length > 0)
      gathered.push(run.length === 1 ? (run[0] as Uint8Array) : Buffer.concat(run));
    run = [];
    runBytes = 0;
  };
  for (const part of parts) {
    if (part.length >= SMALL_PART_BYTES || runBytes + part.length > GATHER_BYTES) closeRun();
    if (part.length >= SMALL_PART_BYTES) {
      gathered.push(part);
      continue;
    }
    run.push(part);
    runBytes += part.length;
  }
  closeRun();
  return gathered;
}

/** The failure of a connection, for the owner. */
export function connectionError(address: string, reason: string, cause?: unknown): WalrusError {
  const errno = errnoOf(cause);
  return new WalrusError('CONNECTION_FAILED', `The connection with ${address} failed: ${reason}`, {
    details: errno === undefined ? { address } : { address, errno },
    cause,
  });
}

/** A network in memory: bytes arrive at once in the clock's next turn; connections can be cut, hosts frozen. */
import type { Clock } from '../../../base/clock.ts';
import { WalrusError } from '../../../base/errors.ts';
import type { ByteStream, Listener, Network, StreamHandlers } from '../../../base/network.ts';

type Accept = (stream: ByteStream) => StreamHandlers;

class FakeStream implements ByteStream {
  readonly remoteAddress: string;
  readonly #clock: Clock;
  other: FakeStream | undefined;
  handlers: StreamHandlers | undefined;
  isClosed = false;
  /** Bytes are kept back: the other end is stopped or out of reach. */
  isFrozen = false;
  #kept: Uint8Array[] = [];

  constructor(remoteAddress: string, clock: Clock) {
    this.remoteAddress = remoteAddress;
    this.#clock = clock;
  }

  get pendingBytes(): number {
    return this.#kept.reduce((sum, { length }) => sum + length, 0);
  }

  write(bytes: Uint8Array): void {
    if (this.isClosed) return;
    const copy = bytes.slice();
    if (this.isFrozen) this.#kept.push(copy);
    else this.#clock.defer(() => this.other?.deliver(copy));
  }

  deliver(bytes: Uint8Array): void {
    if (!this.isClosed) this.handlers?.onData(bytes);
  }

  pause(): void {
    throw new Error('not needed here');
  }

  resume(): void {
    throw new Error('not needed here');
  }

  end(): void {
    this.#clock.defer(() => {
      this.destroy();
    });
  }

  destroy(): void {
    this.cut(null);
  }

  /** Ends both sides. */
  cut(error: Error | null): void {
    for (const side of [this, this.other]) {
      if (side === undefined || side.isClosed) continue;
      side.isClosed = true;
      this.#clock.defer(() => side.handlers?.onClose(side === this ? error : error));
    }
  }
}

export class FakeNetwork implements Network {
  readonly #clock: Clock;
  readonly #accepts = new Map<string, Accept>();
  readonly frozenHosts = new Set<string>();
  streams: FakeStream[] = [];
  connectCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  connect(address: string, handlers: StreamHandlers & { onOpen(): void }): ByteStream {
    this.connectCount += 1;
    const near = new FakeStream(address, this.#clock);
    near.handlers = handlers;
    near.isFrozen = this.frozenHosts.has(address);
    this.#clock.defer(() => {
      if (near.isClosed) return;
      const accept = this.#accepts.get(address);
      if (accept === undefined) {
        near.cut(new WalrusError('CONNECTION_FAILED', `nobody listens on ${address}`));
        return;
      }
      const far = new FakeStream(`client:${this.connectCount}`, this.#clock);
      near.other = far;
      far.other = near;
      this.streams.push(near);
      far.handlers = accept(far);
      handlers.onOpen();
    });
    return near;
  }

  listen(host: string, port: number, accept: Accept): Promise<Listener> {
    const address = `${host}:${port}`;
    this.#accepts.set(address, accept);
    const close = (): Promise<void> => {
      this.#accepts.delete(address);
      return Promise.resolve();
    };
    return Promise.resolve({ port, close });
  }

  /** Resets every connection, or holds back what goes out on those to one address. */
  resetAll(): void {
    for (const stream of this.streams) stream.cut(new Error('connection reset'));
    this.streams = [];
  }

  freeze(address: string): void {
    this.frozenHosts.add(address);
    for (const stream of this.streams) {
      if (stream.remoteAddress === address) stream.isFrozen = true;
    }
  }

  thaw(address: string): void {
    this.frozenHosts.delete(address);
  }
}

/**
 * Client connections of a simulated cluster: byte streams on virtual time that arrive in pieces of any size, later,
 * in order, and that break when a machine's process dies, or by chance. Deterministic: cuts, delays and resets are drawn
 * from the injected Random.
 */
import { assert } from '../../base/assert.ts';
import { concatBytes } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, Listener, Network, StreamHandlers } from '../../base/network.ts';
import { between, chance } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './simProcess.ts';

/** What may go wrong. Probabilities are 0..1 for each piece that is sent, times in virtual milliseconds. */
export interface StreamFaults {
  readonly resetProbability: number;
  /** Probability that a piece is cut at a random place. */
  readonly cutProbability: number;
  readonly delayMs: { readonly min: number; readonly max: number };
}

export const CALM_STREAMS: StreamFaults = {
  resetProbability: 0,
  cutProbability: 0.3,
  delayMs: { min: 0.02, max: 0.2 },
};

type Accept = (stream: ByteStream) => StreamHandlers;

interface Host {
  readonly process: SimProcess;
  readonly accept: Accept;
}

/** What a stream needs of the network around it. */
interface Surroundings {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: () => StreamFaults;
}

export class SimStreams {
  /** May be replaced at any time. */
  faults: StreamFaults = CALM_STREAMS;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #hosts = new Map<string, Host>();
  #streams: SimStream[] = [];

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** The network of one process life; null for a client outside of all machines. */
  network(process: SimProcess | null): Network {
    return {
      connect: (address, handlers) => this.#connect(process, address, handlers),
      listen: (host, port, accept) => {
        assert(process !== null, 'Only processes listen');
        return Promise.resolve(this.listen(`${host}:${port}`, process, accept));
      },
    };
  }

  /** Takes connections to an address; replaces an earlier life's. */
  listen(address: string, process: SimProcess, accept: Accept): Listener {
    const host = { process, accept };
    this.#hosts.set(address, host);
    return {
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
      close: () => {
        if (this.#hosts.get(address) === host) this.#hosts.delete(address);
        return Promise.resolve();
      },
    };
  }

  #connect(
    process: SimProcess | null,
    address: string,
    handlers: StreamHandlers & { onOpen(): void },
  ): ByteStream {
    const around: Surroundings = {
      scheduler: this.#scheduler,
      random: this.#random,
      faults: () => this.faults,
    };
    const near = new SimStream(around, address, process);
    near.own(handlers);
    this.#scheduler.schedule(this.faults.delayMs.max, () => {
      const host = this.#hosts.get(address);
      if (host?.process.isAlive !== true) {
        near.fail(new WalrusError('CONNECTION_FAILED', `Nobody listens on ${address}`));
        return;
      }
      const far = new SimStream(around, 'client:1', host.process);
      near.pairWith(far);
      this.#streams = this.#streams.filter((stream) => stream.isOpen);
      this.#streams.push(near);
      host.process.enter(() => far.own(host.accept(far)));
      near.enter(() => handlers.onOpen());
    });
    return near;
  }

  /** Breaks the connections of processes that have died; to be called after a kill. */
  breakDead(): void {
    for (const stream of this.#streams) stream.breakIfDead();
  }

  /** Breaks every connection. */
  resetAll(): void {
    for (const stream of this.#streams) stream.reset();
    this.#streams = [];
  }
}

class SimStream implements ByteStream {
  readonly remoteAddress: string;
  readonly #around: Surroundings;
  readonly #process: SimProcess | null;
  #other: SimStream | null = null;
  #handlers: StreamHandlers | null = null;
  /** Written and not sent yet. */
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  /** Whom to tell when it is sent. */
  #onReleased: (() => void)[] = [];
  /** Arrived and not taken: this side is paused. */
  #arrived: Uint8Array[] = [];
  /** Sent and not arrived, or arrived and not taken by the other side. */
  #underWayBytes = 0;
  #lastArrivalMs = 0;
  #isSendPlanned = false;
  #isPaused = false;
  #hasEnded = false;
  #isOver = false;
  #otherHasEnded = false;

  constructor(around: Surroundings, remoteAddress: string, process: SimProcess | null) {
    this.#around = around;
    this.remoteAddress = remoteAddress;
    this.#process = process;
  }

  get isOpen(): boolean {
    return !this.#isOver;
  }

  get pendingBytes(): number {
    return this.#unsentBytes + this.#underWayBytes;
  }

  own(handlers: StreamHandlers): void {
    this.#handlers = handlers;
  }

  pairWith(far: SimStream): void {
    this.#other = far;
    far.#other = this;
    this.#sendSoon();
  }

  /** Runs a call to the owner as its process would: now, later, or never. */
  enter(callback: () => void): void {
    if (this.#process === null) callback();
    else this.#process.enter(callback);
  }

  write(bytes: Uint8Array, onReleased?: () => void): void {
    if (this.#isOver || this.#hasEnded || bytes.length === 0) return;
    this.#unsent.push(bytes);
    this.#unsentBytes += bytes.length;
    if (onReleased !== undefined) this.#onReleased.push(onReleased);
    this.#sendSoon();
  }

  /** What one turn writes leaves together, then is cut anyhow. */
  #sendSoon(): void {
    if (this.#isSendPlanned || this.#other === null) return;
    this.#isSendPlanned = true;
    this.#around.scheduler.schedule(0, () => {
      this.#isSendPlanned = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#isOver) return;
    const { random } = this.#around;
    const { resetProbability, cutProbability } = this.#around.faults();
    let bytes = concatBytes(this.#unsent);
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#release();
    this.#underWayBytes += bytes.length;
    while (bytes.length > 0) {
      if (chance(random, resetProbability)) {
        this.reset();
        return;
      }
      const isCut = bytes.length > 1 && chance(random, cutProbability);
      const length = isCut ? between(random, 1, bytes.length - 1) : bytes.length;
      this.#arriveLater(bytes.slice(0, length));
      bytes = bytes.slice(length);
    }
    if (this.#hasEnded) this.#arriveLater(null);
  }

  /** What leaves this process may be lost later, and it does not hear of that. */
  #release(): void {
    const released = this.#onReleased;
    this.#onReleased = [];
    if (released.length === 0) return;
    this.#around.scheduler.schedule(0, () => {
      this.enter(() => {
        for (const release of released) release();
      });
    });
  }

  /** @param piece - null: the end. Pieces stay in order. */
  #arriveLater(piece: Uint8Array | null): void {
    const { scheduler, random, faults } = this.#around;
    const { min, max } = faults().delayMs;
    const atMs = scheduler.nowMs + min + (random.uint32() / 2 ** 32) * (max - min);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, atMs);
    scheduler.schedule(this.#lastArrivalMs - scheduler.nowMs, () => {
      this.#other?.enter(() => {
        if (piece === null) this.#other?.ended();
        else this.#other?.arrive(piece);
      });
    });
  }

  private arrive(piece: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#isPaused) this.#arrived.push(piece);
    else this.#take(piece);
  }

  #take(piece: Uint8Array): void {
    const { length } = piece;
    this.#handlers?.onData(piece);
    piece.fill(0xdb); // whoever keeps a view of it is found out
    this.#other?.taken(length);
  }

  /** The other side has read bytes of ours. */
  private taken(length: number): void {
    if (this.#isOver) return;
    this.#underWayBytes -= length;
    if (this.pendingBytes > 0) return;
    this.#around.scheduler.schedule(0, () => {
      this.enter(() => {
        if (!this.#isOver && this.pendingBytes === 0) this.#handlers?.onDrain();
      });
    });
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#around.scheduler.schedule(0, () => {
      this.enter(() => this.#takeArrived());
    });
  }

  #takeArrived(): void {
    while (!this.#isPaused && !this.#isOver) {
      const piece = this.#arrived.shift();
      if (piece === undefined) break;
      this.#take(piece);
    }
    if (this.#arrived.length === 0 && this.#otherHasEnded) this.ended();
  }

  /** The other side sends no more. */
  private ended(): void {
    if (this.#isOver) return;
    this.#otherHasEnded = true;
    if (this.#arrived.length > 0) return;
    if (this.#hasEnded) this.#close(null);
    else if (this.#handlers?.onEnd !== undefined) this.#handlers.onEnd();
    else this.end();
  }

  end(): void {
    if (this.#isOver || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#sendSoon();
    if (this.#otherHasEnded) {
      this.#around.scheduler.schedule(0, () => {
        this.enter(() => this.#close(null));
      });
    }
  }

  destroy(): void {
    this.reset();
  }

  /** Both sides find the connection broken. */
  reset(): void {
    const { scheduler, faults } = this.#around;
    const other = this.#other;
    scheduler.schedule(0, () => {
      this.enter(() =>
        this.#close(new WalrusError('CONNECTION_FAILED', 'The connection was reset')),
      );
    });
    scheduler.schedule(faults().delayMs.max, () => other?.fail(brokenError()));
  }

  fail(error: Error): void {
    this.enter(() => this.#close(error));
  }

  breakIfDead(): void {
    for (const side of [this, this.#other]) {
      if (side === null || side.#process?.isAlive !== false) continue;
      const { scheduler, faults } = this.#around;
      scheduler.schedule(faults().delayMs.max, () => side.#other?.fail(brokenError()));
      side.#isOver = true;
    }
  }

  #close(error: Error | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#arrived = [];
    this.#handlers?.onClose(error);
  }
}

function brokenError(): WalrusError {
  return new WalrusError('CONNECTION_FAILED', 'The connection was reset by the other side');
}

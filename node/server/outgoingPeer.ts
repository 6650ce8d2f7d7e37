/**
 * The connection to one peer address.
 *
 *   idle --send--> connecting --open--> greeting --welcome--> ready
 *     ^                |                    |                   |
 *     |                +------- failure, refusal, close --------+
 *     +---- nothing waits ---- resting (back-off, with jitter) <-+
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import { between } from '../../base/random.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import {
  HELLO_FRAME_LIMIT_BYTES,
  PEER_PROTOCOL_VERSION,
  decodeHelloAnswer,
  encodeHello,
  encodePeerFrame,
} from '../../protocol/peer/envelope.ts';
import { HELLO_TIMEOUT_MS, TroubleLog, clusterMismatch } from './peerContext.ts';
import type { PeerContext } from './peerContext.ts';

/** The rest after a first failure; doubled with each further one. */
const MIN_REST_MS = 20;
/** The longest rest: a peer that comes back is found within it. */
const MAX_REST_MS = 500;
/** The same after a refusal, which does not mend itself soon. */
const MAX_REFUSED_REST_MS = 5_000;
/** A peer that is sent to and says nothing for so long is connected to anew. */
const SILENCE_MS = 3_000;

interface Message {
  readonly parts: readonly Uint8Array[];
  readonly onReleased: (() => void) | undefined;
}

type State = 'idle' | 'connecting' | 'greeting' | 'ready' | 'resting';

export class OutgoingPeer {
  readonly #address: string;
  readonly #context: PeerContext;
  readonly #trouble: TroubleLog;
  #state: State = 'idle';
  #stream: ByteStream | undefined;
  #waiting: Message[] = [];
  #waitingBytes = 0;
  #failures = 0;
  #problem: WalrusError | null = null;
  #timer: Timer | undefined;
  #restUntilMs = 0;
  #lastHeardMs = 0;
  /** Whether messages from this very address ever came: a peer may be known to others by another one. */
  #hasSpoken = false;

  constructor(address: string, context: PeerContext) {
    this.#address = address;
    this.#context = context;
    this.#trouble = new TroubleLog(context.logger);
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Why the last attempt to connect failed; null when it did not. */
  get problem(): WalrusError | null {
    return this.#problem;
  }

  get queuedBytes(): number {
    return this.#waitingBytes + (this.#stream?.pendingBytes ?? 0);
  }

  /** Sends or queues a message. @returns false when the queue is full. */
  send(parts: readonly Uint8Array[], bytes: number, onReleased?: () => void): boolean {
    this.#checkSilence();
    if (this.queuedBytes + bytes > this.#context.maxQueueBytes) return false;
    if (this.#state === 'ready') {
      this.#write(parts, onReleased);
      return true;
    }
    this.#waiting.push({ parts, onReleased });
    this.#waitingBytes += bytes;
    if (this.#state === 'idle') this.#connect();
    else if (this.#state === 'resting') this.#planConnect();
    return true;
  }

  /** The peer has said something, on its own connection. */
  heard(): void {
    this.#hasSpoken = true;
    this.#lastHeardMs = this.#context.clock.monotonicMs();
  }

  /** The peer has connected to us, so it is up: no need to rest any longer. */
  heardHello(): void {
    if (this.#state !== 'resting') return;
    this.#restUntilMs = 0;
    if (this.#waiting.length > 0) this.#planConnect();
  }

  stop(): void {
    this.#leave('idle');
  }

  #write(parts: readonly Uint8Array[], onReleased?: () => void): void {
    const frame = encodePeerFrame(parts);
    const last = frame.length - 1; // the stream is done with it last
    for (const [i, part] of frame.entries()) {
      this.#stream?.write(part, i === last ? onReleased : undefined);
    }
  }

  #connect(): void {
    this.#state = 'connecting';
    this.#setTimer(HELLO_TIMEOUT_MS, () => {
      this.#fail(connectionFailed(this.#address, `no welcome within ${HELLO_TIMEOUT_MS} ms`));
    });
    const handlers = this.#handlers();
    this.#stream = this.#context.network.connect(this.#address, handlers);
    handlers.stream = this.#stream;
  }

  /** Handlers of one connection; they are deaf once it is not the present one any more. */
  #handlers(): StreamHandlers & { onOpen(): void; stream: ByteStream | undefined } {
    const decoder = new FrameDecoder({
      maxFrameBytes: HELLO_FRAME_LIMIT_BYTES,
      what: 'peer answer',
      onFrame: (frame) => {
        if (this.#isPresent(handlers.stream)) this.#onAnswer(frame);
      },
    });
    const handlers = {
      stream: undefined as ByteStream | undefined,
      onOpen: () => {
        if (this.#isPresent(handlers.stream)) this.#greet();
      },
      onData: (chunk: Uint8Array) => {
        if (!this.#isPresent(handlers.stream)) return;
        const error = decoder.push(chunk);
        if (error !== null) this.#fail(error);
      },
      onDrain: () => undefined,
      onClose: (error: Error | null) => {
        if (!this.#isPresent(handlers.stream)) return;
        this.#stream = undefined;
        this.#fail(error ?? connectionFailed(this.#address, 'the other side closed it'));
      },
    };
    return handlers;
  }

  #isPresent(stream: ByteStream | undefined): boolean {
    return this.#stream !== undefined && (stream === undefined || this.#stream === stream);
  }

  #greet(): void {
    this.#state = 'greeting';
    const hello = { protocolVersion: PEER_PROTOCOL_VERSION, ...this.#context.local() };
    this.#write([encodeHello(hello)]);
  }

  #onAnswer(frame: Uint8Array): void {
    if (this.#state !== 'greeting') {
      this.#fail(connectionFailed(this.#address, 'it spoke where only this side does'));
      return;
    }
    try {
      const answer = decodeHelloAnswer(frame);
      if (answer instanceof WalrusError) throw seenFromHere(answer, this.#address);
      const ours = this.#context.local().clusterId;
      const mismatch = clusterMismatch(ours, answer.clusterId, this.#address);
      if (mismatch !== null) throw mismatch;
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      this.#fail(error);
      return;
    }
    this.#becomeReady();
  }

  #becomeReady(): void {
    this.#state = 'ready';
    this.#timer?.cancel();
    this.#failures = 0;
    this.#problem = null;
    this.#lastHeardMs = this.#context.clock.monotonicMs();
    if (this.#trouble.clear(this.#address)) {
      this.#context.logger.log('info', 'A peer is reached again', { peer: this.#address });
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const { parts, onReleased } of waiting) this.#write(parts, onReleased);
  }

  #checkSilence(): void {
    if (this.#state !== 'ready' || !this.#hasSpoken) return;
    const silentMs = this.#context.clock.monotonicMs() - this.#lastHeardMs;
    if (silentMs < SILENCE_MS) return;
    this.#leave('idle');
    this.#trouble.report(
      this.#address,
      'A peer is silent and is connected to anew',
      connectionFailed(this.#address, `nothing was heard for ${SILENCE_MS} ms`),
    );
  }

  #fail(error: Error): void {
    this.#trouble.report(this.#address, 'A peer cannot be reached', error);
    this.#leave('resting');
    this.#failures += 1;
    this.#problem =
      error instanceof WalrusError ? error : connectionFailed(this.#address, error.message);
    const isRefused = error instanceof WalrusError && error.code !== 'CONNECTION_FAILED';
    const longest = isRefused ? MAX_REFUSED_REST_MS : MAX_REST_MS;
    const restMs = Math.min(longest, MIN_REST_MS * 2 ** Math.min(this.#failures - 1, 16));
    // Half of it at least, so that nodes that lost a peer together do not come back together.
    const jittered = between(this.#context.random, Math.ceil(restMs / 2), restMs);
    this.#restUntilMs = this.#context.clock.monotonicMs() + jittered;
  }

  #planConnect(): void {
    const restMs = Math.max(0, this.#restUntilMs - this.#context.clock.monotonicMs());
    this.#setTimer(restMs, () => {
      this.#connect();
    });
  }

  #leave(state: 'idle' | 'resting'): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#state = state;
    this.#timer?.cancel();
    this.#waiting = [];
    this.#waitingBytes = 0;
    stream?.destroy();
  }

  #setTimer(delayMs: number, callback: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#context.clock.setTimer(delayMs, callback);
  }
}

/** A refusal speaks of this node: turned round, it says whose address is wrong. */
function seenFromHere(refusal: WalrusError, address: string): WalrusError {
  const { clusterId: ours, expected: theirs } = refusal.details;
  if (refusal.code !== 'WRONG_CLUSTER') return refusal;
  return clusterMismatch(String(ours), String(theirs), address) ?? refusal;
}

function connectionFailed(address: string, reason: string): WalrusError {
  return new WalrusError(
    'CONNECTION_FAILED',
    `No connection with the peer at ${address}: ${reason}`,
  );
}

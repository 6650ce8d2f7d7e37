/**
 * One connection to one node: the handshake, then requests that are pipelined and answered by correlation id.
 *
 * - Requests are written in the order of the calls, those made before the handshake included.
 * - A node that does not answer within a request's time is taken for dead: the connection closes, so that
 *   everything on it fails together and goes elsewhere.
 */
import type { Timer } from '../base/clock.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { ByteStream } from '../base/network.ts';
import { MIB } from '../base/units.ts';
import { SOFTWARE_VERSION } from '../base/version.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { AnyApi, Api } from '../protocol/client/codec.ts';
import { correlationIdOf, decodeResponse, encodeRequest } from '../protocol/client/frames.ts';
import type { HandshakeResponse } from '../protocol/client/handshake.ts';
import { CLIENT_MAGIC } from '../protocol/dialect.ts';
import { FRAME_HEADER_BYTES, FrameDecoder } from '../protocol/frame.ts';
import type { ClientWorld } from './world.ts';

/** The largest response: what a node may send for a fetch, with room for its header. */
const RESPONSE_BYTES_MAX = 272 * MIB;
/** Requests without an answer on one connection. */
const IN_FLIGHT_COUNT_MAX = 4096;
const CORRELATION_MODULUS = 2 ** 32;
/** 0 is no request's: a node says with it why it ends the connection. */
const FIRST_CORRELATION_ID = 1;

export interface ConnectionOptions {
  /** `host:port`. */
  readonly address: string;
  readonly clientName: string;
  /** The time for connecting and the handshake together, in ms. */
  readonly connectTimeoutMs: number;
  /** Called once, when the connection is over. */
  readonly onClosed: (error: WalrusError) => void;
  readonly onOpen: (node: HandshakeResponse) => void;
}

interface Waiting {
  readonly api: AnyApi;
  readonly timer: Timer;
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: WalrusError) => void;
}

export class Connection {
  readonly address: string;
  readonly #world: ClientWorld;
  readonly #options: ConnectionOptions;
  readonly #stream: ByteStream;
  readonly #decoder: FrameDecoder;
  readonly #waiting = new Map<number, Waiting>();
  /** Requests that were made before the handshake, in order. */
  #unsent: (() => void)[] = [];
  #node: HandshakeResponse | null = null;
  #error: WalrusError | null = null;
  readonly #connectTimer: Timer;
  #nextCorrelationId = FIRST_CORRELATION_ID;

  constructor(world: ClientWorld, options: ConnectionOptions) {
    this.#world = world;
    this.#options = options;
    this.address = options.address;
    this.#decoder = new FrameDecoder({
      maxFrameBytes: RESPONSE_BYTES_MAX,
      what: 'response',
      onFrame: (frame, isOwned) => this.#onFrame(frame, isOwned),
    });
    this.#stream = world.network.connect(options.address, {
      onOpen: () => this.#handshake(),
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => undefined,
      onClose: (error) =>
        this.#fail(isWalrusError(error) ? error : this.#failed('the node closed it', error)),
    });
    const { connectTimeoutMs } = options;
    this.#connectTimer = world.clock.setTimer(connectTimeoutMs, () => {
      this.#fail(this.#failed(`no answer within ${connectTimeoutMs} ms`, null));
    });
  }

  /** Whether the handshake is done and the connection stands. */
  get isOpen(): boolean {
    return this.#node !== null && this.#error === null;
  }

  get isClosed(): boolean {
    return this.#error !== null;
  }

  /** What the node said of itself; null before the handshake. */
  get node(): HandshakeResponse | null {
    return this.#node;
  }

  /**
   * Sends a request.
   * @param timeoutMs - After it the connection is given up.
   * @throws {WalrusError} what the node answers, CONNECTION_FAILED, TIMED_OUT, UNSUPPORTED_VERSION, OVERLOADED.
   */
  request<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#waiting.size + this.#unsent.length >= IN_FLIGHT_COUNT_MAX) {
      const message = `${IN_FLIGHT_COUNT_MAX} requests to ${this.address} wait for an answer`;
      return Promise.reject(new WalrusError('OVERLOADED', message));
    }
    return new Promise<Response>((resolve, reject) => {
      const send = (): void => {
        const problem = this.#error ?? this.#versionProblem(api);
        if (problem !== null) reject(problem);
        else
          this.#send<Request, Response>(api, request, {
            timeoutMs,
            resolve: (each) => resolve(each),
            reject,
          });
      };
      if (this.#node === null) this.#unsent.push(send);
      else send();
    });
  }

  /** Closes it; what waits for an answer fails. */
  close(error = this.#failed('it was closed by this side', null)): void {
    this.#fail(error);
  }

  #handshake(): void {
    const { clientName, connectTimeoutMs: timeoutMs } = this.#options;
    this.#connectTimer.cancel();
    this.#stream.write(CLIENT_MAGIC.slice());
    const request = { clientName, clientVersion: SOFTWARE_VERSION };
    this.#send(APIS.Handshake, request, {
      timeoutMs,
      resolve: (node) => this.#onHandshake(node),
      reject: (error) => this.#fail(error),
    });
  }

  #onHandshake(node: HandshakeResponse): void {
    this.#node = node;
    this.#options.onOpen(node);
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const send of unsent) send();
  }

  #versionProblem(api: AnyApi): WalrusError | null {
    const spoken = this.#node?.apis.find(({ apiKey }) => apiKey === api.apiKey);
    const version = api.maxVersion;
    if (spoken !== undefined && version >= spoken.minVersion && version <= spoken.maxVersion) {
      return null;
    }
    const theirs =
      spoken === undefined
        ? 'does not know it'
        : `speaks ${spoken.minVersion} to ${spoken.maxVersion}`;
    return new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot send ${api.name} in version ${version} to ${this.address}: the node ${theirs}`,
    );
  }

  /** A frame over the node's limit would end the connection, and with it all that is under way. */
  #sizeProblem(api: AnyApi, parts: readonly Uint8Array[]): WalrusError | null {
    const limitBytes = this.#node?.maxFrameBytes ?? Infinity;
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, -FRAME_HEADER_BYTES);
    if (sizeBytes <= limitBytes) return null;
    return new WalrusError(
      'TOO_LARGE',
      `Cannot send a ${api.name} of ${sizeBytes} bytes to ${this.address}: the node takes up to ` +
        `${limitBytes}; send less at once, or raise --max-frame-bytes of every node`,
      { details: { sizeBytes, limitBytes } },
    );
  }

  #send<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    options: {
      readonly timeoutMs: number;
      readonly resolve: (response: Response) => void;
      readonly reject: (error: WalrusError) => void;
    },
  ): void {
    const { resolve, reject } = options;
    const timeoutMs = Math.ceil(options.timeoutMs);
    const id = this.#nextCorrelationId;
    const parts = encodeRequest(api, id, request);
    const problem = this.#sizeProblem(api, parts);
    if (problem !== null) {
      reject(problem);
      return;
    }
    this.#nextCorrelationId = id + 1 < CORRELATION_MODULUS ? id + 1 : FIRST_CORRELATION_ID;
    const timer = this.#world.clock.setTimer(timeoutMs, () => {
      const message = `The outcome of ${api.name} is unknown: ${this.address} did not answer within ${timeoutMs} ms`;
      this.#waiting.delete(id);
      reject(new WalrusError('TIMED_OUT', message));
      this.#fail(this.#failed(`no answer within ${timeoutMs} ms`, null));
    });
    this.#waiting.set(id, { api, timer, resolve: (value) => resolve(value as Response), reject });
    for (const part of parts) this.#stream.write(part);
  }

  #onData(chunk: Uint8Array): void {
    let error: WalrusError | null;
    try {
      error = this.#decoder.push(chunk);
    } catch (thrown) {
      if (!isWalrusError(thrown)) throw thrown;
      error = thrown;
    }
    if (error === null) return;
    // Before the handshake this is not a node at all. Later the requests under way have an unknown outcome.
    this.#fail(this.#node === null ? this.#notANode(error) : this.#failed(error.message, error));
  }

  #onFrame(frame: Uint8Array, isOwned: boolean): void {
    const id = correlationIdOf(frame);
    if (id < FIRST_CORRELATION_ID) this.#onGoodbye(frame);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return; // given up meanwhile
    this.#waiting.delete(id);
    waiting.timer.cancel();
    // What is read keeps views of the frame.
    let response: unknown;
    try {
      response = decodeResponse(waiting.api, isOwned ? frame : frame.slice());
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const message = `The outcome of ${waiting.api.name} is unknown: the answer of ${this.address} cannot be read`;
      waiting.reject(
        this.#node === null ? error : new WalrusError('TIMED_OUT', message, { cause: error }),
      );
      throw error;
    }
    if (response instanceof WalrusError) waiting.reject(response);
    else waiting.resolve(response);
  }

  /** The node says why it ends the connection. What is under way may or may not have taken place. */
  #onGoodbye(frame: Uint8Array): void {
    const reason = decodeResponse(APIS.Handshake, frame);
    if (!(reason instanceof WalrusError)) return;
    if (this.#node === null) this.#fail(this.#refused(reason));
    else this.#fail(this.#failed(`${reason.message} (${reason.code})`, reason));
  }

  #refused(reason: WalrusError): WalrusError {
    const { address } = this;
    const message = `Refused by ${address}: ${reason.message}`;
    return new WalrusError(reason.code, message, { details: { address }, cause: reason });
  }

  #notANode(cause: WalrusError): WalrusError {
    const { address } = this;
    const message = `What listens at ${address} does not speak the client protocol: give a node's client port`;
    return new WalrusError('MALFORMED', message, { details: { address }, cause });
  }

  #failed(reason: string, cause: unknown): WalrusError {
    const { address } = this;
    const message = `The connection with ${address} failed: ${reason}`;
    return new WalrusError('CONNECTION_FAILED', message, { details: { address }, cause });
  }

  #fail(error: WalrusError): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#connectTimer.cancel();
    this.#decoder.stop();
    this.#stream.destroy();
    const waiting = [...this.#waiting.values()];
    const unsent = this.#unsent;
    this.#waiting.clear();
    this.#unsent = [];
    for (const each of waiting) {
      each.timer.cancel();
      each.reject(error);
    }
    for (const send of unsent) send();
    this.#options.onClosed(error);
  }
}

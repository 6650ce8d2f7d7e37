/**
 * Requests between nodes over the peer transport, which may lose, repeat, delay and reorder them: every request
 * has a time-out, an answer is taken once, and a repeated request is served again (all are idempotent).
 * Also the place where incoming messages are told apart by their kind.
 */
import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError, messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { PeerIdentity, PeerTransport } from '../../base/network.ts';
import type { Random } from '../../base/random.ts';
import type { AnyApi, Api } from '../../protocol/client/codec.ts';
import { MESSAGE_KIND, messageKindOf } from '../../protocol/peer/envelope.ts';
import {
  decodeRpcRequest,
  decodeRpcRequestHeader,
  decodeRpcResponse,
  encodeRpcFailure,
  encodeRpcRequest,
  encodeRpcResponse,
  rpcCorrelationIdOf,
} from '../../protocol/peer/rpc.ts';
import type { RpcRequestHeader } from '../../protocol/peer/rpc.ts';
import type { PeerRpc } from '../controller/types.ts';

/** Requests of this node that may wait for their answers. */
export const OUTSTANDING_COUNT_MAX = 16_384;
const CORRELATION_COUNT = 2 ** 32;

type Handler = (request: unknown, from: PeerIdentity) => unknown;

interface Outstanding {
  readonly api: AnyApi;
  readonly timer: Timer;
  resolve(response: unknown): void;
  reject(error: WalrusError): void;
}

interface Served {
  readonly api: AnyApi;
  readonly handler: Handler;
}

export interface PeerRpcOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: PeerTransport;
  /** This node, as it appears to itself. */
  readonly self: PeerIdentity;
}

/** What becomes of messages that are no requests or answers. */
export interface OtherMessages {
  raft(from: PeerIdentity, message: Uint8Array): void;
  replication(from: PeerIdentity, message: Uint8Array): void;
}

export class TransportPeerRpc implements PeerRpc {
  readonly #options: PeerRpcOptions;
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #served = new Map<number, Served>();
  #other: OtherMessages | null = null;
  /** Begins anywhere: an answer to an earlier process at this address must not be taken for one to this. */
  #nextCorrelationId: number;
  #isOpen = false;

  constructor(options: PeerRpcOptions) {
    this.#options = options;
    this.#nextCorrelationId = options.random.uint32();
    options.transport.onMessage((from, message) => this.#receive(from, message));
  }

  /** Sets who takes raft and replication messages. */
  onOtherMessages(other: OtherMessages): void {
    this.#other = other;
  }

  /** All handlers are there: what is not served from now on is unknown to this version. */
  open(): void {
    this.#isOpen = true;
  }

  handle<Request, Response>(
    api: Api<Request, Response>,
    handler: (request: Request, from: PeerIdentity) => Promise<Response> | Response,
  ): void {
    assert(!this.#served.has(api.apiKey), `${api.name} has one handler`);
    this.#served.set(api.apiKey, { api, handler: handler as Handler });
  }

  async call<Request, Response>(
    address: string,
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    if (address === this.#options.self.address) return await this.#callSelf(api, request);
    if (this.#outstanding.size >= OUTSTANDING_COUNT_MAX) {
      const waiting = `${this.#outstanding.size} requests to other nodes wait`;
      throw new WalrusError('OVERLOADED', `Cannot ask ${address} for ${api.name}: ${waiting}`);
    }
    const correlationId = this.#nextCorrelationId;
    this.#nextCorrelationId = (correlationId + 1) % CORRELATION_COUNT;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = this.#options.clock.setTimer(timeoutMs, () => {
        this.#outstanding.delete(correlationId);
        reject(this.#timedOut(address, api));
      });
      this.#outstanding.set(correlationId, { api, timer, resolve, reject });
    });
    const parts = encodeRpcRequest(api, correlationId, request);
    if (!this.#options.transport.send(address, parts)) this.#dropped(correlationId, address);
    return (await answer) as Response;
  }

  /** It may have been sent before the connection was lost: the outcome is unknown, whatever the connection's problem is. */
  #timedOut(address: string, { name }: AnyApi): WalrusError {
    const cause = this.#options.transport.problemOf?.(address) ?? undefined;
    const why = cause === undefined ? `${address} did not answer ${name} in time` : cause.message;
    return new WalrusError('TIMED_OUT', `The outcome is unknown: ${why}`, { cause });
  }

  async #callSelf<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const served = this.#served.get(api.apiKey);
    assert(served !== undefined, `${api.name} is served by every node`);
    return (await served.handler(request, this.#options.self)) as Response;
  }

  /** The queue to the peer is full: the request has not been sent. */
  #dropped(correlationId: number, address: string): void {
    const outstanding = this.#outstanding.get(correlationId);
    if (outstanding === undefined) return;
    this.#outstanding.delete(correlationId);
    outstanding.timer.cancel();
    outstanding.reject(
      new WalrusError('OVERLOADED', `Cannot send to ${address}: its queue is full`),
    );
  }

  #receive(from: PeerIdentity, message: Uint8Array): void {
    try {
      this.#dispatch(from, message);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { code } = error;
      this.#options.logger.log('warn', 'a peer sent what cannot be read', {
        nodeId: from.nodeId,
        code,
        why: error.message,
      });
    }
  }

  #dispatch(from: PeerIdentity, message: Uint8Array): void {
    switch (messageKindOf(message)) {
      case MESSAGE_KIND.RAFT:
        this.#other?.raft(from, message);
        break;
      case MESSAGE_KIND.REPLICATION:
        this.#other?.replication(from, message);
        break;
      case MESSAGE_KIND.RPC_REQUEST:
        this.#serve(from, message);
        break;
      case MESSAGE_KIND.RPC_RESPONSE:
        this.#answered(message);
        break;
    }
  }

  #answered(message: Uint8Array): void {
    const correlationId = rpcCorrelationIdOf(message);
    const outstanding = this.#outstanding.get(correlationId);
    if (outstanding === undefined) return; // a repeat, or after its time-out
    // A copy: whoever waits for the answer goes on after this turn, when the buffer is used anew.
    const response: unknown = decodeRpcResponse(outstanding.api, message.slice());
    this.#outstanding.delete(correlationId);
    outstanding.timer.cancel();
    if (response instanceof WalrusError) outstanding.reject(response);
    else outstanding.resolve(response);
  }

  #serve(from: PeerIdentity, message: Uint8Array): void {
    const header = decodeRpcRequestHeader(message);
    const served = this.#served.get(header.apiKey);
    if (served === undefined) {
      const error = this.#whyNotServed(header.apiKey);
      this.#options.transport.send(from.address, encodeRpcFailure(header.correlationId, error));
      return;
    }
    void this.#serveWith(served, header, { from, message });
  }

  /** Before the node has opened its disk nothing is served: whoever asks must ask again, or another node. */
  #whyNotServed(apiKey: number): WalrusError {
    if (!this.#isOpen) {
      return new WalrusError(
        'METADATA_UNAVAILABLE',
        'This node is starting: ask another one, or later',
      );
    }
    return new WalrusError('UNKNOWN_COMMAND', `This node does not serve requests ${apiKey}`);
  }

  /** Runs the handler up to its first await in this turn, while the message is valid. */
  async #serveWith(
    { api, handler }: Served,
    header: RpcRequestHeader,
    { from, message }: { from: PeerIdentity; message: Uint8Array },
  ): Promise<void> {
    const { transport } = this.#options;
    try {
      const request: unknown = decodeRpcRequest(api, header, message);
      const response: unknown = await handler(request, from);
      transport.send(from.address, encodeRpcResponse(api, header.correlationId, response));
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#options.logger.log('debug', 'a request of a peer failed', {
        api: api.name,
        nodeId: from.nodeId,
        why: messageOf(error),
      });
      transport.send(from.address, encodeRpcFailure(header.correlationId, error));
    }
  }
}

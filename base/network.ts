/**
 * The network, as a parameter. The real one (TCP) is in node/io and client/io, the simulated one in node/sim.
 * A stream is a two-way byte pipe: ordered and reliable until it closes, with any cutting into chunks.
 */

import type { WalrusError } from './errors.ts';

/** Calls that a stream makes to its owner. None is made after `onClose`. */
export interface StreamHandlers {
  /** Bytes arrived. `chunk` is valid during the call only: the buffer is reused. */
  onData(chunk: Uint8Array): void;
  /** The queue of unsent bytes has become empty. */
  onDrain(): void;
  /** The stream is over, by either side or by a failure. Called exactly once. */
  onClose(error: Error | null): void;
  /**
   * The other side sends no more, but may still read: an owner that has this must call `end` when it has said what
   * it has to say. Without it the stream ends itself.
   */
  onEnd?(): void;
}

export interface ByteStream {
  /** The other end as `host:port`, for messages. */
  readonly remoteAddress: string;
  /** Bytes taken by `write` and not yet handed to the operating system. The owner bounds it. */
  readonly pendingBytes: number;
  /**
   * Queues bytes in order; the writes of one turn leave together. The stream owns `bytes` from here on:
   * the caller must not change them. Ignored after close.
   * @param onReleased - Called at most once, never at once: the stream has done with the bytes, they may change. Not
   *   called when the stream closes before that.
   */
  write(bytes: Uint8Array, onReleased?: () => void): void;
  /** Stops and restarts `onData` (back-pressure to the sender). */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once, dropping what is queued. */
  destroy(): void;
}

export interface Listener {
  /** The port that it listens on (the one chosen by the system when 0 was asked for). */
  readonly port: number;
  close(): Promise<void>;
}

export interface Network {
  /**
   * Connects to `host:port`; the handlers' first call may be `onClose` when nobody listens.
   * `onOpen` comes before any other call.
   */
  connect(address: string, handlers: StreamHandlers & { onOpen(): void }): ByteStream;
  /**
   * Listens; `accept` returns the handlers for each new stream.
   * @throws {WalrusError} ADDRESS_IN_USE
   */
  listen(
    host: string,
    port: number,
    accept: (stream: ByteStream) => StreamHandlers,
  ): Promise<Listener>;
}

/**
 * Messages between nodes: datagrams that may be lost, duplicated, delayed and reordered, but never damaged
 * (the transport checks). Whoever sends keeps its own time-outs and retries.
 */
export interface PeerTransport {
  /**
   * Sends a message to the node at a peer address; silently dropped when the peer's queue is full
   * or nobody answers. The transport owns `parts` from here on.
   * @param onReleased - Called at most once, when the transport has done with `parts` and they may change; perhaps
   *   never.
   * @returns false when it was dropped at once (queue full), a hint to back off.
   */
  send(address: string, parts: readonly Uint8Array[], onReleased?: () => void): boolean;
  /** Why the node at an address could not be reached when it was last tried; null when it was. For messages only. */
  problemOf?(address: string): WalrusError | null;
  /** Sets the one receiver. `message` is valid during the call only. */
  onMessage(receiver: (from: PeerIdentity, message: Uint8Array) => void): void;
}

/** Who sent a message, as checked in the transport's handshake. */
export interface PeerIdentity {
  readonly nodeId: number;
  /** Where the sender takes messages: `host:port`. */
  readonly address: string;
}

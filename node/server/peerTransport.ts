/**
 * Messages between nodes over byte streams: one outgoing connection for each peer address, which carries this
 * node's messages there; what a peer says comes over the connection that the peer opened.
 *
 * - A connection begins with a hello, in which both sides check protocol version and cluster (protocol/peer/envelope.ts).
 *   A refusal is told to the other side, and logged here once, not once for each retry.
 * - Messages are datagrams (base/network.ts): what cannot be sent soon is dropped. Messages wait while a connection
 *   is made, and are dropped when that fails; what waits for one peer is bounded in bytes.
 * - A connection that has died silently (a cut cable, a vanished host) takes TCP minutes to notice. A peer that gets
 *   messages and says nothing for `SILENCE_MS` is therefore connected to anew.
 */
import { assert } from '../../base/assert.ts';
import type { WalrusError } from '../../base/errors.ts';
import type { Listener, PeerIdentity, PeerTransport } from '../../base/network.ts';
import { MIB } from '../../base/units.ts';
import { PEER_FRAME_HEADER_BYTES } from '../../protocol/peer/envelope.ts';
import { IncomingPeers } from './incomingPeers.ts';
import { OutgoingPeer } from './outgoingPeer.ts';
import { MAX_PEERS } from './peerContext.ts';
import type { PeerContext, PeerTransportOptions } from './peerContext.ts';

const DEFAULT_QUEUE_BYTES = 64 * MIB;
const DEFAULT_MESSAGE_BYTES = 65 * MIB;

/** The transport between nodes over a `Network`. */
export class StreamPeerTransport implements PeerTransport {
  readonly #context: PeerContext;
  readonly #onDropped: () => void;
  readonly #outgoing = new Map<string, OutgoingPeer>();
  readonly #incoming: IncomingPeers;
  #receiver: ((from: PeerIdentity, message: Uint8Array) => void) | undefined;
  #listener: Listener | undefined;
  #isStopped = false;

  constructor(options: PeerTransportOptions) {
    const { onDropped, ...rest } = options;
    this.#context = {
      maxQueueBytes: DEFAULT_QUEUE_BYTES,
      maxMessageBytes: DEFAULT_MESSAGE_BYTES,
      ...rest,
    };
    this.#onDropped = onDropped ?? (() => undefined);
    this.#incoming = new IncomingPeers(this.#context, {
      onHello: (from) => this.#outgoing.get(from.address)?.heardHello(),
      onMessage: (from, message) => {
        this.#outgoing.get(from.address)?.heard();
        this.#receiver?.(from, message);
      },
    });
  }

  /**
   * Begins to take connections.
   * @returns the port.
   * @throws {WalrusError} ADDRESS_IN_USE
   */
  async listen(host: string, port: number): Promise<number> {
    assert(this.#listener === undefined, 'The peer transport listens once');
    const { network } = this.#context;
    this.#listener = await network.listen(host, port, (stream) => this.#incoming.accept(stream));
    return this.#listener.port;
  }

  send(address: string, parts: readonly Uint8Array[], onReleased?: () => void): boolean {
    if (this.#isStopped) return false;
    let bytes = PEER_FRAME_HEADER_BYTES;
    for (const part of parts) bytes += part.length;
    assert(
      bytes <= this.#context.maxMessageBytes,
      `A message between nodes has at most ${this.#context.maxMessageBytes} bytes, has ${bytes}`,
    );
    const isTaken = this.#peer(address).send(parts, bytes, onReleased);
    if (!isTaken) this.#onDropped();
    return isTaken;
  }

  problemOf(address: string): WalrusError | null {
    return this.#outgoing.get(address)?.problem ?? null;
  }

  onMessage(receiver: (from: PeerIdentity, message: Uint8Array) => void): void {
    assert(this.#receiver === undefined, 'The peer transport has one receiver');
    this.#receiver = receiver;
  }

  /** Bytes that wait to be sent, of all peers. */
  queuedBytes(): number {
    let bytes = 0;
    for (const peer of this.#outgoing.values()) bytes += peer.queuedBytes;
    return bytes;
  }

  /** Connections of other nodes that have introduced themselves. */
  connectionCount(): number {
    return this.#incoming.count;
  }

  /** Closes everything; later messages are dropped. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const peer of this.#outgoing.values()) peer.stop();
    this.#outgoing.clear();
    this.#incoming.stop();
    await this.#listener?.close();
  }

  #peer(address: string): OutgoingPeer {
    const known = this.#outgoing.get(address);
    if (known !== undefined) return known;
    if (this.#outgoing.size >= MAX_PEERS) this.#forgetOne();
    const peer = new OutgoingPeer(address, this.#context);
    this.#outgoing.set(address, peer);
    return peer;
  }

  /** The least recently added one without a connection makes room. */
  #forgetOne(): void {
    const peers = [...this.#outgoing];
    const [address, peer] = peers.find(([, { isReady }]) => !isReady) ?? peers[0] ?? [];
    if (address === undefined || peer === undefined) return;
    peer.stop();
    this.#outgoing.delete(address);
  }
}

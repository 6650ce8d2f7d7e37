/** Connections that other nodes have opened to this one: their hello is checked, then their messages are handed on. */
import type { Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream, PeerIdentity, StreamHandlers } from '../../base/network.ts';
import { encodeFailure } from '../../protocol/client/frames.ts';
import { DIALECT_BYTES_MAX, dialectOf, httpRefusal } from '../../protocol/dialect.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import {
  HELLO_FRAME_LIMIT_BYTES,
  PEER_PROTOCOL_VERSION,
  decodeHello,
  encodeHelloAnswer,
  encodePeerFrame,
  isHello,
  openPeerFrame,
} from '../../protocol/peer/envelope.ts';
import { encodeTextReply, failureText } from '../../protocol/text.ts';
import { HELLO_TIMEOUT_MS, TroubleLog, clusterMismatch } from './peerContext.ts';
import type { PeerContext } from './peerContext.ts';

const WRONG_PORT = 'This is the peer port of a Walrus node: give its client port, 9091 by default';
/** Of an answer to no request, before the connection closes. */
const NO_CORRELATION_ID = 0;
/** Incoming connections at once, strangers included. */
const MAX_INCOMING = 1024;

export interface IncomingListener {
  onHello(from: PeerIdentity): void;
  onMessage(from: PeerIdentity, message: Uint8Array): void;
}

interface Connection {
  readonly stream: ByteStream;
  /** Nothing has come yet. */
  isNew: boolean;
  /** For the log: its host until it has said its address (the port is another one at every retry). */
  name: string;
  /** Until the hello has come. */
  timer: Timer | undefined;
  from: PeerIdentity | undefined;
}

export class IncomingPeers {
  readonly #context: PeerContext;
  readonly #listener: IncomingListener;
  readonly #trouble: TroubleLog;
  readonly #connections = new Set<Connection>();

  constructor(context: PeerContext, listener: IncomingListener) {
    this.#context = context;
    this.#listener = listener;
    this.#trouble = new TroubleLog(context.logger);
  }

  /** Peers that have introduced themselves. */
  get count(): number {
    let count = 0;
    for (const { from } of this.#connections) if (from !== undefined) count += 1;
    return count;
  }

  accept(stream: ByteStream): StreamHandlers {
    const name = stream.remoteAddress.slice(0, stream.remoteAddress.lastIndexOf(':'));
    const connection: Connection = { stream, isNew: true, name, timer: undefined, from: undefined };
    if (this.#connections.size >= MAX_INCOMING) stream.destroy();
    else this.#connections.add(connection);
    connection.timer = this.#context.clock.setTimer(HELLO_TIMEOUT_MS, () => {
      stream.destroy();
    });
    const decoder = new FrameDecoder({
      maxFrameBytes: HELLO_FRAME_LIMIT_BYTES,
      what: 'peer message',
      pool: this.#context.buffers,
      onFrame: (frame) => {
        this.#onFrame(connection, decoder, frame);
      },
    });
    return {
      onData: (chunk) => {
        const dialect = connection.isNew ? dialectOf(chunk.subarray(0, DIALECT_BYTES_MAX)) : null;
        if (dialect === 'BINARY' || dialect === 'HTTP') {
          this.#refuseClient(connection, decoder, dialect);
          return;
        }
        connection.isNew = false;
        const error = decoder.push(chunk);
        if (error !== null) this.#refuse(connection, decoder, error);
      },
      onDrain: () => undefined,
      onClose: () => {
        connection.timer?.cancel();
        decoder.stop();
        this.#connections.delete(connection);
      },
    };
  }

  stop(): void {
    for (const { stream } of this.#connections) stream.destroy();
  }

  #onFrame(connection: Connection, decoder: FrameDecoder, frame: Uint8Array): void {
    let message: Uint8Array | undefined;
    try {
      if (connection.from === undefined) {
        if (isHello(frame)) this.#onHello(connection, decoder, frame);
        else this.#refuseClient(connection, decoder, 'TEXT');
      } else message = openPeerFrame(frame);
    } catch (error) {
      if (!(error instanceof WalrusError)) throw error;
      this.#refuse(connection, decoder, error);
    }
    // Outside of the try: an error of the receiver is not the sender's.
    if (message !== undefined && connection.from !== undefined) {
      this.#listener.onMessage(connection.from, message);
    }
  }

  #onHello(connection: Connection, decoder: FrameDecoder, frame: Uint8Array): void {
    const hello = decodeHello(frame);
    connection.name = hello.address;
    const local = this.#context.local();
    const mismatch = clusterMismatch(local.clusterId, hello.clusterId, hello.address);
    if (mismatch !== null) throw mismatch;
    const { nodeId, address } = hello;
    connection.from = { nodeId, address };
    connection.timer?.cancel();
    decoder.setMaxFrameBytes(this.#context.maxMessageBytes);
    const welcome = { protocolVersion: PEER_PROTOCOL_VERSION, ...local };
    for (const part of encodePeerFrame([encodeHelloAnswer(welcome)])) connection.stream.write(part);
    this.#trouble.clear(connection.name);
    this.#listener.onHello(connection.from);
  }

  /** Tells a client, in its own protocol, that it has the wrong port. */
  #refuseClient(
    { stream, name }: Connection,
    decoder: FrameDecoder,
    dialect: 'BINARY' | 'HTTP' | 'TEXT',
  ): void {
    decoder.stop();
    const error = new WalrusError('MALFORMED', WRONG_PORT);
    this.#trouble.report(name, 'What is no peer has connected to the peer port', error);
    for (const part of refusalIn(dialect, error)) stream.write(part);
    stream.end();
  }

  /** Tells the other side why, if it is still to be greeted, and closes. */
  #refuse(connection: Connection, decoder: FrameDecoder, error: WalrusError): void {
    const { stream, from, name } = connection;
    decoder.stop();
    this.#trouble.report(name, 'A connection of a peer was refused', error);
    if (from !== undefined) {
      stream.destroy();
      return;
    }
    for (const part of encodePeerFrame([encodeHelloAnswer(error)])) stream.write(part);
    stream.end();
  }
}

function refusalIn(dialect: 'BINARY' | 'HTTP' | 'TEXT', error: WalrusError): readonly Uint8Array[] {
  switch (dialect) {
    case 'BINARY':
      return encodeFailure(NO_CORRELATION_ID, error);
    case 'HTTP':
      return [httpRefusal(error.message)];
    case 'TEXT':
      return [encodeTextReply({ type: 'ERR', message: failureText(error) })];
  }
}

/**
 * One client connection: tells the dialect from its first bytes, then hands everything to the session for it. One that
 * says nothing, or cannot be told what it speaks, is closed: it would take the place of others.
 */
import type { Timer } from '../../base/clock.ts';
import type { WalrusError } from '../../base/errors.ts';
import type { ByteStream, StreamHandlers } from '../../base/network.ts';
import { CLIENT_MAGIC, DIALECT_BYTES_MAX, dialectOf, httpRefusal } from '../../protocol/dialect.ts';
import type { Dialect } from '../../protocol/dialect.ts';
import { encodeFailure } from '../../protocol/client/frames.ts';
import { encodeTextReply, failureText } from '../../protocol/text.ts';
import { BinarySession } from './binarySession.ts';
import { ClientStream } from './clientStream.ts';
import type { DispatchServices } from './dispatch.ts';
import type { ServerContext } from './serverContext.ts';
import { TextSession } from './textSession.ts';
import type { TextServices } from './textSession.ts';

const HTTP_REFUSAL = httpRefusal(
  'This is the client port of a Walrus node: it speaks the text and the binary protocol, not HTTP.',
);
/** Within it a connection must have said enough to tell its dialect. */
export const FIRST_BYTES_MS = 10_000;
/** The same for one that is to be refused. */
const REFUSED_FIRST_BYTES_MS = 1_000;
/** Answers no request: the connection ends. */
const NO_CORRELATION_ID = 0;
/** Alert, TLS 1.2, 2 bytes: fatal, handshake_failure. */
const TLS_REFUSAL = Uint8Array.of(0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28);

export interface ConnectionServices {
  readonly context: ServerContext;
  readonly text: TextServices;
  readonly binary: DispatchServices;
}

export interface ConnectionOptions {
  /** Why it cannot be served, told in its dialect; null: it is served. */
  readonly refusal: WalrusError | null;
  onClosed(connection: Connection): void;
}

type Session = StreamHandlers & {
  readonly isIdle: boolean;
  /** Takes nothing more, and ends once what is under way is answered. */
  finish(): void;
};

export class Connection implements StreamHandlers {
  readonly #services: ConnectionServices;
  readonly #stream: ClientStream;
  readonly #options: ConnectionOptions;
  readonly #firstBytesTimer: Timer;
  #first = new Uint8Array(0);
  #session: Session | null = null;
  #dialect: Dialect | null = null;
  #isRefused = false;

  constructor(services: ConnectionServices, stream: ByteStream, options: ConnectionOptions) {
    this.#services = services;
    this.#stream = new ClientStream(services.context, stream);
    this.#options = options;
    const withinMs = options.refusal === null ? FIRST_BYTES_MS : REFUSED_FIRST_BYTES_MS;
    this.#firstBytesTimer = services.context.clock.setTimer(withinMs, () => stream.destroy());
  }

  /** null until it is known. */
  get dialect(): Dialect | null {
    return this.#dialect;
  }

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return this.#session?.isIdle ?? true;
  }

  /** Replies that are written and not sent. */
  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  /** Closes it once what is under way is answered; it takes nothing more. */
  finish(): void {
    if (this.#session === null) this.end();
    else this.#session.finish();
  }

  /** Closes it when what was written is sent. */
  end(): void {
    this.#stream.end();
  }

  onData(chunk: Uint8Array): void {
    if (this.#session !== null) this.#session.onData(chunk);
    else if (!this.#isRefused) this.#sniff(chunk);
  }

  onDrain(): void {
    this.#session?.onDrain();
  }

  onEnd(): void {
    if (this.#session === null) this.#stream.end();
    else this.#session.onEnd?.();
  }

  onClose(error: Error | null): void {
    this.#firstBytesTimer.cancel();
    this.#stream.closed();
    this.#session?.onClose(error);
    this.#options.onClosed(this);
  }

  #sniff(chunk: Uint8Array): void {
    let bytes: Uint8Array = chunk;
    if (this.#first.length > 0) {
      bytes = new Uint8Array(this.#first.length + chunk.length);
      bytes.set(this.#first);
      bytes.set(chunk, this.#first.length);
    }
    const dialect = dialectOf(bytes.subarray(0, DIALECT_BYTES_MAX));
    if (dialect === null) {
      this.#first = bytes.slice();
      return;
    }
    this.#first = new Uint8Array(0);
    this.#dialect = dialect;
    this.#firstBytesTimer.cancel();
    const { refusal } = this.#options;
    if (refusal === null) this.#begin(dialect, bytes);
    else this.#refuseService(dialect, refusal);
  }

  #begin(dialect: Dialect, bytes: Uint8Array): void {
    switch (dialect) {
      case 'TEXT':
        this.#session = new TextSession(this.#services.text, this.#stream);
        this.#session.onData(bytes);
        break;
      case 'BINARY':
        this.#session = new BinarySession(this.#services.binary, this.#stream);
        if (bytes.length > CLIENT_MAGIC.length) {
          this.#session.onData(bytes.subarray(CLIENT_MAGIC.length));
        }
        break;
      case 'HTTP':
        this.#refuse(HTTP_REFUSAL, dialect);
        break;
      case 'TLS':
        this.#refuse(TLS_REFUSAL, dialect);
        break;
    }
  }

  #refuseService(dialect: Dialect, refusal: WalrusError): void {
    const { metrics } = this.#services.context;
    if (dialect === 'TEXT') {
      metrics.failed('text', refusal.code);
      this.#say(encodeTextReply({ type: 'ERR', message: failureText(refusal) }));
    } else if (dialect === 'BINARY') {
      metrics.failed('binary', refusal.code);
      this.#say(...encodeFailure(NO_CORRELATION_ID, refusal));
    } else {
      this.#say();
    }
  }

  /** The last that this connection hears. */
  #say(...parts: readonly Uint8Array[]): void {
    this.#isRefused = true;
    for (const part of parts) this.#stream.write(part);
    this.#stream.end();
  }

  #refuse(reply: Uint8Array, dialect: Dialect): void {
    const { logger, metrics } = this.#services.context;
    logger.log('info', 'a connection speaks what is not served here', {
      dialect,
      peer: this.#stream.remoteAddress,
    });
    metrics.failed('text', 'UNKNOWN_COMMAND');
    this.#say(reply.slice());
  }
}

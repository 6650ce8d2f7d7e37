/**
 * What both dialects do with a connection: stop reading from it while it has too much under way or reads its
 * replies too slowly, and end it when everything is said.
 */
import type { ByteStream } from '../../base/network.ts';
import type { ServerContext } from './serverContext.ts';

/** Requests of one connection under way at once, however small. */
export const IN_FLIGHT_COUNT_MAX = 65_536;

export class ClientStream {
  readonly #context: ServerContext;
  readonly #stream: ByteStream;
  #isPaused = false;
  #isOpen = true;

  constructor(context: ServerContext, stream: ByteStream) {
    this.#context = context;
    this.#stream = stream;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }

  /** Written and not with the operating system yet. */
  get pendingBytes(): number {
    return this.#stream.pendingBytes;
  }

  /** Whether replies pile up: nothing that makes large ones should be begun. */
  get isCongested(): boolean {
    return this.#stream.pendingBytes >= this.#context.limits.maxConnectionInFlightBytes;
  }

  /**
   * Dropped when it is not open.
   * @param onReleased - Called when the operating system has taken the bytes.
   */
  write(bytes: Uint8Array, onReleased?: () => void): void {
    if (this.#isOpen) this.#stream.write(bytes, onReleased);
  }

  /** Reads on, or not, by what is under way. */
  balance(inFlightBytes: number, inFlightCount: number): void {
    if (!this.#isOpen) return;
    const { maxConnectionInFlightBytes: max } = this.#context.limits;
    const bytes = inFlightBytes + this.#stream.pendingBytes;
    if (!this.#isPaused && (bytes >= max || inFlightCount >= IN_FLIGHT_COUNT_MAX)) {
      this.#isPaused = true;
      this.#stream.pause();
    } else if (this.#isPaused && bytes <= max / 2 && inFlightCount <= IN_FLIGHT_COUNT_MAX / 2) {
      this.#isPaused = false;
      this.#stream.resume();
    }
  }

  /** Sends what is written, then closes. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.end();
  }

  /** The stream is over. */
  closed(): void {
    this.#isOpen = false;
  }
}

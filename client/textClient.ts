/** The text protocol: commands on one connection, pipelined, answered in order. */
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { ByteStream } from '../base/network.ts';
import { MIB } from '../base/units.ts';
import { FrameDecoder } from '../protocol/frame.ts';
import { encodeTextCommand, parseTextReply } from '../protocol/text.ts';
import type { TextCommand, TextReply } from '../protocol/text.ts';
import { invalidTopicName, nameProblem } from '../protocol/topicName.ts';
import type { ClientWorld } from './world.ts';

const REPLY_BYTES_MAX = 256 * MIB;
/** Commands without a reply. */
const IN_FLIGHT_COUNT_MAX = 100_000;

interface Waiting {
  resolve(reply: TextReply): void;
  reject(error: WalrusError): void;
}

export class TextClient {
  readonly #world: ClientWorld;
  readonly #address: string;
  readonly #stream: ByteStream;
  readonly #decoder: FrameDecoder;
  readonly #waiting: Waiting[] = [];
  readonly #timeoutMs: number;
  #unsent: Uint8Array[] | null = [];
  #error: WalrusError | null = null;

  constructor(world: ClientWorld, address: string, timeoutMs: number) {
    this.#world = world;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#decoder = new FrameDecoder({
      maxFrameBytes: REPLY_BYTES_MAX,
      what: 'reply',
      onFrame: (frame, isOwned) => {
        this.#waiting.shift()?.resolve(parseTextReply(isOwned ? frame : frame.slice()));
      },
    });
    this.#stream = world.network.connect(address, {
      onOpen: () => {
        for (const bytes of this.#unsent ?? []) this.#stream.write(bytes);
        this.#unsent = null;
      },
      onData: (chunk) => {
        const problem = this.#decoder.push(chunk);
        if (problem !== null) this.#fail(problem);
      },
      onDrain: () => undefined,
      onClose: (error) => this.#fail(isWalrusError(error) ? error : this.#failed('it was closed')),
    });
  }

  /** Sends a command; an `ERR` is a reply like others. */
  send(command: Exclude<TextCommand, { type: 'INVALID' }>): Promise<TextReply> {
    if (this.#error !== null) return Promise.reject(this.#error);
    if (command.type !== 'METRICS' && command.topic.includes(' ')) {
      // It would be sent as another command.
      const problem = nameProblem(command.topic) ?? 'it has a space';
      return Promise.reject(invalidTopicName(command.topic, problem));
    }
    if (this.#waiting.length >= IN_FLIGHT_COUNT_MAX) {
      return Promise.reject(new WalrusError('OVERLOADED', 'Too many commands wait for a reply'));
    }
    return new Promise((resolve, reject) => {
      const timer = this.#world.clock.setTimer(this.#timeoutMs, () => {
        this.#fail(this.#failed(`no reply within ${this.#timeoutMs} ms`));
      });
      this.#waiting.push({
        resolve: (reply) => {
          timer.cancel();
          resolve(reply);
        },
        reject: (error) => {
          timer.cancel();
          reject(error);
        },
      });
      const bytes = encodeTextCommand(command);
      if (this.#unsent === null) this.#stream.write(bytes);
      else this.#unsent.push(bytes);
    });
  }

  close(): void {
    this.#fail(this.#failed('it was closed by this side'));
  }

  #failed(reason: string): WalrusError {
    const message = `The connection with ${this.#address} failed: ${reason}`;
    return new WalrusError('CONNECTION_FAILED', message, { details: { address: this.#address } });
  }

  #fail(error: WalrusError): void {
    if (this.#error !== null) return;
    this.#error = error;
    this.#stream.destroy();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}

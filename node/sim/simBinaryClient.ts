/** A client of the binary protocol for simulated clusters: one connection, many requests under way. */
import { concatBytes } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import type { ByteStream } from '../../base/network.ts';
import type { AnyApi, Api } from '../../protocol/client/codec.ts';
import { correlationIdOf, decodeResponse, encodeRequest } from '../../protocol/client/frames.ts';
import { CLIENT_MAGIC } from '../../protocol/dialect.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import type { SimStreams } from './simStreams.ts';

interface Waiting {
  readonly api: AnyApi;
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: WalrusError) => void;
}

export class SimBinaryClient {
  readonly stream: ByteStream;
  isClosed = false;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  constructor(streams: SimStreams, address: string) {
    const decoder = new FrameDecoder({
      maxFrameBytes: 2 ** 31,
      what: 'response',
      onFrame: (frame) => this.#onFrame(frame.slice()),
    });
    this.stream = streams.network(null).connect(address, {
      onOpen: () => undefined,
      onData: (chunk) => void decoder.push(chunk),
      onDrain: () => undefined,
      onClose: () => {
        this.isClosed = true;
        const error = new WalrusError('CONNECTION_FAILED', 'The connection broke');
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
      },
    });
    this.stream.write(CLIENT_MAGIC.slice());
  }

  #onFrame(frame: Uint8Array): void {
    const id = correlationIdOf(frame);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    const response: unknown = decodeResponse(waiting.api, frame);
    if (response instanceof WalrusError) waiting.reject(response);
    else waiting.resolve(response);
  }

  /** @throws {WalrusError} What the node answered; CONNECTION_FAILED when the connection broke. */
  call<Request, Response>(api: Api<Request, Response>, request: Request): Promise<Response> {
    if (this.isClosed) {
      return Promise.reject(new WalrusError('CONNECTION_FAILED', 'The connection broke'));
    }
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { api, resolve, reject });
      this.stream.write(concatBytes(encodeRequest(api, id, request)));
    }) as Promise<Response>;
  }
}

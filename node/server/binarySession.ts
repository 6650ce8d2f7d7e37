/**
 * One connection that speaks the binary protocol: requests are served side by side, responses leave as they are
 * ready. Produce requests reach their partition in the order in which they came.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { StreamHandlers } from '../../base/network.ts';
import { APIS } from '../../protocol/client/apis.ts';
import {
  decodeRequest,
  decodeRequestHeader,
  encodeFailure,
  encodeResponse,
} from '../../protocol/client/frames.ts';
import type { AnyRequest, RequestHeader } from '../../protocol/client/frames.ts';
import type { AnyApi } from '../../protocol/client/codec.ts';
import { FrameDecoder } from '../../protocol/frame.ts';
import { Receipts } from './receipts.ts';
import { ResponseRoom } from './responseRoom.ts';
import type { Reservation } from './responseRoom.ts';
import { OVERLOADED_MESSAGE } from './serverContext.ts';
import type { ServerContext } from './serverContext.ts';
import type { ClientStream } from './clientStream.ts';
import { dispatch } from './dispatch.ts';
import type { Dispatched, DispatchServices } from './dispatch.ts';

/** What a request takes beside its bytes. */
const REQUEST_BYTES = 256;
/**
 * Requests whose response has nothing to do with their own size. A Fetch takes its room itself: while it waits for
 * records it needs none.
 */
const LARGE_RESPONSES: ReadonlySet<AnyRequest['name']> = new Set<AnyRequest['name']>([
  'GetNext',
  'Metadata',
  'DescribeTopic',
  'DescribeCluster',
  'ListGroups',
  'FetchPositions',
]);

export class BinarySession implements StreamHandlers {
  readonly #services: DispatchServices;
  readonly #context: ServerContext;
  readonly #stream: ClientStream;
  readonly #decoder: FrameDecoder;
  readonly #room: ResponseRoom;
  /** The largest response so far of each kind that may be large. */
  readonly #responseBytes = new Map<AnyRequest['name'], number>();
  #inFlightBytes = 0;
  #inFlightCount = 0;
  #isEnding = false;
  readonly #receipts: Receipts;
  /** Requests of the chunk that is being read. */
  #cameCount = 0;
  /** The other side has said in order that no more requests come. */
  #hasEnded = false;
  /** While a Produce looks for its topic, those that follow wait behind it. */
  #produceQueue: Promise<unknown> | null = null;

  constructor(services: DispatchServices, stream: ClientStream) {
    this.#services = services;
    this.#context = services.context;
    this.#stream = stream;
    this.#receipts = new Receipts(services.context.clock);
    this.#room = new ResponseRoom({
      limitBytes: services.context.limits.maxConnectionInFlightBytes,
      requestBytes: () => this.#inFlightBytes,
      unsentBytes: () => stream.pendingBytes,
    });
    this.#decoder = new FrameDecoder({
      maxFrameBytes: services.context.limits.maxFrameBytes,
      what: 'request',
      pool: services.context.buffers,
      onFrame: (frame) => this.#onFrame(frame),
    });
  }

  /**
   * The node is stopping: requests that still come are not begun, as if the connection had broken before them, and long
   * polls are answered with what there is.
   */
  finish(): void {
    this.#isEnding = true;
    this.#room.endWaits();
    this.#endIfDone();
  }

  get isIdle(): boolean {
    return this.#inFlightCount === 0;
  }

  onData(chunk: Uint8Array): void {
    if (this.#isEnding) return;
    const error = this.#decoder.push(chunk);
    this.#receipts.came(this.#cameCount);
    this.#cameCount = 0;
    if (error !== null) this.#refuse(error);
    this.#balance();
  }

  onDrain(): void {
    this.#balance();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.#isEnding = true;
    this.#endIfDone();
  }

  onClose(error: Error | null): void {
    this.#stream.closed();
    this.#decoder.stop();
    this.#receipts.closed(this.#hasEnded && error === null);
    this.#room.close();
  }

  #balance(): void {
    this.#room.changed();
    this.#stream.balance(this.#inFlightBytes + this.#room.takenBytes, this.#inFlightCount);
  }

  #endIfDone(): void {
    if (this.#isEnding && this.isIdle) this.#stream.end();
  }

  /** There is no request to answer to: correlation id 0, then the end. */
  #refuse(error: WalrusError): void {
    this.#fail(0, error);
    this.#isEnding = true;
    this.#decoder.stop();
    this.#endIfDone();
  }

  #onFrame(frame: Uint8Array): void {
    this.#cameCount += 1;
    let header: RequestHeader;
    try {
      header = decodeRequestHeader(frame);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#refuse(error);
      return;
    }
    const sizeBytes = frame.length + REQUEST_BYTES;
    this.#began(sizeBytes);
    try {
      const call = decodeRequest(frame, header);
      if (call.name === 'Produce' && this.#context.budget.isExhausted) {
        throw new WalrusError('OVERLOADED', OVERLOADED_MESSAGE);
      }
      void this.#serve(header, call, sizeBytes);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#fail(header.correlationId, error);
      this.#ended(sizeBytes);
    }
  }

  #began(sizeBytes: number): void {
    this.#inFlightBytes += sizeBytes;
    this.#inFlightCount += 1;
    this.#context.budget.inFlightBytes += sizeBytes;
  }

  #ended(sizeBytes: number): void {
    this.#inFlightBytes -= sizeBytes;
    this.#inFlightCount -= 1;
    this.#context.budget.inFlightBytes -= sizeBytes;
    this.#balance();
    this.#endIfDone();
  }

  async #serve(header: RequestHeader, call: AnyRequest, sizeBytes: number): Promise<void> {
    const { clock, metrics } = this.#context;
    const startMs = clock.monotonicMs();
    const reservation = this.#room.reservation();
    try {
      const dispatched = await this.#inOrder(call, reservation);
      this.#respond(header, call, dispatched);
    } catch (error) {
      if (isWalrusError(error)) this.#fail(header.correlationId, error);
      else this.#context.onBug(error);
    }
    reservation.end();
    metrics.requested('binary', clock.monotonicMs() - startMs);
    this.#ended(sizeBytes);
  }

  /** Begins at once, in this turn, unless it is a Produce and others wait to begin. */
  #inOrder(call: AnyRequest, reservation: Reservation): Promise<Dispatched> {
    if (LARGE_RESPONSES.has(call.name)) return this.#withRoom(call, reservation);
    if (call.name !== 'Produce') return dispatch(this.#services, call, reservation);
    const isKnown = this.#services.router.knownTopic(call.request.topic) !== undefined;
    if (this.#produceQueue === null && isKnown) return dispatch(this.#services, call, reservation);
    const request = { ...call.request, batches: call.request.batches.slice() };
    return this.#queue({ name: 'Produce', request }, reservation);
  }

  /** How large the response will be is known only then: as large as any before, and at first as a frame may be. */
  async #withRoom(call: AnyRequest, reservation: Reservation): Promise<Dispatched> {
    const { maxFrameBytes } = this.#context.limits;
    const leastBytes = this.#responseBytes.get(call.name) ?? maxFrameBytes;
    await reservation.take({ leastBytes, wantedBytes: leastBytes });
    return await dispatch(this.#services, call, reservation);
  }

  /** Finds the topic behind those that wait already, then begins in order. */
  async #queue(
    call: Extract<AnyRequest, { name: 'Produce' }>,
    reservation: Reservation,
  ): Promise<Dispatched> {
    const before = this.#produceQueue ?? Promise.resolve();
    const found = before.then(() => this.#services.router.findTopic(call.request.topic));
    const turn = found.catch(() => undefined); // told to whoever asked for that topic
    this.#produceQueue = turn;
    try {
      await found;
      return await dispatch(this.#services, call, reservation);
    } finally {
      if (this.#produceQueue === turn) this.#produceQueue = null;
    }
  }

  #respond(header: RequestHeader, call: AnyRequest, { response, handed }: Dispatched): void {
    const api: AnyApi = APIS[call.name];
    if (!this.#stream.isOpen) {
      handed?.settle(false);
      return;
    }
    const onReleased = this.#receipts.wrote(1, handed === null ? [] : [handed]);
    const parts = encodeResponse(api, header.correlationId, response);
    const last = parts.length - 1;
    let bytes = 0;
    for (const [index, part] of parts.entries()) {
      bytes += part.length;
      this.#stream.write(part, index === last ? onReleased : undefined);
    }
    if (handed !== null) this.#context.metrics.read(1, handed.value.length);
    if (!LARGE_RESPONSES.has(call.name)) return;
    const before = this.#responseBytes.get(call.name) ?? 0;
    this.#responseBytes.set(call.name, Math.max(before, bytes));
  }

  #fail(correlationId: number, error: WalrusError): void {
    this.#context.metrics.failed('binary', error.code);
    this.#receipts.wrote(1, []);
    for (const part of encodeFailure(correlationId, error)) this.#stream.write(part);
  }
}

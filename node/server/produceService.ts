/**
 * Appends record batches wherever their partition's leader is: here, or on another node, one hop away. A request
 * that came from another node is never sent on: it is answered with NOT_LEADER instead, so that requests cannot
 * go round.
 */
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type {
  ProduceRequest,
  ProduceResponse,
  ProducedBatch,
} from '../../protocol/client/produce.ts';
import {
  batchError,
  compressionOf,
  isControl,
  recordsCountOf,
  walkBatches,
} from '../../protocol/recordBatch.ts';
import { checkRecords } from '../../protocol/recordIterator.ts';
import type { AckLevel, AppendOutcome } from '../replication/pendingAppends.ts';
import type { SegmentRecord } from '../state/types.ts';
import { ForwardedAppends } from './forwardedAppends.ts';
import { topicNotFound } from './router.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** The longest that a request may ask to wait. */
const TIMEOUT_MS_MAX = 600_000;

export type AppendDone = (error: WalrusError | null, batches: readonly ProducedBatch[]) => void;

export class ProduceService {
  readonly #context: ServerContext;
  readonly #router: Router;
  readonly #forwarded: ForwardedAppends;

  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    this.#router = router;
    this.#forwarded = new ForwardedAppends(context, router);
    context.parts.rpc.handle(APIS.Produce, (request) => this.#promise(request, 'node'));
  }

  /**
   * Serves a client's request. What must be appended in order is taken in the order of the calls, as long as the
   * topic is known here.
   * @throws {WalrusError} through the promise.
   */
  async produce(request: ProduceRequest): Promise<ProduceResponse> {
    if (this.#router.knownTopic(request.topic) !== undefined) {
      return await this.#promise(request, 'client');
    }
    const batches = request.batches.slice(); // the request's buffer ends with this turn
    await this.#router.findTopic(request.topic);
    return await this.#promise({ ...request, batches }, 'client');
  }

  #promise(request: ProduceRequest, origin: 'client' | 'node'): Promise<ProduceResponse> {
    return new Promise((resolve, reject) => {
      this.#serve(request, origin, (error, batches) => {
        if (error !== null) reject(error);
        else resolve({ batches, logStartOffset: this.#logStart(request) });
      });
    });
  }

  #logStart({ topic, partition }: PartitionName): Offset {
    const record = this.#router.knownTopic(topic)?.partitions[partition];
    return record?.logStartOffset ?? (0 as Offset);
  }

  #serve(request: ProduceRequest, origin: 'client' | 'node', done: AppendDone): void {
    const { topic, partition } = request;
    const leadership = this.#router.leadership(request);
    if (leadership === undefined) {
      // Another node knows of it and sent it on: the metadata lags here, as after a start on an empty disk.
      const isLagging = origin === 'node';
      done(isLagging ? notKnownYet(request) : this.#missing(topic, partition), []);
    } else if (leadership.type !== 'There') {
      this.appendHere(request, done, { isChecked: false });
    } else if (origin === 'node') {
      const { nodeId } = leadership.segment.leader;
      const message = `This node does not lead ${topic}/${partition}: node ${nodeId} does`;
      done(new WalrusError('NOT_LEADER', message, { details: { leader: nodeId } }), []);
    } else {
      this.#forward(request, leadership, done);
    }
  }

  /** Sends a client's batches to the leader's node, and gives up when it leads no more and does not answer. */
  #forward(
    request: ProduceRequest,
    { address, segment }: { readonly address: string; readonly segment: SegmentRecord },
    done: AppendDone,
  ): void {
    let isAnswered = false;
    const answer: AppendDone = (error, batches) => {
      if (isAnswered) return;
      isAnswered = true;
      forget();
      done(error, batches);
    };
    const name = { topic: request.topic, partition: request.partition };
    const forget = this.#forwarded.watch(name, segment.segmentId, (error) => answer(error, []));
    // Copied: it waits in the peer's queue when the request's buffer is in use again.
    this.appendThere(address, { ...request, batches: request.batches.slice() }, answer);
  }

  #missing(topic: string, partition: number): WalrusError {
    if (this.#router.knownTopic(topic) === undefined) return topicNotFound(topic);
    const message = `There is no partition ${partition} of topic ${topic}`;
    return new WalrusError('PARTITION_NOT_FOUND', message, { details: { topic, partition } });
  }

  /** Sends batches to the leader's node. They must not change any more. */
  appendThere(address: string, request: ProduceRequest, done: AppendDone): void {
    this.#context.parts.rpc.call(address, APIS.Produce, request, timeoutOf(request)).then(
      ({ batches }) => done(null, batches),
      (error: unknown) => done(asWalrusError(error), []),
    );
  }

  /** Appends batches to the segment that this node leads, or will. They are patched in place. */
  appendHere(request: ProduceRequest, done: AppendDone, options: { isChecked: boolean }): void {
    const ranges: number[] = [];
    const problem = options.isChecked
      ? this.#addRange(ranges, request.batches)
      : rangesOf(request.batches, ranges);
    if (problem !== null) {
      done(problem, []);
      return;
    }
    new LocalAppend(this.#context, request, done).start(ranges);
  }

  #addRange(ranges: number[], batch: Uint8Array): null {
    ranges.push(0, batch.length);
    return null;
  }
}

/** The batches of one request on their way into the segment that this node leads. */
class LocalAppend {
  readonly #context: ServerContext;
  readonly #request: ProduceRequest;
  readonly #done: AppendDone;
  readonly #startMs: number;
  readonly #results: ProducedBatch[] = [];
  #waiting = 0;
  #recordsCount = 0;
  #error: WalrusError | null = null;
  #isDone = false;
  #timer: Timer | null = null;

  constructor(context: ServerContext, request: ProduceRequest, done: AppendDone) {
    this.#context = context;
    this.#request = request;
    this.#done = done;
    this.#startMs = context.clock.monotonicMs();
  }

  /** @param ranges - Begin and end of each batch, one after the other. */
  start(ranges: readonly number[]): void {
    const { batches, acks } = this.#request;
    const { segments } = this.#context.parts;
    this.#waiting = ranges.length / 2;
    for (let i = 0; i < ranges.length; i += 2) {
      const batch = batches.subarray(ranges[i], ranges[i + 1]);
      const index = i / 2;
      this.#recordsCount += recordsCountOf(batch);
      segments.append(this.#request, batch, acks satisfies AckLevel, (error, outcome) => {
        this.#took(index, error, outcome);
      });
    }
    if (this.#isDone) return;
    this.#timer = this.#context.clock.setTimer(timeoutOf(this.#request), () => {
      const { topic, partition, timeoutMs } = this.#request;
      const message = `The outcome is unknown: ${topic}/${partition} took longer than ${timeoutMs} ms`;
      this.#finish(new WalrusError('TIMED_OUT', message));
    });
  }

  #took(index: number, error: WalrusError | null, outcome: AppendOutcome | null): void {
    this.#waiting -= 1;
    if (outcome !== null) this.#results[index] = outcome;
    // The first batch's failure is the cause of those of the later ones.
    if (error !== null && this.#error === null) this.#error = error;
    if (this.#waiting === 0) this.#finish(this.#error);
  }

  #finish(error: WalrusError | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#timer?.cancel();
    if (error === null) {
      const { metrics, clock } = this.#context;
      metrics.appended(this.#recordsCount, this.#request.batches.length);
      metrics.committed(clock.monotonicMs() - this.#startMs);
    }
    this.#done(error, error === null ? this.#results : []);
  }
}

function notKnownYet({ topic, partition }: ProduceRequest): WalrusError {
  return new WalrusError('NOT_LEADER', `This node does not know ${topic}/${partition} yet`);
}

function timeoutOf({ timeoutMs }: ProduceRequest): number {
  return Math.min(Math.max(1, timeoutMs), TIMEOUT_MS_MAX);
}

/** Checks a client's batches; fills in where each begins and ends. */
function rangesOf(batches: Uint8Array, ranges: number[]): WalrusError | null {
  const problem = walkBatches(batches, (at, sizeBytes) => ranges.push(at, at + sizeBytes));
  if (problem !== null) return batchError(problem);
  if (ranges.length === 0) return new WalrusError('MALFORMED', 'A Produce without a batch');
  for (let i = 0; i < ranges.length; i += 2) {
    const refusal = refusalOf(batches, ranges[i] ?? 0);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refusalOf(bytes: Uint8Array, at: number): WalrusError | null {
  if (isControl(bytes, at)) {
    return new WalrusError('MALFORMED', 'Cannot append a control batch: only nodes write them');
  }
  if (compressionOf(bytes, at) !== 'none') return null; // opaque
  try {
    checkRecords(bytes, at);
    return null;
  } catch (error) {
    return asWalrusError(error);
  }
}

/** An expected failure as it is; a bug goes on. */
export function asWalrusError(error: unknown): WalrusError {
  if (isWalrusError(error)) return error;
  throw error;
}

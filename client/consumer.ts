/**
 * Reads a topic's records in the order of their offsets, each once in one run: fetches ahead of the reader, up to a
 * bound, from the partition's leader or any other node, through changes of leaders and deaths of nodes.
 */
import { assert } from '../base/assert.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Offset } from '../base/units.ts';
import { offset as toOffset } from '../base/units.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { FetchedPartition } from '../protocol/client/fetch.ts';
import {
  baseOffsetOf,
  batchError,
  isControl,
  nextOffsetOf,
  walkBatches,
} from '../protocol/recordBatch.ts';
import { checkGroupName } from './admin.ts';
import { ConsumedBatch } from './consumedBatch.ts';
import type { ConsumedRecord } from './consumedBatch.ts';
import { settingsOf } from './consumerOptions.ts';
import type { ConsumerOptions, ConsumerSettings, StartPosition } from './consumerOptions.ts';
import { GroupPositions } from './groupPositions.ts';
import type { SenderContext } from './partitionSender.ts';
import { ANSWER_EXTRA_MS, closed } from './pool.ts';
import { backOffMs } from './world.ts';

/** The next record to read of a partition. */
export interface PartitionPosition {
  readonly partition: number;
  readonly offset: Offset;
}

interface Partition {
  readonly partition: number;
  /** The next record to hand out. */
  position: Offset;
  /** The next record to fetch. */
  fetchOffset: Offset;
  /** Where reading ends; Infinity for never, and as long as it is not known. */
  end: number;
  /** Why it cannot be known: everybody was asked. */
  endFailure: WalrusError | null;
  isBusy: boolean;
  /** The last fetch found nothing: this is the end, as far as the node that answered knows. */
  isAtEnd: boolean;
  failures: number;
  /** Of the last fetch, if it failed. */
  failure: WalrusError | null;
  progressMs: number;
}

/** What a consumer that ends waits for the end to be told before it begins to read. */
const END_WAIT_MS = 1000;
/** How long a node waits for more at what may be the end. */
const UNKNOWN_END_WAIT_MS = 250;
/** Fetches that fail one after the other before the end that is not known is given up. */
const STUCK_FAILURES = 5;
/** A consumer that ends gives up when a partition could not be read for so long. */
const STALL_MS = 30_000;

function beyondEnd({ topic, from }: ConsumerOptions, end: number): WalrusError {
  const wanted = from?.type === 'offset' ? from.offset : end;
  const message = `Cannot read ${topic} from offset ${wanted}: its end is ${end}`;
  return new WalrusError('OFFSET_OUT_OF_RANGE', message, { details: { topic, end } });
}

export class Consumer {
  readonly #context: SenderContext;
  readonly #options: ConsumerSettings;
  readonly #partitions: Partition[];
  /** null without a group. */
  readonly #group: GroupPositions | null;
  readonly #onClose: () => void;
  readonly #ready: ConsumedBatch[] = [];
  #bufferedBytes = 0;
  /** Nodes that a fetch is under way to. */
  readonly #busyRoutes = new Set<string>();
  #error: WalrusError | null = null;
  #isClosed = false;
  #wake: (() => void) | null = null;

  private constructor(context: SenderContext, options: ConsumerOptions, onClose: () => void) {
    this.#context = context;
    this.#options = settingsOf(options);
    this.#partitions = [];
    this.#onClose = onClose;
    const { group, topic, requestTimeoutMs: timeoutMs } = this.#options;
    this.#group =
      group === undefined
        ? null
        : new GroupPositions({ pool: context.pool, group, topic, timeoutMs });
  }

  /** Made by `Client.consumer`: finds the positions to begin at. */
  static async start(
    context: SenderContext,
    options: ConsumerOptions,
    onClose: () => void,
  ): Promise<Consumer> {
    if (options.group !== undefined) checkGroupName(options.group);
    const consumer = new Consumer(context, options, onClose);
    await consumer.#findPositions();
    return consumer;
  }

  /** The next record to be handed out of each partition. */
  get positions(): PartitionPosition[] {
    return this.#partitions.map(({ partition, position }) => ({ partition, offset: position }));
  }

  /**
   * Hands out whole batches, in order by partition, until `until` or `close`.
   * @throws {WalrusError} OFFSET_OUT_OF_RANGE, TOPIC_NOT_FOUND, CORRUPT_BATCH.
   */
  async *batches(): AsyncGenerator<ConsumedBatch, void, undefined> {
    for (;;) {
      const batch = await this.#next();
      if (batch === null) return;
      yield batch;
    }
  }

  /** Hands out single records. Slower than `batches`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ConsumedRecord, void, undefined> {
    for (;;) {
      const batch = await this.#next();
      if (batch === null) return;
      const partition = this.#find(batch.partition);
      let isDone = false;
      try {
        for (const record of batch.toRecords()) {
          partition.position = (record.offset + 1) as Offset;
          yield record;
        }
        partition.position = batch.nextOffset;
        isDone = true;
      } finally {
        // Who leaves the loop finds the rest of the batch in the next one.
        if (!isDone) this.#putBack(batch, partition.position);
      }
    }
  }

  /**
   * Makes positions the group's: by default those after all that was handed out. The last commit wins, whichever consumer
   * of the group it comes from; they may go back.
   * @throws {WalrusError} INVALID_CONFIG without a group.
   */
  async commit(positions: readonly PartitionPosition[] = this.positions): Promise<void> {
    if (this.#group === null) {
      throw new WalrusError('INVALID_CONFIG', 'Cannot commit positions: the consumer has no group');
    }
    await this.#group.commit(positions);
  }

  /** Commits the positions when there is a group, then ends. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.abort();
    if (this.#group !== null) await this.commit();
  }

  /** Ends without a commit. */
  abort(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ready.length = 0;
    this.#wake?.();
    this.#onClose();
  }

  async #findPositions(): Promise<void> {
    const { topic } = this.#options;
    const { partitions: infos } = await this.#context.metadata.refresh(topic);
    const wanted = this.#options.partitions ?? infos.map(({ partition }) => partition);
    const missing = wanted.find((partition) => infos[partition] === undefined);
    if (missing !== undefined) {
      const message = `There is no partition ${missing} of ${topic}: it has ${infos.length}`;
      throw new WalrusError('PARTITION_NOT_FOUND', message);
    }
    const committed = (await this.#group?.fetch(wanted)) ?? new Map<number, Offset>();
    for (const partition of wanted) {
      const start =
        committed.get(partition) ?? (await this.#offsetAt(partition, this.#options.from));
      this.#partitions.push({
        partition,
        position: start,
        fetchOffset: start,
        end: Infinity,
        endFailure: null,
        isBusy: false,
        isAtEnd: false,
        failures: 0,
        failure: null,
        progressMs: this.#context.world.clock.monotonicMs(),
      });
    }
    if (this.#options.until === 'latest') await this.#findEnds(committed);
  }

  /** Asks where the partitions end, and goes on without the answers when they take too long. */
  async #findEnds(committed: ReadonlyMap<number, Offset>): Promise<void> {
    const { clock } = this.#context.world;
    const asking = Promise.all(
      this.#partitions.map((each) => this.#findEnd(each, committed.has(each.partition))),
    );
    await new Promise<void>((resolve, reject) => {
      const timer = clock.setTimer(END_WAIT_MS, resolve);
      asking.then(() => resolve(), reject).finally(() => timer.cancel());
    });
    if (this.#error !== null) throw this.#error;
  }

  async #findEnd(partition: Partition, isOfGroup: boolean): Promise<void> {
    const start = partition.position;
    try {
      const end = await this.#offsetAt(partition.partition, { type: 'latest' });
      if (start > end && !isOfGroup) this.#error ??= beyondEnd(this.#options, end);
      partition.end = end;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      if (error.retriable) partition.endFailure = error;
      else this.#error ??= error;
    }
    this.#changed();
  }

  async #offsetAt(partition: number, at: StartPosition): Promise<Offset> {
    if (at.type === 'offset') return toOffset(at.offset);
    const { topic, requestTimeoutMs: timeoutMs } = this.#options;
    const request = { topic, partition, at };
    const answer = await this.#context.pool.call(APIS.ListOffsets, request, { timeoutMs });
    return answer.offset;
  }

  async #next(): Promise<ConsumedBatch | null> {
    for (;;) {
      const batch = this.#ready.shift();
      if (batch !== undefined) return this.#handOut(batch);
      if (this.#error !== null) throw this.#error;
      const unread = this.#partitions.filter((each) => each.fetchOffset < each.end);
      if (this.#isClosed || unread.length === 0) return null;
      const reasons = unread.map((each) => this.#whyNoMore(each));
      // As long as another partition goes on there is more to hand out.
      const [reason = null] = reasons;
      if (reason !== null && !reasons.includes(null)) throw reason;
      this.#fetchMore();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Why nothing more can be read of a partition that is to be read to its end; null while there is hope. */
  #whyNoMore(partition: Partition): WalrusError | null {
    if (this.#options.until === 'never') return null;
    const { endFailure, failure, failures, fetchOffset, isAtEnd } = partition;
    const stalledMs = this.#context.world.clock.monotonicMs() - partition.progressMs;
    const isStuck = failures >= STUCK_FAILURES || isAtEnd;
    const cause =
      endFailure !== null && isStuck
        ? (failure ?? endFailure)
        : stalledMs >= STALL_MS
          ? failure
          : null;
    if (cause === null) return null;
    const read = `Read ${this.#options.topic}/${partition.partition} up to offset ${fetchOffset}`;
    const rest = isAtEnd
      ? 'whether there is more cannot be known now'
      : 'what follows cannot be read now';
    const details = { ...cause.details, partition: partition.partition, offset: fetchOffset };
    return new WalrusError(cause.code, `${read}; ${rest}: ${cause.message}`, { details, cause });
  }

  #putBack(batch: ConsumedBatch, firstOffset: Offset): void {
    if (this.#isClosed || firstOffset >= batch.nextOffset) return;
    const { bytes, topic, partition, nextOffset } = batch;
    this.#ready.unshift(new ConsumedBatch(bytes, { topic, partition, firstOffset, nextOffset }));
    this.#bufferedBytes += batch.sizeBytes;
  }

  #handOut(batch: ConsumedBatch): ConsumedBatch {
    this.#bufferedBytes -= batch.sizeBytes;
    const partition = this.#find(batch.partition);
    assert(partition.position <= batch.firstOffset, 'Records are handed out once, in order');
    partition.position = batch.nextOffset;
    this.#fetchMore();
    return batch;
  }

  #find(partition: number): Partition {
    const found = this.#partitions.find((each) => each.partition === partition);
    assert(found !== undefined, 'Only own partitions are fetched');
    return found;
  }

  /** Asks every node that leads a partition with nothing under way, as long as there is room. */
  #fetchMore(): void {
    const { maxBufferedBytes } = this.#options;
    if (this.#isClosed || this.#error !== null || this.#bufferedBytes >= maxBufferedBytes) return;
    const byRoute = new Map<string, Partition[]>();
    for (const partition of this.#partitions) {
      if (partition.isBusy || partition.fetchOffset >= partition.end) continue;
      const route = this.#routeOf(partition);
      if (this.#busyRoutes.has(route)) continue;
      const group = byRoute.get(route);
      if (group === undefined) byRoute.set(route, [partition]);
      else group.push(partition);
    }
    for (const [route, partitions] of byRoute) this.#fetch(route, partitions);
  }

  #routeOf({ partition }: Partition): string {
    const { metadata, pool } = this.#context;
    const leader = metadata.leaderAddress(this.#options.topic, partition);
    return leader === undefined || pool.isResting(leader) ? pool.any().address : leader;
  }

  #fetch(route: string, partitions: readonly Partition[]): void {
    const { topic, fetchBytes: maxBytes, until, requestTimeoutMs } = this.#options;
    const isEndUnknown = until === 'latest' && partitions.some(({ end }) => end === Infinity);
    const longestMs = isEndUnknown ? UNKNOWN_END_WAIT_MS : Infinity;
    const maxWaitMs = Math.min(this.#options.maxWaitMs, longestMs);
    const request = {
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      partitions: partitions.map(({ partition, fetchOffset: offset }) => ({
        topic,
        partition,
        offset,
      })),
    };
    this.#busyRoutes.add(route);
    for (const partition of partitions) partition.isBusy = true;
    const timeoutMs = maxWaitMs + requestTimeoutMs + ANSWER_EXTRA_MS;
    this.#context.pool
      .to(route)
      .request(APIS.Fetch, request, timeoutMs)
      .then(
        ({ results }) => {
          this.#busyRoutes.delete(route);
          for (const [index, partition] of partitions.entries()) {
            const missing = new WalrusError('MALFORMED', `${route} left out a fetch's result`);
            const result = results[index] ?? missing;
            if (result instanceof WalrusError) this.#failed(partition, result);
            else this.#fetched(partition, result);
          }
        },
        (error: unknown) => {
          this.#busyRoutes.delete(route);
          if (!isWalrusError(error)) throw error;
          for (const partition of partitions) this.#failed(partition, error);
        },
      )
      .finally(() => this.#changed());
  }

  #changed(): void {
    if (!this.#isClosed) this.#fetchMore();
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #fetched(partition: Partition, result: FetchedPartition): void {
    partition.isBusy = false;
    partition.failures = 0;
    partition.failure = null;
    partition.progressMs = this.#context.world.clock.monotonicMs();
    if (this.#isClosed) return;
    partition.isAtEnd = result.nextOffset <= partition.fetchOffset;
    try {
      this.#takeBatches(partition, result.batches);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#error = error;
      return;
    }
    // What holds nothing for readers (control batches, records that were given up) is passed over.
    if (result.nextOffset > partition.fetchOffset) partition.fetchOffset = result.nextOffset;
  }

  #takeBatches(partition: Partition, bytes: Uint8Array): void {
    const problem = walkBatches(bytes, (at, sizeBytes) => {
      const nextOffset = nextOffsetOf(bytes, at);
      if (nextOffset <= partition.fetchOffset) return; // begins before the wanted offset
      const firstOffset = Math.max(baseOffsetOf(bytes, at), partition.fetchOffset) as Offset;
      partition.fetchOffset = nextOffset;
      if (isControl(bytes, at) || firstOffset >= partition.end) return;
      const { topic } = this.#options;
      const place = { topic, partition: partition.partition, firstOffset, nextOffset };
      const batch = new ConsumedBatch(bytes.subarray(at, at + sizeBytes), place);
      this.#ready.push(batch);
      this.#bufferedBytes += sizeBytes;
    });
    if (problem !== null) throw batchError(problem);
  }

  #failed(partition: Partition, error: WalrusError): void {
    const { world, metadata } = this.#context;
    if (this.#isClosed) return;
    if (!error.retriable) {
      this.#error ??= error.code === 'SHUTTING_DOWN' ? closed() : error;
      return;
    }
    partition.failures += 1;
    partition.failure = error;
    partition.isAtEnd = false;
    metadata.refreshSoon(this.#options.topic);
    world.clock.setTimer(backOffMs(world, partition.failures), () => {
      partition.isBusy = false;
      this.#changed();
    });
  }
}

/**
 * Merges single PUTs of many connections into record batches, and appends these as an idempotent producer of
 * this node: in order, several under way, repeated over rolls, leader changes and lost answers until their time is
 * over. A batch leaves at the end of the turn when nothing is under way, or when it is full; meanwhile the next one
 * forms. There is no object, promise or closure for a single PUT: a group holds two arrays, of owners and of slots.
 */
import { WalrusError } from '../../base/errors.ts';
import { KIB } from '../../base/units.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import type { MetadataChange } from '../state/change.ts';
import type { TopicRecord } from '../state/types.ts';
import { PartitionPuts } from './partitionPuts.ts';
import type { PutGroup, PutOwner, PutServices } from './partitionPuts.ts';

/** A batch of merged PUTs; a single larger record has a batch of its own. */
const GROUP_BYTES_MAX = 256 * KIB;
const GROUP_COUNT_MAX = 8192;
/** What a batch takes beside its records. */
const OVERHEAD_BYTES = 256;

export class PutMerger {
  readonly #services: PutServices;
  readonly #topics = new Map<string, TopicPuts>();

  constructor(services: PutServices) {
    this.#services = services;
    services.context.parts.metadata.onApplied((change) => this.#onApplied(change));
  }

  /** Where PUTs of a topic that exists go; to be kept by the caller until `isGone`. */
  topic(topic: TopicRecord): TopicPuts {
    const known = this.#topics.get(topic.name);
    if (known?.topicId === topic.topicId) return known;
    known?.stop(new WalrusError('TOPIC_NOT_FOUND', `unknown topic ${topic.name}`));
    const puts = new TopicPuts(this.#services, topic);
    this.#topics.set(topic.name, puts);
    return puts;
  }

  /** Whether no PUT waits for its answer. */
  get isIdle(): boolean {
    for (const topic of this.#topics.values()) if (!topic.isIdle) return false;
    return true;
  }

  stop(): void {
    const error = new WalrusError('SHUTTING_DOWN', 'This node is stopping');
    for (const topic of this.#topics.values()) topic.stop(error);
    this.#topics.clear();
  }

  #onApplied(change: MetadataChange): void {
    if (this.#topics.size === 0) return;
    const { metadata } = this.#services.context.parts.metadata;
    const touched = change.isRestored ? [...this.#topics.keys()] : change.topics;
    for (const name of touched) {
      const puts = this.#topics.get(name);
      if (puts === undefined) continue;
      if (metadata.topics.get(name)?.topicId === puts.topicId) {
        puts.topicChanged();
        continue;
      }
      this.#topics.delete(name);
      puts.stop(new WalrusError('TOPIC_NOT_FOUND', `unknown topic ${name}`));
    }
  }
}

/** The PUTs of one topic. */
export class TopicPuts {
  readonly topicId: number;
  readonly #services: PutServices;
  readonly #partitions: readonly PartitionPuts[];
  readonly #builder: RecordBatchBuilder;
  #owners: PutOwner[] = [];
  #slots: number[] = [];
  #deadlineMs = 0;
  #nextPartition = 0;
  #isFlushPlanned = false;
  #isGone = false;

  constructor(services: PutServices, topic: TopicRecord) {
    const { context } = services;
    this.topicId = topic.topicId;
    this.#services = services;
    // A record may be as large as a frame; it then has its batch to itself.
    const maxBytes = Math.max(GROUP_BYTES_MAX, context.limits.maxFrameBytes + OVERHEAD_BYTES);
    this.#builder = new RecordBatchBuilder({ maxBytes });
    const onProgress = (): void => this.#sendIfIdle();
    this.#partitions = topic.partitions.map((_, partition) => {
      return new PartitionPuts(services, { topic: topic.name, partition }, onProgress);
    });
  }

  /** The topic was deleted: ask the merger for its present one. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get isIdle(): boolean {
    return this.#owners.length === 0 && this.#partitions.every((partition) => partition.isIdle);
  }

  /** Takes a record: `length` bytes of `source` from `start`, which are copied. `owner` hears of it once. */
  put(
    source: Uint8Array,
    start: number,
    length: number,
    to: { owner: PutOwner; slot: number },
  ): void {
    const { clock } = this.#services.context;
    const record = { length, timestampMs: clock.wallMs() };
    if (this.#isFull(length)) this.#close();
    this.#builder.appendValueRange(source, start, record);
    if (this.#owners.length === 0) {
      this.#deadlineMs = clock.monotonicMs() + this.#services.context.limits.requestTimeoutMs;
    }
    this.#owners.push(to.owner);
    this.#slots.push(to.slot);
    this.#flushSoon();
  }

  #isFull(length: number): boolean {
    if (this.#owners.length === 0) return false;
    const sizeBytes = this.#builder.sizeBytes + length + OVERHEAD_BYTES;
    return this.#owners.length >= GROUP_COUNT_MAX || sizeBytes > GROUP_BYTES_MAX;
  }

  /** After the other connections of this turn have brought theirs. */
  #flushSoon(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    this.#services.context.clock.defer(() => {
      this.#isFlushPlanned = false;
      this.#sendIfIdle();
    });
  }

  /** A partition with nothing under way gets what has gathered. */
  #sendIfIdle(): void {
    if (this.#owners.length === 0) return;
    for (let i = 0; i < this.#partitions.length; i += 1) {
      if (this.#partitions[this.#nextPartition]?.isIdle === true) {
        this.#close();
        return;
      }
      this.#rotate();
    }
  }

  #rotate(): void {
    this.#nextPartition = (this.#nextPartition + 1) % this.#partitions.length;
  }

  /** Ends the present batch and hands it to the next partition. */
  #close(): void {
    const partition = this.#partitions[this.#nextPartition];
    this.#rotate();
    const group = this.#take();
    if (partition === undefined || group === null) return;
    partition.add(group);
  }

  #take(): PutGroup | null {
    if (this.#owners.length === 0) return null;
    const { clock } = this.#services.context;
    const group: PutGroup = {
      bytes: this.#builder.finish(),
      owners: this.#owners,
      slots: this.#slots,
      startMs: clock.monotonicMs(),
      deadlineMs: this.#deadlineMs,
    };
    this.#owners = [];
    this.#slots = [];
    return group;
  }

  /** The topic's segments are others than before. */
  topicChanged(): void {
    for (const partition of this.#partitions) partition.topicChanged();
  }

  /** Fails everything. */
  stop(error: WalrusError): void {
    this.#isGone = true;
    for (const partition of this.#partitions) partition.stop(error);
    const group = this.#take();
    if (group !== null) this.#services.answer(group, error);
  }
}

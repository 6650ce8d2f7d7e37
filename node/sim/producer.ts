/**
 * A simulated producer: idempotent, batches of several records, several batches in flight, retries in order until
 * each is acknowledged. It keeps sending whatever happens; what it was told goes into the history.
 */
import { encodeUtf8 } from '../../base/bytes.ts';
import type { Timer } from '../../base/clock.ts';
import type { WalrusError } from '../../base/errors.ts';
import { between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import type { ClientPort, SimPartition } from './clientPort.ts';
import { Violation } from './history.ts';
import type { AppendOperation, History } from './history.ts';
import type { Machine, SimCluster } from './simCluster.ts';

/** How long a producer waits for an answer before it asks another node. */
const ANSWER_MS_MAX = 3000;
const RETRY_MS = 20;
const BATCH_RECORDS_MAX = 4;
/** Errors after which a producer cannot know what became of its batch, and gives up its id. */
const FATAL_CODES = ['UNKNOWN_PRODUCER', 'PRODUCER_FENCED'];

export interface ProducerOptions {
  readonly cluster: SimCluster;
  readonly random: Random;
  readonly history: History;
  readonly portOf: (machine: Machine) => ClientPort;
  readonly partition: SimPartition;
  readonly producerId: number;
  readonly recordCount: number;
  /** Batches in flight, 1..5. */
  readonly windowMax: number;
  /** The longest pause before the next batch. */
  readonly paceMs: number;
}

interface Batch {
  readonly operations: readonly AppendOperation[];
  isAcknowledged: boolean;
}

export class SimProducer {
  readonly #options: ProducerOptions;
  #machine: Machine;
  #sequence = 0;
  /** In flight, in order. */
  #batches: Batch[] = [];
  /** Incremented when everything in flight is sent again: answers to earlier attempts that fail mean nothing. */
  #attempt = 0;
  #deadline: Timer | null = null;
  #isWaiting = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#machine = pick(options.random, options.cluster.machines);
  }

  /** Whether everything was acknowledged. */
  get isDone(): boolean {
    return this.#sequence >= this.#options.recordCount && this.#batches.length === 0;
  }

  start(): void {
    this.#fill();
  }

  /** Begins a batch, and soon another one while there is room. */
  #fill(): void {
    const { cluster, random, recordCount, windowMax, paceMs } = this.#options;
    this.#isWaiting = false;
    if (this.#sequence >= recordCount || this.#batches.length >= windowMax) return;
    const batch = this.#nextBatch();
    this.#batches.push(batch);
    if (this.#deadline === null) this.#watch();
    this.#send(batch);
    this.#isWaiting = true;
    cluster.scheduler.schedule(between(random, 0, paceMs), () => this.#fill());
  }

  #nextBatch(): Batch {
    const { cluster, history, partition, producerId, recordCount, random } = this.#options;
    const count = Math.min(between(random, 1, BATCH_RECORDS_MAX), recordCount - this.#sequence);
    const operations = Array.from({ length: count }, (_, index): AppendOperation => {
      const sequence = this.#sequence + index;
      return {
        topic: partition.log,
        producerId,
        sequence,
        value: `${partition.log}/${producerId}/${sequence}`,
        invokedMs: cluster.scheduler.nowMs,
        offset: null,
        acknowledgedMs: null,
      };
    });
    this.#sequence += count;
    history.appends.push(...operations);
    return { operations, isAcknowledged: false };
  }

  #send(batch: Batch): void {
    const attempt = this.#attempt;
    const { portOf, partition } = this.#options;
    // Sent behind others, it may have overtaken the first one: then it is refused, and rightly.
    const wasOldest = batch === this.#batches[0];
    portOf(this.#machine).produce(partition, bytesOf(batch), (error, baseOffset) => {
      if (error === null && baseOffset !== null) this.#acknowledged(batch, baseOffset);
      else if (attempt === this.#attempt) {
        if (wasOldest) this.#checkKnown(error);
        this.#refused(error);
      }
    });
  }

  #acknowledged(batch: Batch, baseOffset: number): void {
    const { cluster, history } = this.#options;
    if (batch.isAcknowledged) return;
    batch.isAcknowledged = true;
    for (const [index, operation] of batch.operations.entries()) {
      operation.offset = baseOffset + index;
      operation.acknowledgedMs = cluster.scheduler.nowMs;
    }
    // The window counts from the oldest that is not acknowledged: a partition knows repeats of so many only.
    while (this.#batches[0]?.isAcknowledged === true) this.#batches.shift();
    this.#watch();
    history.onAcknowledged();
    if (!this.#isWaiting) this.#fill();
  }

  /** An attempt without any answer is over after a time. */
  #watch(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
    if (this.#batches.length === 0) return;
    this.#deadline = this.#options.cluster.scheduler.schedule(ANSWER_MS_MAX, () => {
      this.#refused(null);
    });
  }

  /** Everything before the oldest batch in flight is stored: whoever does not know that has forgotten it. */
  #checkKnown(error: WalrusError | null): void {
    if (error === null || !FATAL_CODES.includes(error.code)) return;
    const what = `producer ${this.#options.producerId} is refused with ${error.code}`;
    throw new Violation('ProducerKnown', `${what}: ${error.message}`);
  }

  #refused(error: WalrusError | null): void {
    const { cluster, random, producerId } = this.#options;
    const why = error === null ? 'no answer' : `${error.code} ${error.message}`;
    cluster.trace(this.#machine, `producer ${producerId} sends again: ${why}`);
    this.#attempt += 1;
    this.#deadline?.cancel();
    const leader = error?.details['leader'];
    const hinted = typeof leader === 'number' ? cluster.machines[leader - 1] : undefined;
    this.#machine = hinted ?? pick(random, cluster.machines);
    const attempt = this.#attempt;
    this.#deadline = cluster.scheduler.schedule(RETRY_MS, () => {
      if (attempt !== this.#attempt) return;
      this.#watch();
      for (const batch of this.#batches) this.#send(batch);
    });
  }
}

/** The same bytes at every retry. */
function bytesOf({ operations }: Batch): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 4096 });
  for (const { value, sequence } of operations) {
    builder.appendValue(encodeUtf8(value), sequence);
  }
  const first = operations[0];
  const producerId = first?.producerId ?? 0;
  return builder.finish({ producerId, producerEpoch: 0, baseSequence: first?.sequence ?? 0 });
}

/**
 * A simulated producer: idempotent, several batches in flight, retries in order until each is acknowledged.
 * It keeps sending whatever happens; what it was told goes into the history.
 */
import { encodeUtf8 } from '../../base/bytes.ts';
import { between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import type { ClientPort } from './clientPort.ts';
import { Violation } from './history.ts';
import type { AppendOperation, History } from './history.ts';
import type { Machine, SimCluster } from './simCluster.ts';

/** How long a producer waits for an answer before it asks another node. */
const ANSWER_MS_MAX = 3000;
const RETRY_MS = 10;
/** Errors after which a producer cannot know what became of its batch, and gives up its id. */
const FATAL_CODES = ['UNKNOWN_PRODUCER', 'PRODUCER_FENCED'];

export interface ProducerOptions {
  readonly cluster: SimCluster;
  readonly random: Random;
  readonly history: History;
  readonly portOf: (machine: Machine) => ClientPort | null;
  readonly topic: string;
  readonly producerId: number;
  readonly recordCount: number;
}

export class SimProducer {
  readonly #options: ProducerOptions;
  #machine: Machine;
  #sequence = 0;
  #isOver = false;

  constructor(options: ProducerOptions) {
    this.#options = options;
    this.#machine = pick(options.random, options.cluster.machines);
  }

  /** Whether everything was acknowledged. */
  get isDone(): boolean {
    return this.#isOver;
  }

  start(): void {
    this.#produceNext();
  }

  #produceNext(): void {
    const { cluster, history, topic, producerId, recordCount } = this.#options;
    if (this.#sequence >= recordCount) {
      this.#isOver = true;
      return;
    }
    const sequence = this.#sequence;
    const operation: AppendOperation = {
      topic,
      producerId,
      sequence,
      value: `${topic}/${producerId}/${sequence}`,
      invokedMs: cluster.scheduler.nowMs,
      offset: null,
      acknowledgedMs: null,
    };
    history.appends.push(operation);
    this.#send(operation);
  }

  #send(operation: AppendOperation): void {
    const { cluster, portOf } = this.#options;
    const port = portOf(this.#machine);
    if (port === null) {
      this.#retry(operation);
      return;
    }
    let isAnswered = false;
    const timer = cluster.scheduler.schedule(ANSWER_MS_MAX, () => {
      isAnswered = true;
      this.#retry(operation);
    });
    port.produce(operation.topic, batchOf(operation), (error, baseOffset) => {
      if (isAnswered) return;
      isAnswered = true;
      timer.cancel();
      if (error === null && baseOffset !== null) this.#acknowledged(operation, baseOffset);
      else this.#refused(operation, error?.code ?? 'TIMED_OUT', error?.details['leader']);
    });
  }

  #acknowledged(operation: AppendOperation, offset: number): void {
    operation.offset = offset;
    operation.acknowledgedMs = this.#options.cluster.scheduler.nowMs;
    this.#sequence += 1;
    const pauseMs = between(this.#options.random, 0, 30);
    this.#options.cluster.scheduler.schedule(pauseMs, () => this.#produceNext());
  }

  #refused(operation: AppendOperation, code: string, leader: unknown): void {
    if (FATAL_CODES.includes(code)) {
      const what = `producer ${operation.producerId} is refused with ${code}`;
      throw new Violation('ProducerKnown', `${what} at sequence ${operation.sequence}`);
    }
    const { cluster } = this.#options;
    const machine = typeof leader === 'number' ? cluster.machines[leader - 1] : undefined;
    if (machine === undefined) this.#retry(operation);
    else {
      this.#machine = machine;
      cluster.scheduler.schedule(RETRY_MS, () => this.#send(operation));
    }
  }

  #retry(operation: AppendOperation): void {
    const { cluster, random } = this.#options;
    this.#machine = pick(random, cluster.machines);
    cluster.scheduler.schedule(RETRY_MS, () => this.#send(operation));
  }
}

/** The same bytes at every retry. */
function batchOf({ producerId, sequence, value }: AppendOperation): Uint8Array {
  const builder = new RecordBatchBuilder({ maxBytes: 4096 });
  builder.appendValue(encodeUtf8(value), sequence);
  return builder.finish({ producerId, producerEpoch: 0, baseSequence: sequence });
}

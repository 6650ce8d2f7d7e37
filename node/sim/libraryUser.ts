/**
 * A program that uses the real client library (client/) on virtual time: an idempotent producer for each partition of a
 * topic of its own, and consumers of a group, one after the other, each going on where the group's committed positions say.
 * The library finds the leaders, follows them across rolls, and sends again by itself.
 */
import { decodeUtf8, encodeUtf8 } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { isWalrusError, messageOf } from '../../base/errors.ts';
import { between, chance } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { Client } from '../../client/client.ts';
import type { Consumer } from '../../client/consumer.ts';
import type { Producer } from '../../client/producer.ts';
import type { Position } from '../../protocol/client/fetchPositions.ts';
import type { SimPartition } from './clientPort.ts';
import { Violation } from './history.ts';
import type { AppendOperation, History } from './history.ts';
import type { SimClients } from './simClients.ts';
import { clientAddressOf } from './simClients.ts';
import type { SimCluster } from './simCluster.ts';
import { SimClock, SimProcess } from './simProcess.ts';

const GROUP = 'readers';
/** Records without an answer, of one producer. */
const UNANSWERED_COUNT_MAX = 50;
const RETRY_MS = 50;
const MAX_WAIT_MS = 300;

export interface LibraryOptions {
  readonly cluster: SimCluster;
  readonly clients: SimClients;
  readonly random: Random;
  readonly history: History;
  readonly partitions: readonly SimPartition[];
  readonly replication: { readonly replicas?: number; readonly ackQuorum?: number };
  /** Of each producer. */
  readonly recordCount: number;
  readonly paceMs: number;
  /** Numbers its producers in the history. */
  readonly firstProducerId: number;
}

/** What is known of a group's position in one partition. */
interface Progress {
  /** A commit was acknowledged. */
  committed: number;
  /** What any consumer was given lies below it. */
  given: number;
  /** The next record that the present consumer must give. */
  next: number;
}

export class LibraryUser {
  readonly #options: LibraryOptions;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #progress: readonly Progress[];
  #deliveredCount = 0;
  #isStopped = false;
  #isClosed = false;

  constructor(options: LibraryOptions) {
    const { cluster, clients, random, partitions } = options;
    this.#options = options;
    this.#clock = new SimClock(cluster.scheduler, new SimProcess(), {
      offsetMs: 1_700_000_000_000,
    });
    const network = clients.streams.network(null);
    this.#client = new Client(
      { clock: this.#clock, random, network },
      { addresses: cluster.machines.map(clientAddressOf), connectTimeoutMs: 1000 },
    );
    this.#progress = partitions.map(() => ({ committed: 0, given: 0, next: 0 }));
  }

  /** Whether everything was delivered and read again. */
  get isDone(): boolean {
    const { partitions, recordCount } = this.#options;
    return (
      this.#deliveredCount === partitions.length * recordCount &&
      this.#progress.every(({ next }) => next >= recordCount)
    );
  }

  /** Whether `stop` has come to its end. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  start(): void {
    this.#guard(this.#run());
  }

  /** Closes the library's client; call once everything is done and the cluster is calm. */
  stop(): void {
    this.#isStopped = true;
    this.#guard(
      this.#client.close().then(() => {
        this.#isClosed = true;
      }),
    );
  }

  /** Whatever the library throws, though it was told to try long enough, is a failure of the run. */
  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => {
      const what = isWalrusError(error)
        ? new Violation('Library', `${error.code} ${messageOf(error)}`)
        : error;
      this.#options.cluster.bugs.push(what);
    });
  }

  async #run(): Promise<void> {
    const { partitions, replication } = this.#options;
    const name = partitions[0]?.topic ?? '';
    await this.#insist(() =>
      this.#client.admin.createTopic({
        name,
        partitions: partitions.length,
        ifNotExists: true,
        ...replication,
      }),
    );
    this.#guard(this.#consume(name));
    for (const [index, partition] of partitions.entries()) {
      this.#guard(this.#produce(partition, index));
    }
  }

  /** Until it succeeds: what is retriable may be tried again by the program, too. */
  async #insist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!isWalrusError(error) || !error.retriable) throw error;
        this.#trace(`tries again: ${error.code} ${error.message}`);
      }
      await this.#sleep(RETRY_MS);
    }
  }

  async #produce({ topic, partition, log }: SimPartition, index: number): Promise<void> {
    const { recordCount, paceMs, random, firstProducerId } = this.#options;
    const producer = await this.#insist(() => this.#client.producer({ topic, partition }));
    let unanswered = 0;
    for (let sequence = 0; sequence < recordCount; sequence += 1) {
      while (unanswered >= UNANSWERED_COUNT_MAX) await this.#sleep(RETRY_MS);
      const operation = this.#append(log, firstProducerId + index, sequence);
      unanswered += 1;
      this.#guard(this.#deliver(producer, operation).then(() => void (unanswered -= 1)));
      await this.#sleep(between(random, 0, paceMs));
    }
  }

  #append(topic: string, producerId: number, sequence: number): AppendOperation {
    const operation: AppendOperation = {
      topic,
      producerId,
      sequence,
      value: `${topic}/${producerId}/${sequence}`,
      invokedMs: this.#clock.monotonicMs(),
      offset: null,
      acknowledgedMs: null,
    };
    this.#options.history.appends.push(operation);
    return operation;
  }

  async #deliver(producer: Producer, operation: AppendOperation): Promise<void> {
    const stored = await producer.deliver({ value: encodeUtf8(operation.value) });
    operation.offset = stored.offset;
    operation.acknowledgedMs = this.#clock.monotonicMs();
    this.#deliveredCount += 1;
    this.#options.history.onAcknowledged();
  }

  /** One consumer after the other; each ends somewhere in the middle, in order or at once. */
  async #consume(topic: string): Promise<void> {
    while (!this.#isStopped) {
      const options = { topic, group: GROUP, maxWaitMs: MAX_WAIT_MS };
      const consumer = await this.#insist(() => this.#client.consumer(options));
      this.#checkStart(consumer);
      const isOrderly = await this.#readSome(consumer);
      if (isOrderly) await this.#insist(() => this.#commit(consumer));
      consumer.abort();
    }
  }

  /** A group goes on at what it has committed: not before, and not behind what its consumers were given. */
  #checkStart(consumer: Consumer): void {
    for (const { partition, offset } of consumer.positions) {
      this.#checkPosition(partition, offset);
      this.#progressOf(partition).next = offset;
    }
  }

  #checkPosition(partition: number, offset: number): void {
    const { committed, given } = this.#progressOf(partition);
    if (offset >= committed && offset <= given) return;
    const range = `${committed} and ${given}`;
    throw new Violation('GroupPositions', `the group goes on at ${offset}, not between ${range}`);
  }

  /** Nothing but what this program commits changes where the group goes on. */
  async #checkPositions(): Promise<void> {
    for (const { partition, offset } of await this.#insist(() => this.#describeGroup())) {
      this.#checkPosition(partition, offset ?? 0);
    }
  }

  async #describeGroup(): Promise<readonly Position[]> {
    try {
      return await this.#client.admin.describeGroup(GROUP);
    } catch (error) {
      if (!isWalrusError(error, 'GROUP_NOT_FOUND')) throw error;
      return this.#progress.map((_, partition) => ({ topic: '', partition, offset: undefined }));
    }
  }

  async #readSome(consumer: Consumer): Promise<boolean> {
    const { random } = this.#options;
    for await (const batch of consumer.batches()) {
      const { next } = this.#progressOf(batch.partition);
      if (batch.firstOffset !== next) {
        const what = `partition ${batch.partition} goes on at ${batch.firstOffset}, not ${next}`;
        throw new Violation('ConsumerOrder', what);
      }
      batch.forEach((record) => {
        this.#note(batch.partition, record.offset, record.value() ?? new Uint8Array(0));
      });
      const progress = this.#progressOf(batch.partition);
      progress.next = batch.nextOffset;
      progress.given = Math.max(progress.given, batch.nextOffset);
      if (this.#isStopped) return true;
      if (chance(random, 0.2)) await this.#insist(() => this.#commit(consumer));
      if (chance(random, 0.2)) await this.#checkPositions();
      if (!this.isDone && chance(random, 0.05)) return chance(random, 0.5);
    }
    return true;
  }

  async #commit(consumer: Consumer): Promise<void> {
    const { positions } = consumer;
    await consumer.commit(positions);
    for (const { partition, offset } of positions) this.#progressOf(partition).committed = offset;
  }

  #note(partition: number, offset: number, value: Uint8Array): void {
    const topic = this.#options.partitions[partition]?.log ?? '';
    const atMs = this.#clock.monotonicMs();
    this.#options.history.reads.push({
      topic,
      offset,
      value: decodeUtf8(value),
      nodeId: null,
      atMs,
    });
  }

  #progressOf(partition: number): Progress {
    const progress = this.#progress[partition];
    if (progress === undefined)
      throw new Violation('Library', `There is no partition ${partition}`);
    return progress;
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(delayMs, resolve));
  }

  #trace(message: string): void {
    this.#options.cluster.trace(null, `library ${message}`);
  }
}

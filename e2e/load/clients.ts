/** The clients of one place, outside of the cluster or in a pod: writers that keep to a rate, and a reader of each topic. */
import { Client } from '../../client/client.ts';
import type { ClientWorld } from '../../client/world.ts';
import { pause } from '../chaos/wait.ts';
import type { Ledger } from './ledger.ts';
import { LogReader } from './logReader.ts';
import { BinaryWriter, TextWriter } from './writers.ts';
import type { Acknowledgement } from './writers.ts';

const BATCH_BYTES = 64 * 1024;
const RECORD_BYTES_MAX = 512;
const PER_SECOND = 40;
/** Enough for the rate over some seconds without an answer, so that what waits is measured. */
const IN_FLIGHT_MAX = 512;
const TEXT_IN_FLIGHT_MAX = 16;
const RETRY_MS = 200;

/** `binary`: an idempotent producer of the client library. `text`: PUTs, each sent once, as `nc` would. */
export interface WriterPlan {
  readonly writer: number;
  readonly topic: string;
  readonly kind: 'binary' | 'text';
}

export interface ClientsPlan {
  readonly addresses: readonly string[];
  readonly topics: readonly string[];
  readonly writers: readonly WriterPlan[];
}

/** What became of the readers, and of what failed. */
export interface ClientsOutcome {
  readonly sent: readonly { readonly writer: number; readonly count: number }[];
  readonly readers: readonly {
    readonly topic: string;
    readonly nextOffset: number;
    readonly digest: string;
  }[];
  /** Of the client library: none is the promise. */
  readonly failures: readonly string[];
  /** PUTs that were refused or whose connection was lost: nobody tries them again. */
  readonly failedPuts: number;
}

export class LoadClients {
  readonly plan: ClientsPlan;
  readonly readers: readonly LogReader[];
  readonly #writers: readonly (BinaryWriter | TextWriter)[];
  readonly #admin: Client;
  #running: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();

  constructor(
    world: ClientWorld,
    plan: ClientsPlan,
    onAcknowledged: (writer: number, acknowledgement: Acknowledgement) => void,
  ) {
    const { addresses } = plan;
    this.plan = plan;
    this.#admin = new Client(world, { addresses, clientName: 'load-admin' });
    this.readers = plan.topics.map((topic) => new LogReader({ world, addresses, topic }));
    this.#writers = plan.writers.map(({ writer, topic, kind }) => {
      const options = {
        ...{ writer, world, addresses, topic, perSecond: PER_SECOND },
        recordBytesMax: RECORD_BYTES_MAX,
        onAcknowledged: (ack: Acknowledgement) => onAcknowledged(writer, ack),
      };
      return kind === 'text'
        ? new TextWriter({ ...options, inFlightMax: TEXT_IN_FLIGHT_MAX })
        : new BinaryWriter({ ...options, inFlightMax: IN_FLIGHT_MAX }, kind, BATCH_BYTES);
    });
  }

  get ledgers(): readonly Ledger[] {
    return this.#writers.map(({ ledger }) => ledger);
  }

  get failures(): readonly string[] {
    return [...this.#writers, ...this.readers].flatMap(({ failure }) => failure ?? []);
  }

  async createTopics(): Promise<void> {
    const replication = { replicas: 3, ackQuorum: 2 };
    for (const name of this.plan.topics)
      await this.#admin.admin.createTopic({ name, ...replication, ifNotExists: true });
  }

  start(): void {
    this.#running = Promise.all(this.#writers.map((writer) => writer.run()));
    this.#reading = Promise.all(this.readers.map((reader) => reader.run()));
  }

  /** Resolves when every writer has an answer to something that was sent from now on, or has given up. */
  async served(): Promise<void> {
    const nowMs = performance.now();
    const isServed = (): boolean =>
      this.#writers.every(
        ({ ledger, failure }) => ledger.lastAckedSentMs > nowMs || failure !== null,
      );
    while (!isServed()) await pause(RETRY_MS);
  }

  /** Ends the writers, when all that they have sent is answered. */
  async stopWriting(): Promise<void> {
    for (const writer of this.#writers) writer.stop();
    await this.#running;
  }

  /** Lets the readers come to the end of what is there now. */
  async stopReading(): Promise<ClientsOutcome> {
    for (const reader of this.readers)
      reader.endAt(await this.#admin.admin.offsetAt(reader.topic, 0, { type: 'latest' }));
    await this.#reading;
    this.#admin.abort();
    return this.#outcome();
  }

  abort(): void {
    for (const writer of this.#writers) writer.stop();
    for (const reader of this.readers) reader.stop();
    this.#admin.abort();
  }

  #outcome(): ClientsOutcome {
    return {
      sent: this.ledgers.map(({ writer, sentCount: count }) => ({ writer, count })),
      readers: this.readers.map(({ topic, digest }) => {
        return { topic, nextOffset: digest.nextOffset, digest: digest.hex() };
      }),
      failures: this.failures,
      failedPuts: this.#writers.reduce(
        (sum, writer) => sum + (writer instanceof TextWriter ? writer.uncertainCount : 0),
        0,
      ),
    };
  }
}

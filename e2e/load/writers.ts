/** The load: writers that note in their ledgers what they sent and what was acknowledged. */
import { Client } from '../../client/client.ts';
import { isWalrusError } from '../../client/index.ts';
import type { Producer } from '../../client/index.ts';
import { TextClient } from '../../client/textClient.ts';
import type { ClientWorld } from '../../client/world.ts';
import { SeededRandom, between } from '../../base/random.ts';
import { messageOf } from '../../base/errors.ts';
import { Ledger } from './ledger.ts';
import { RECORD_HEADER_BYTES, encodeRecord } from './record.ts';
import { pause } from '../chaos/wait.ts';

/** How long a text PUT may take before its outcome counts as unknown. */
const TEXT_TIMEOUT_MS = 3000;
/** Between two tries of a text writer to connect. */
const RECONNECT_MS = 50;
/** How far behind its rate a writer may catch up in a burst, in seconds. */
const BURST_SECONDS = 0.5;

/** A record that is stored. Times in ms of the monotonic clock. */
export interface Acknowledgement {
  readonly sequence: number;
  /** null: the writer is not told. */
  readonly offset: number | null;
  readonly sentMs: number;
  readonly nowMs: number;
  readonly sizeBytes: number;
}

export interface WriterOptions {
  readonly writer: number;
  /** How the nodes are reached. */
  readonly world: ClientWorld;
  /** Of all nodes; the first is the home of this one. */
  readonly addresses: readonly string[];
  readonly topic: string;
  readonly recordBytesMax: number;
  readonly perSecond: number;
  /** Records without an answer at once. */
  readonly inFlightMax: number;
  readonly onAcknowledged?: (acknowledgement: Acknowledgement) => void;
}

/** Keeps to a rate on average, with bounded bursts. */
class Pace {
  readonly #perSecond: number;
  #credit = 1;
  #lastMs = performance.now();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes the right to send one record; waits for it where need be. */
  take(): Promise<void> | null {
    const nowMs = performance.now();
    this.#credit += ((nowMs - this.#lastMs) / 1000) * this.#perSecond;
    this.#credit = Math.min(this.#credit, Math.max(1, BURST_SECONDS * this.#perSecond));
    this.#lastMs = nowMs;
    this.#credit -= 1;
    return this.#credit >= 0 ? null : pause((-this.#credit / this.#perSecond) * 1000);
  }
}

/** What all writers have in common: a ledger, sizes of records, a window. */
abstract class Writer {
  readonly ledger: Ledger;
  /** Why the writer gave up, when it did: a failure of the run. */
  failure: string | null = null;
  protected readonly options: WriterOptions;
  readonly #random: SeededRandom;
  readonly #pace: Pace;
  #inFlightCount = 0;
  #wake: (() => void) | null = null;
  protected isStopped = false;

  constructor(options: WriterOptions, kind: string, delivery: Ledger['delivery']) {
    this.options = options;
    this.ledger = new Ledger(options.writer, { kind, topic: options.topic, delivery });
    this.#random = new SeededRandom(options.writer);
    this.#pace = new Pace(options.perSecond);
  }

  /** Writes until `stop`; resolves when everything is answered. */
  abstract run(): Promise<void>;

  stop(): void {
    this.isStopped = true;
    this.#wake?.();
  }

  /** Makes the next record and hands it over once there is room for it. */
  protected async sendNext(deliver: (value: Buffer) => Promise<number | null>): Promise<void> {
    await this.#pace.take();
    while (this.#inFlightCount >= this.options.inFlightMax) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (this.isStopped) return;
    }
    const { writer, recordBytesMax } = this.options;
    const sizeBytes = between(this.#random, RECORD_HEADER_BYTES, recordBytesMax);
    const sequence = this.ledger.next();
    const sentMs = performance.now();
    this.#inFlightCount += 1;
    deliver(encodeRecord({ writer, sequence }, sizeBytes))
      .then((offset) => {
        const ack = { sentMs, nowMs: performance.now(), sizeBytes };
        this.ledger.acknowledge(sequence, offset === null ? ack : { ...ack, offset });
        this.options.onAcknowledged?.({ ...ack, sequence, offset });
      })
      .catch((error: unknown) => this.onFailed(error))
      .finally(() => {
        this.#inFlightCount -= 1;
        this.#wake?.();
      });
  }

  /** Resolves when nothing is under way. */
  protected async drained(): Promise<void> {
    while (this.#inFlightCount > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  protected get inFlightCount(): number {
    return this.#inFlightCount;
  }

  protected abstract onFailed(error: unknown): void;
}

/** An idempotent producer: nothing may fail, all is there once and in order. */
export class BinaryWriter extends Writer {
  readonly #batchBytes: number;

  /** @param batchBytes - The largest batch. */
  constructor(options: WriterOptions, kind: string, batchBytes: number) {
    super(options, kind, 'exactlyOnce');
    this.#batchBytes = batchBytes;
  }

  override async run(): Promise<void> {
    const { addresses, topic, world, writer } = this.options;
    let client: Client | null = null;
    try {
      client = new Client(world, { addresses, clientName: `load-writer-${writer}` });
      const producer: Producer = await client.producer({ topic, batchBytes: this.#batchBytes });
      while (!this.isStopped) {
        await this.sendNext(async (value) => (await producer.deliver({ value })).offset);
      }
      await producer.flush();
      await this.drained();
    } catch (error) {
      this.onFailed(error);
    } finally {
      client?.abort();
    }
  }

  protected override onFailed(error: unknown): void {
    const { writer } = this.options;
    const code = isWalrusError(error) ? `${error.code}: ` : '';
    this.failure ??= `producer ${writer} (${this.ledger.kind}) failed: ${code}${messageOf(error)}`;
    this.stop();
  }
}

/** Text PUTs, each sent once. Without an answer nobody knows what became of one. */
export class TextWriter extends Writer {
  #client: TextClient | null = null;
  #turn = 0;
  /** PUTs that were refused, or whose connection was lost. */
  uncertainCount = 0;

  constructor(options: WriterOptions) {
    super(options, 'text', 'uncertain');
  }

  override async run(): Promise<void> {
    while (!this.isStopped) {
      const client = this.#connection();
      await this.sendNext((value) => this.#put(client, value));
      if (this.#client !== null) continue;
      await this.drained();
      await pause(RECONNECT_MS);
    }
    await this.drained();
    this.#client?.close();
  }

  async #put(client: TextClient, payload: Uint8Array): Promise<null> {
    const reply = await client.send({ type: 'PUT', topic: this.options.topic, payload });
    if (reply.type === 'OK') return null;
    throw new Error(reply.type === 'ERR' ? reply.message : `${reply.type} instead of OK`);
  }

  #connection(): TextClient {
    const { addresses, world } = this.options;
    if (this.#client === null) {
      const address = addresses[this.#turn % addresses.length] ?? '';
      this.#turn += 1;
      this.#client = new TextClient(world, address, TEXT_TIMEOUT_MS);
    }
    return this.#client;
  }

  protected override onFailed(error: unknown): void {
    this.uncertainCount += 1;
    if (!isWalrusError(error)) return; // an ERR: the connection is good
    this.#client?.close();
    this.#client = null;
  }
}

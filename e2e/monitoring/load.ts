/** Producers and consumers of both protocols at a steady pace, so that nothing that a dashboard shows is idle. */
import { connect, connectText } from '../../client/index.ts';
import type { Client, TextClient } from '../../client/index.ts';
import { pause } from '../chaos/wait.ts';

const TOPICS = ['orders', 'payments', 'shipments'];
const TEXT_TOPIC = 'greetings';
/** In each turn, for each topic. */
const RECORDS_PER_TURN = 20;
const TURN_MS = 100;
const VALUE = Buffer.alloc(400, 'walrus ');

export class Load {
  readonly #client: Client;
  readonly #text: TextClient;
  readonly #writing: Promise<unknown>[] = [];
  readonly #reading: Promise<unknown>[] = [];
  #isStopping = false;

  private constructor(client: Client, text: TextClient) {
    this.#client = client;
    this.#text = text;
  }

  static async start(addresses: readonly string[]): Promise<Load> {
    const client = await connect({ addresses: [...addresses], clientName: 'load' });
    const load = new Load(client, connectText(addresses[0] ?? ''));
    for (const name of [...TOPICS, TEXT_TOPIC])
      await client.admin.createTopic({ name, replicas: 3, ackQuorum: 2, ifNotExists: true });
    for (const topic of TOPICS) {
      load.#writing.push(load.#produce(topic));
      load.#reading.push(load.#consume(topic));
    }
    load.#writing.push(load.#talk());
    return load;
  }

  /** @throws what any of them has failed with */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#writing);
    this.#text.close();
    await this.#client.close();
    await Promise.all(this.#reading);
  }

  async #produce(topic: string): Promise<void> {
    const producer = await this.#client.producer({ topic });
    while (!this.#isStopping) {
      for (let i = 0; i < RECORDS_PER_TURN; i++) await producer.send({ value: VALUE });
      await pause(TURN_MS);
    }
  }

  async #consume(topic: string): Promise<void> {
    const consumer = await this.#client.consumer({ topic });
    for await (const record of consumer) if (record.value === null) return; // there are none
  }

  async #talk(): Promise<void> {
    while (!this.#isStopping) {
      await this.#text.send({ type: 'PUT', topic: TEXT_TOPIC, payload: VALUE });
      await this.#text.send({ type: 'GET', topic: TEXT_TOPIC });
      await pause(TURN_MS);
    }
  }
}

/** The way into a cluster: connections that producers, consumers and the admin calls share. */
import { Admin } from './admin.ts';
import { Consumer } from './consumer.ts';
import type { ConsumerOptions } from './consumerOptions.ts';
import { MetadataCache } from './metadataCache.ts';
import type { SenderContext } from './partitionSender.ts';
import { ConnectionPool, closed } from './pool.ts';
import { Producer } from './producer.ts';
import type { ProducerOptions } from './producerOptions.ts';
import type { ClientWorld } from './world.ts';

/** How to reach a cluster. Times in ms. */
export interface ClientOptions {
  /** `host:port` of one node or several; the others are learned from them. */
  readonly addresses: readonly string[];
  /** What program this is, for the nodes' logs. */
  readonly clientName?: string;
  /** Connecting to one node, default 3 s. */
  readonly connectTimeoutMs?: number;
  /** A request with all its attempts, default 15 s. */
  readonly requestTimeoutMs?: number;
  /** How long requests are tried while no node has ever answered, default `requestTimeoutMs`. */
  readonly firstContactMs?: number;
}

const CONNECT_TIMEOUT_MS = 3000;
const REQUEST_TIMEOUT_MS = 15_000;

export class Client {
  readonly admin: Admin;
  readonly #context: SenderContext;
  readonly #pool: ConnectionPool;
  readonly #producers = new Set<Producer>();
  readonly #consumers = new Set<Consumer>();
  #isClosed = false;

  /** Made by `connect`. */
  constructor(world: ClientWorld, options: ClientOptions) {
    const { addresses, clientName = 'walrus-client' } = options;
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    const { requestTimeoutMs = REQUEST_TIMEOUT_MS, firstContactMs = Infinity } = options;
    const contact = { connectTimeoutMs, firstContactMs };
    this.#pool = new ConnectionPool(world, { addresses, clientName, ...contact });
    const metadata = new MetadataCache(world, this.#pool, requestTimeoutMs);
    this.#context = { world, pool: this.#pool, metadata };
    this.admin = new Admin(this.#pool, requestTimeoutMs);
  }

  /**
   * A producer for a topic.
   * @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, INVALID_CONFIG, CONNECTION_FAILED.
   */
  async producer(options: ProducerOptions): Promise<Producer> {
    const { partitions } = await this.#context.metadata.refresh(options.topic);
    if (this.#isClosed) throw closed();
    const producer: Producer = new Producer(
      this.#context,
      { ...options, partitionCount: partitions.length },
      () => this.#producers.delete(producer),
    );
    this.#producers.add(producer);
    return producer;
  }

  /**
   * A consumer of a topic.
   * @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, CONNECTION_FAILED.
   */
  async consumer(options: ConsumerOptions): Promise<Consumer> {
    const consumer: Consumer = await Consumer.start(this.#context, options, () =>
      this.#consumers.delete(consumer),
    );
    if (this.#isClosed) throw closed();
    this.#consumers.add(consumer);
    return consumer;
  }

  /** Closes everything: flushes producers, commits the groups of consumers, ends the connections. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await Promise.all([...this.#producers].map((producer) => producer.close()));
      await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    } finally {
      this.abort();
    }
  }

  /** Ends at once: nothing is flushed or committed. */
  abort(): void {
    this.#isClosed = true;
    for (const producer of [...this.#producers]) producer.abort(closed());
    for (const consumer of [...this.#consumers]) consumer.abort();
    this.#pool.close();
  }
}

/** A consumer of one topic that takes every record in turn: in the end it must have got what the log holds. */
import { createHash } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { Client } from '../../client/client.ts';
import { isWalrusError } from '../../client/index.ts';
import type { Consumer } from '../../client/index.ts';
import type { ClientWorld } from '../../client/world.ts';

/** Of the records of a log from its beginning: their offsets and values. */
export class LogDigest {
  readonly #hash = createHash('sha256');
  /** The offset after the last record. */
  nextOffset = 0;

  add(offset: number, value: Uint8Array | null): void {
    this.#hash.update(`${offset} ${value?.length ?? '-'} `).update(value ?? '');
    this.nextOffset = offset + 1;
  }

  hex(): string {
    return this.#hash.copy().digest('hex');
  }
}

export interface LogReaderOptions {
  readonly world: ClientWorld;
  readonly addresses: readonly string[];
  readonly topic: string;
}

export class LogReader {
  readonly topic: string;
  readonly digest = new LogDigest();
  /** Why it gave up, when it did. */
  failure: string | null = null;
  readonly #options: LogReaderOptions;
  #consumer: Consumer | null = null;
  #endOffset = Infinity;

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.topic = options.topic;
  }

  /** Reads until the end that it is told. */
  async run(): Promise<void> {
    const { world, addresses, topic } = this.#options;
    const client = new Client(world, { addresses, clientName: 'load-reader' });
    try {
      this.#consumer = await client.consumer({ topic });
      while (this.digest.nextOffset < this.#endOffset) {
        const { value: batch } = await this.#consumer.batches().next();
        if (batch === undefined) return;
        batch.forEach((record) => this.digest.add(record.offset, record.value()));
      }
    } catch (error) {
      const code = isWalrusError(error) ? `${error.code}: ` : '';
      this.failure = `the consumer of ${topic} failed: ${code}${messageOf(error)}`;
    } finally {
      client.abort();
    }
  }

  /** Makes it end once it has read everything before this offset. */
  endAt(endOffset: number): void {
    this.#endOffset = endOffset;
    if (this.digest.nextOffset >= endOffset) this.stop();
  }

  stop(): void {
    this.#endOffset = 0;
    this.#consumer?.abort();
  }
}

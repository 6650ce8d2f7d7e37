/** Reads a topic by the text protocol's GET, whose cursor all readers and all nodes share. */
import { connectText, isWalrusError } from '../../client/index.ts';
import type { TextClient } from '../../client/index.ts';
import type { CursorEvent } from './cursorCheck.ts';
import { decodeRecord } from '../load/record.ts';
import type { RecordName } from '../load/record.ts';
import { pause } from './wait.ts';

const TIMEOUT_MS = 3000;
const RECONNECT_MS = 50;
/** GETs under way at once on the one connection. */
const WINDOW = 4;
/** Between two looks at an empty topic: the load that a polling reader makes. */
const EMPTY_PAUSE_MS = 20;

/** One number for a record: for maps of many. */
export function keyOf({ writer, sequence }: RecordName): number {
  return writer * 2 ** 32 + sequence;
}

/** Whose key it is. */
export function nameOf(key: number): RecordName {
  return { writer: Math.floor(key / 2 ** 32), sequence: key % 2 ** 32 };
}

export class CursorReader {
  readonly events: CursorEvent[] = [];
  /** Errors that were replied. */
  errorsCount = 0;
  readonly #addresses: readonly string[];
  readonly #topic: string;
  #turn = 0;
  #client: TextClient | null = null;
  #isDraining = false;
  #isStopped = false;

  constructor(addresses: readonly string[], topic: string) {
    this.#addresses = addresses;
    this.#topic = topic;
  }

  /** Ends at the next moment at which the topic has nothing more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Ends at once. */
  stop(): void {
    this.#isStopped = true;
    this.#client?.close();
  }

  async run(): Promise<void> {
    while (!this.#isStopped) {
      const client = (this.#client ??= this.#connect());
      const wasDraining = this.#isDraining;
      const replies = await Promise.allSettled(
        Array.from({ length: WINDOW }, () => client.send({ type: 'GET', topic: this.#topic })),
      );
      const outcome = this.#note(replies);
      if (outcome === 'empty' && wasDraining) break;
      if (outcome === 'empty') await pause(EMPTY_PAUSE_MS);
      if (outcome === 'failed') await pause(RECONNECT_MS);
    }
    this.#client?.close();
  }

  #connect(): TextClient {
    const address = this.#addresses[this.#turn % this.#addresses.length] ?? '';
    this.#turn += 1;
    return connectText(address, TIMEOUT_MS);
  }

  #note(
    replies: readonly PromiseSettledResult<Awaited<ReturnType<TextClient['send']>>>[],
  ): 'records' | 'empty' | 'failed' {
    let unanswered = 0;
    let records = 0;
    let errors = 0;
    for (const reply of replies) {
      if (reply.status === 'rejected') {
        if (!isWalrusError(reply.reason)) throw reply.reason;
        unanswered += 1;
      } else if (reply.value.type === 'VALUE') {
        records += 1;
        const name = decodeRecord(reply.value.payload);
        this.events.push({ type: 'record', key: name === null ? -1 : keyOf(name) });
      } else if (reply.value.type === 'ERR') errors += 1;
    }
    this.errorsCount += errors;
    if (unanswered > 0) {
      this.events.push({ type: 'unanswered', count: unanswered });
      this.#client?.close();
      this.#client = null;
    }
    if (unanswered + errors > 0) return 'failed';
    return records > 0 ? 'records' : 'empty';
  }
}

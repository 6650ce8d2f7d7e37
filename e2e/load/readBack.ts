/** Reads a topic's whole log through one given node, whoever holds the records. */
import { createHash } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { offset as toOffset } from '../../base/units.ts';
import { Connection } from '../../client/connection.ts';
import { systemWorld } from '../../client/io/system.ts';
import { isWalrusError } from '../../client/index.ts';
import { APIS } from '../../protocol/client/apis.ts';
import {
  baseOffsetOf,
  isControl,
  recordsCountOf,
  walkBatches,
} from '../../protocol/recordBatch.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import { pause } from '../chaos/wait.ts';

const TIMEOUT_MS = 10_000;
const FETCH_BYTES = 2 * 1024 * 1024;
const FETCH_WAIT_MS = 200;
const RETRY_MS = 100;
/** How long one node may go without a single new record. */
const STALLED_MS_MAX = 60_000;

export interface ReadBack {
  /** Of the bytes of all batches. */
  readonly sha256: string;
  readonly endOffset: number;
}

export interface ReadOptions {
  readonly address: string;
  readonly topic: string;
  /** Where to end: at least as far as anybody has read. */
  readonly endOffset: number;
  readonly onRecord: (offset: number, value: Uint8Array | null) => void;
}

/** The end of a topic as one node says it. Retried until the node answers. */
export async function endOffsetThrough(address: string, topic: string): Promise<number> {
  const reader = new NodeReader(address);
  try {
    return await reader.retried(async (connection) => {
      const request = { topic, partition: 0, at: { type: 'latest' } as const };
      return (await connection.request(APIS.ListOffsets, request, TIMEOUT_MS)).offset;
    });
  } finally {
    reader.close();
  }
}

/** Reads everything from offset 0 to `endOffset`. @throws when the node does not give it. */
export async function readBack(options: ReadOptions): Promise<ReadBack> {
  const reader = new NodeReader(options.address);
  const hash = createHash('sha256');
  let next = 0;
  try {
    while (next < options.endOffset) {
      const batches = await reader.retried((connection) => fetchFrom(connection, options, next));
      for (const batch of batches) next = takeBatch(batch, next, { options, hash });
      if (batches.length > 0) reader.moved();
    }
  } finally {
    reader.close();
  }
  return { sha256: hash.digest('hex'), endOffset: next };
}

async function fetchFrom(
  connection: Connection,
  { topic }: ReadOptions,
  from: number,
): Promise<Uint8Array[]> {
  const request = {
    maxWaitMs: FETCH_WAIT_MS,
    minBytes: 1,
    maxBytes: FETCH_BYTES,
    partitions: [{ topic, partition: 0, offset: toOffset(from) }],
  };
  const { results } = await connection.request(APIS.Fetch, request, TIMEOUT_MS);
  const [result] = results;
  if (result === undefined) throw new Error('a fetch was answered without a result');
  if (result instanceof Error) throw result;
  const batches: Uint8Array[] = [];
  const problem = walkBatches(result.batches, (at, sizeBytes) => {
    batches.push(result.batches.subarray(at, at + sizeBytes));
  });
  if (problem !== null) throw new Error(`a damaged batch was served: ${problem.kind}`);
  return batches;
}

/** @returns the offset after the batch. */
function takeBatch(
  batch: Uint8Array,
  next: number,
  { options, hash }: { options: ReadOptions; hash: ReturnType<typeof createHash> },
): number {
  const after = baseOffsetOf(batch) + recordsCountOf(batch);
  if (baseOffsetOf(batch) < next) throw new Error(`offset ${baseOffsetOf(batch)} came twice`);
  hash.update(batch);
  if (isControl(batch)) return after;
  const records = new RecordIterator(batch);
  while (records.next()) options.onRecord(records.offset, records.value());
  return after;
}

/** A connection to one node that is made anew when it breaks. */
class NodeReader {
  readonly #address: string;
  #connection: Connection | null = null;
  #movedMs = performance.now();

  constructor(address: string) {
    this.#address = address;
  }

  moved(): void {
    this.#movedMs = performance.now();
  }

  /** Does a request, again and again while the node cannot. */
  async retried<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask(this.#open());
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        if (performance.now() - this.#movedMs > STALLED_MS_MAX) {
          const why = `${error.code}: ${messageOf(error)}`;
          throw new Error(`${this.#address} does not give the log: ${why}`, { cause: error });
        }
        await pause(RETRY_MS);
      }
    }
  }

  close(): void {
    this.#connection?.close();
  }

  #open(): Connection {
    if (this.#connection !== null && !this.#connection.isClosed) return this.#connection;
    this.#connection = new Connection(systemWorld(), {
      address: this.#address,
      clientName: 'load-verifier',
      connectTimeoutMs: TIMEOUT_MS,
      onOpen: () => undefined,
      onClosed: () => undefined,
    });
    return this.#connection;
  }
}

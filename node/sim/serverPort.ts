/** Client ports that speak the real binary protocol to the real servers, over simulated connections. */
import { decodeUtf8 } from '../../base/bytes.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import { APIS } from '../../protocol/client/apis.ts';
import { splitBatches } from '../../protocol/recordBatch.ts';
import { RecordIterator } from '../../protocol/recordIterator.ts';
import type { ClientPort, FetchedRecords, Reply } from './clientPort.ts';
import { SimBinaryClient } from './simBinaryClient.ts';
import { clientAddressOf } from './simClients.ts';
import type { SimClients } from './simClients.ts';
import type { Machine } from './simCluster.ts';

const FETCH_BYTES_MAX = 64 * 1024;
const TIMEOUT_MS = 2500;
const WAIT_MS = 50;

/** The connections of one simulated client: one to each machine, made anew when it has broken. */
export class ServerPorts {
  readonly #clients: SimClients;
  readonly #onBug: (bug: unknown) => void;
  readonly #connections = new Map<Machine, SimBinaryClient>();

  constructor(clients: SimClients, onBug: (bug: unknown) => void) {
    this.#clients = clients;
    this.#onBug = onBug;
  }

  readonly portOf = (machine: Machine): ClientPort => {
    const client = this.#connectionTo(machine);
    return {
      produce: ({ topic, partition }, batches, done) => {
        const request = {
          topic,
          partition,
          acks: 'quorum',
          timeoutMs: TIMEOUT_MS,
          batches,
        } as const;
        this.#settle(
          client
            .call(APIS.Produce, request)
            .then((response) => response.batches[0]?.baseOffset ?? 0),
          done,
        );
      },
      fetch: ({ topic, partition }, from, done) => {
        this.#settle(fetchFrom(client, { topic, partition, from }), done);
      },
      createTopic: (topic, done) => {
        const request = { ...topic, ifNotExists: true };
        this.#settle(
          client.call(APIS.CreateTopic, request).then(() => true as const),
          done,
        );
      },
      lookup: (topic, done) => {
        this.#settle(
          client.call(APIS.DescribeTopic, { topic }).then(
            () => true,
            (error: unknown) => {
              if (isWalrusError(error, 'TOPIC_NOT_FOUND')) return false;
              throw error;
            },
          ),
          done,
        );
      },
    };
  };

  #connectionTo(machine: Machine): SimBinaryClient {
    const known = this.#connections.get(machine);
    if (known?.isClosed === false) return known;
    const client = new SimBinaryClient(this.#clients.streams, clientAddressOf(machine));
    this.#connections.set(machine, client);
    return client;
  }

  #settle<T>(answer: Promise<T>, done: Reply<T>): void {
    answer
      .then(
        (result) => done(null, result),
        (error: unknown) => {
          if (!isWalrusError(error)) throw error;
          done(error, null);
        },
      )
      .catch(this.#onBug);
  }
}

async function fetchFrom(
  client: SimBinaryClient,
  { topic, partition, from }: { topic: string; partition: number; from: number },
): Promise<FetchedRecords> {
  const response = await client.call(APIS.Fetch, {
    maxWaitMs: WAIT_MS,
    minBytes: 1,
    maxBytes: FETCH_BYTES_MAX,
    partitions: [{ topic, partition, offset: offset(from) }],
  });
  const result = response.results[0];
  if (result === undefined) throw new WalrusError('MALFORMED', 'A Fetch without a result');
  if (isWalrusError(result)) throw result;
  const records: { offset: number; value: string }[] = [];
  for (const batch of splitBatches(result.batches)) {
    const iterator = new RecordIterator(batch);
    while (iterator.next()) {
      const value = iterator.value();
      if (iterator.offset >= from && value !== null) {
        records.push({ offset: iterator.offset, value: decodeUtf8(value) });
      }
    }
  }
  return { records, nextOffset: result.nextOffset };
}

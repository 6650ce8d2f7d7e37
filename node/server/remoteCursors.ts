/**
 * The shared cursors of other nodes, as this one's clients ask for their records. Each request says which answer of that node
 * this one has kept, so that what was in one that was lost comes again, before anything newer (TakeNext).
 */
import type { WalrusError } from '../../base/errors.ts';
import type { NextRecord } from '../../protocol/client/getNext.ts';
import { TAKE_NEXT } from '../../protocol/peer/requests.ts';
import { Deliveries } from './deliveries.ts';
import type { Handed } from './handed.ts';
import { asWalrusError } from './produceService.ts';
import type { ServerContext } from './serverContext.ts';

/** How long another node may take. */
const ASK_TIMEOUT_MS = 1000;

/** What another node has. */
export interface Answer {
  readonly handed: readonly Handed[];
  /** Partitions of which it has no more: of the others it says nothing. */
  readonly ended: ReadonlySet<number>;
  /** Why it could not be asked. */
  readonly failure: WalrusError | null;
}

export class RemoteCursors {
  readonly #context: ServerContext;
  readonly #deliveries: Deliveries;
  /** By topic: each other node -> the last request whose answer it gave and this one kept (TakeNext, `received`). */
  readonly #received = new Map<string, Map<string, number>>();
  /** Of this process's requests. */
  #sequence = 0;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#deliveries = new Deliveries(context);
  }

  /** Forgets topics that are no more. */
  forgetAllBut(topics: ReadonlyMap<string, unknown>): void {
    for (const name of this.#received.keys()) {
      if (!topics.has(name)) this.#received.delete(name);
    }
  }

  #receivedOf(topic: string): Map<string, number> {
    const known = this.#received.get(topic);
    if (known !== undefined) return known;
    const received = new Map<string, number>();
    this.#received.set(topic, received);
    return received;
  }

  /** Takes up to `count` records of the partitions of a topic that the node at an address leads. */
  async ask(address: string, topic: string, count: number): Promise<Answer> {
    const { rpc, identity } = this.#context.parts;
    const received = this.#receivedOf(topic);
    this.#sequence += 1;
    const sequence = this.#sequence;
    try {
      const request = {
        topic,
        maxCount: count,
        bootEpoch: identity.bootEpoch,
        sequence,
        received: received.get(address) ?? 0,
      };
      const { records, ended } = await rpc.call(address, TAKE_NEXT, request, ASK_TIMEOUT_MS);
      received.set(address, sequence);
      return {
        handed: records.map((each) => this.#from({ address, topic, sequence }, each)),
        ended: new Set(ended),
        failure: null,
      };
    } catch (error) {
      return { handed: [], ended: new Set(), failure: asWalrusError(error) };
    }
  }

  /** A record that another node's cursor has handed out. */
  #from(
    { address, topic, sequence }: { address: string; topic: string; sequence: number },
    record: NextRecord,
  ): Handed {
    const { partition, offset: at } = record;
    return {
      ...record,
      settle: (wasDelivered) => {
        // Should the next request overtake this, then it says so.
        const received = this.#receivedOf(topic);
        if (!wasDelivered && received.get(address) === sequence) received.delete(address);
        this.#deliveries.settle(address, { topic, partition }, { offset: at, wasDelivered });
      },
    };
  }
}

/**
 * The connections to the nodes of a cluster, one for each address, and requests that any node can serve: they go to
 * the node that answered last, and to the next one when it fails, with a jittered back-off between rounds.
 */
import { WalrusError, isWalrusError } from '../base/errors.ts';
import { between } from '../base/random.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { AnyApi, Api } from '../protocol/client/codec.ts';
import { Connection } from './connection.ts';
import type { ClientWorld } from './world.ts';
import { backOffMs, sleep } from './world.ts';

/** What a node gets beyond the time that it was told, to answer in. */
export const ANSWER_EXTRA_MS = 2000;
/** The least that a node gets to answer in, before another one is asked. */
const SHORT_ATTEMPT_MS = 2000;
/** Requests that change nothing. */
const READS: ReadonlySet<number> = new Set(
  (['Metadata', 'ListOffsets', 'FetchPositions', 'ListGroups', 'DescribeTopic'] as const).map(
    (name) => APIS[name].apiKey,
  ),
);
/** Addresses that are remembered beside those given. */
const LEARNED_ADDRESS_COUNT_MAX = 1000;

export interface PoolOptions {
  /** `host:port` of any nodes of the cluster; at least one. */
  readonly addresses: readonly string[];
  readonly clientName: string;
  readonly connectTimeoutMs: number;
  /** How long a request is tried while no node has ever answered. */
  readonly firstContactMs: number;
}

/** What became of an address. */
interface Node {
  connection: Connection | null;
  failures: number;
  retryAtMs: number;
}

/** The lower, the better: one that stands, then those that did not fail, then the one that failed longest ago. */
function rankOf({ connection, retryAtMs }: Node): number {
  return connection?.isOpen === true ? -1 : retryAtMs;
}

export class ConnectionPool {
  readonly #world: ClientWorld;
  readonly #options: PoolOptions;
  readonly #nodes = new Map<string, Node>();
  #clusterId: string | null = null;
  #maxBatchBytes = Infinity;
  #preferred: string;
  #isClosed = false;

  constructor(world: ClientWorld, options: PoolOptions) {
    this.#world = world;
    this.#options = options;
    if (options.addresses.length === 0) {
      throw new WalrusError('INVALID_CONFIG', 'Cannot connect: give the address of a node');
    }
    for (const address of options.addresses) this.#node(address);
    const first = between(world.random, 0, options.addresses.length - 1);
    this.#preferred = options.addresses[first] as string;
  }

  /** The largest batch that all nodes so far take, in bytes; Infinity before the first has said it. */
  get maxBatchBytes(): number {
    return this.#maxBatchBytes;
  }

  /** Remembers where the nodes are that the metadata names. */
  learn(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (this.#nodes.size < LEARNED_ADDRESS_COUNT_MAX) this.#node(address);
    }
  }

  /** Whether the last attempt at an address failed a moment ago. */
  isResting(address: string): boolean {
    const node = this.#nodes.get(address);
    return node !== undefined && node.retryAtMs > this.#world.clock.monotonicMs();
  }

  /** The connection to a node; opened when there is none. */
  to(address: string): Connection {
    if (this.#isClosed) throw closed();
    const node = this.#node(address);
    if (node.connection === null || node.connection.isClosed) {
      node.connection = this.#open(address, node);
    }
    return node.connection;
  }

  /** A connection to some node: one that stands, else one to the address that failed longest ago. */
  any(): Connection {
    let best = this.#preferred;
    let bestRank = rankOf(this.#node(best));
    for (const [address, node] of this.#nodes) {
      const rank = rankOf(node);
      if (rank < bestRank) [best, bestRank] = [address, rank];
    }
    this.#preferred = best;
    return this.to(best);
  }

  /**
   * Asks any node, and another one when that fails, until the time is over.
   * @param retry - The request of the next attempt, after a retriable failure; null to give up.
   */
  async call<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    options: { readonly timeoutMs: number; retry?(error: WalrusError): Request | null },
  ): Promise<Response> {
    const { clock } = this.#world;
    const startMs = clock.monotonicMs();
    const deadlineMs = startMs + options.timeoutMs;
    let current = request;
    let failure: WalrusError | null = null;
    for (let failures = 1; ; failures += 1) {
      const connection = this.any();
      try {
        return await connection.request(api, current, this.#attemptMs(api, deadlineMs));
      } catch (error) {
        if (!isWalrusError(error) || !error.retriable || this.#isClosed) throw error;
        failure = this.#toTell(failure, error, isSilence(error, api, connection));
        const next = options.retry === undefined ? current : options.retry(error);
        const waitMs = backOffMs(this.#world, failures);
        const contactMs = this.#clusterId === null ? this.#options.firstContactMs : Infinity;
        const untilMs = Math.min(deadlineMs, startMs + contactMs);
        if (next === null || clock.monotonicMs() + waitMs >= untilMs) throw failure;
        current = next;
        if (error.code !== 'CONNECTION_FAILED') this.#turnFrom(connection.address);
        await sleep(this.#world, waitMs);
      }
    }
  }

  /** The failure to tell of two, one after the other: silence says less than what a node answered. */
  #toTell(before: WalrusError | null, error: WalrusError, isSilent: boolean): WalrusError {
    if (isSilent && before !== null) return before;
    if (!isSilent || error.code !== 'CONNECTION_FAILED' || this.#nodes.size === 1) return error;
    const addresses = [...this.#nodes.keys()].join(', ');
    const message = `None of the nodes answers (${addresses}): ${error.message}`;
    return new WalrusError(error.code, message, { details: { addresses }, cause: error });
  }

  /**
   * A node that hangs does not get all the time when there are others: half of what is left; and for what each node
   * answers at once, no more than a short while.
   */
  #attemptMs({ apiKey }: AnyApi, deadlineMs: number): number {
    const leftMs = Math.max(1, deadlineMs - this.#world.clock.monotonicMs());
    if (this.#nodes.size === 1 || leftMs <= SHORT_ATTEMPT_MS) return leftMs;
    if (apiKey === APIS.Metadata.apiKey) return SHORT_ATTEMPT_MS;
    return Math.max(SHORT_ATTEMPT_MS, leftMs / 2);
  }

  /** Closes all connections; every request fails. */
  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#nodes.values()) connection?.close();
  }

  /** A node that cannot help now is not asked again at once when there is another one. */
  #turnFrom(address: string): void {
    const addresses = [...this.#nodes.keys()];
    const next = addresses[(addresses.indexOf(address) + 1) % addresses.length] ?? address;
    if (!this.isResting(next)) this.#preferred = next;
  }

  #node(address: string): Node {
    let node = this.#nodes.get(address);
    if (node === undefined) {
      node = { connection: null, failures: 0, retryAtMs: 0 };
      this.#nodes.set(address, node);
    }
    return node;
  }

  #open(address: string, node: Node): Connection {
    const { clientName, connectTimeoutMs } = this.#options;
    const connection = new Connection(this.#world, {
      address,
      clientName,
      connectTimeoutMs,
      onOpen: ({ clusterId, maxBatchBytes }) => {
        this.#maxBatchBytes = Math.min(this.#maxBatchBytes, maxBatchBytes);
        node.failures = 0;
        node.retryAtMs = 0;
        this.#checkCluster(connection, clusterId);
      },
      onClosed: () => {
        node.connection = null;
        node.failures += 1;
        node.retryAtMs = this.#world.clock.monotonicMs() + backOffMs(this.#world, node.failures);
      },
    });
    return connection;
  }

  /** Nodes of two clusters behind one client would mix their records. */
  #checkCluster(connection: Connection, clusterId: string): void {
    this.#clusterId ??= clusterId;
    if (this.#clusterId === clusterId) return;
    const message =
      `The node at ${connection.address} belongs to the cluster ${clusterId}, ` +
      `the others to ${this.#clusterId}: give addresses of one cluster`;
    connection.close(new WalrusError('WRONG_CLUSTER', message));
  }
}

/** Whether no node has said anything, and nothing can have been changed. */
function isSilence({ code }: WalrusError, api: AnyApi, { node }: Connection): boolean {
  if (code === 'CONNECTION_FAILED') return node === null || READS.has(api.apiKey);
  return code === 'TIMED_OUT' && READS.has(api.apiKey);
}

/** What follows once a client is closed. */
export function closed(): WalrusError {
  return new WalrusError('SHUTTING_DOWN', 'The client is closed');
}

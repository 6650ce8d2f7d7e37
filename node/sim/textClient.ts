/**
 * Simulated clients of the text protocol on a topic of their own: one PUTs numbered payloads one after the other, one
 * GETs from the topic's shared cursor, each through changing nodes. A PUT without a reply is not repeated: it may or
 * may not be stored, once.
 */
import { between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { checkEmpty } from './checkers/sharedCursor.ts';
import { Violation } from './history.ts';
import type { TextHistory } from './history.ts';
import type { SimClients, SimTextClient } from './simClients.ts';
import type { SimCluster } from './simCluster.ts';

/** How long a client waits for a reply before it leaves its connection for another. */
const ANSWER_MS_MAX = 8000;

export interface TextOptions {
  readonly cluster: SimCluster;
  readonly clients: SimClients;
  readonly random: Random;
  readonly history: TextHistory;
  readonly putCount: number;
}

export class SimTextUser {
  readonly #options: TextOptions;
  readonly #connections: Record<'put' | 'get', SimTextClient | null> = { put: null, get: null };
  #nextPut = 0;
  #isStopped = false;

  constructor(options: TextOptions) {
    this.#options = options;
  }

  /** Whether everything was put. */
  get isDone(): boolean {
    return this.#nextPut >= this.#options.putCount;
  }

  start(): void {
    this.#put();
    this.#get();
  }

  /** No more GETs by itself. */
  stop(): void {
    this.#isStopped = true;
  }

  #connection(kind: 'put' | 'get'): SimTextClient {
    const { cluster, clients, random } = this.#options;
    const current = this.#connections[kind];
    const isChanging = between(random, 0, 30) === 0;
    if (current !== null && !current.isClosed && !isChanging) return current;
    current?.stream.end(); // it has read everything
    const client = clients.text(pick(random, cluster.machines));
    this.#connections[kind] = client;
    return client;
  }

  /** Sends a command; calls back once, with CLOSED when no reply came. */
  #ask(kind: 'put' | 'get', command: string, done: (reply: string) => void): void {
    const client = this.#connection(kind);
    const timer = this.#options.cluster.scheduler.schedule(ANSWER_MS_MAX, () => {
      client.stream.destroy();
    });
    void client.ask(command).then((reply) => {
      timer.cancel();
      this.#options.cluster.trace(null, `text client: ${command}: ${reply}`);
      done(reply);
    });
  }

  #put(): void {
    const { history, cluster, random } = this.#options;
    if (this.isDone) return;
    const value = `${history.topic}/${this.#nextPut}`;
    history.puts.push(value);
    this.#ask('put', `PUT ${history.topic} ${value}`, (reply) => {
      if (reply === 'OK') history.acknowledged.push(value);
      else if (reply === 'CLOSED') history.unknownPuts += 1;
      // An ERR says that it is not stored, or that its outcome is unknown: the next one goes on in any case.
      this.#nextPut += 1;
      cluster.scheduler.schedule(between(random, 1, 60), () => this.#put());
    });
  }

  #get(): void {
    const { cluster, random } = this.#options;
    if (this.#isStopped) return;
    this.#getOnce(() => {
      cluster.scheduler.schedule(between(random, 1, 60), () => this.#get());
    });
  }

  #getOnce(done: (isEmpty: boolean) => void): void {
    const { history, cluster } = this.#options;
    const acknowledgedCount = history.acknowledged.length;
    this.#ask('get', `GET ${history.topic}`, (reply) => {
      const { nowMs } = cluster.scheduler;
      if (reply.startsWith('OK ')) history.got.push(reply.slice(3));
      else if (reply === 'CLOSED') history.unansweredMs.push(nowMs);
      else if (reply === 'EMPTY') this.#checkEmpty(acknowledgedCount, nowMs);
      done(reply === 'EMPTY');
    });
  }

  #checkEmpty(acknowledgedCount: number, nowMs: number): void {
    try {
      checkEmpty(this.#options.history, acknowledgedCount, nowMs);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.#options.cluster.bugs.push(error);
    }
  }

  /** GETs what is left, until there is nothing; call once the cluster is calm. */
  async drain(withinMs: number): Promise<boolean> {
    const state = { isEmpty: false };
    const again = (): void => {
      this.#getOnce((isEmpty) => {
        state.isEmpty = isEmpty;
        if (!isEmpty) this.#options.cluster.scheduler.schedule(1, again);
      });
    };
    again();
    await this.#options.cluster.runWhile(() => !state.isEmpty, withinMs);
    return state.isEmpty;
  }
}

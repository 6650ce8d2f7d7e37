/** Who leads which partition, as far as the client knows. An older answer never replaces a newer one. */
import { WalrusError } from '../base/errors.ts';
import type { NodeId } from '../base/units.ts';
import { APIS } from '../protocol/client/apis.ts';
import type { MetadataResponse, TopicInfo } from '../protocol/client/metadata.ts';
import type { ConnectionPool } from './pool.ts';
import type { ClientWorld } from './world.ts';

/** Questions about one topic are at least so far apart. */
const REFRESH_INTERVAL_MS = 50;

interface Entry {
  topic: TopicInfo;
  atMs: number;
}

export class MetadataCache {
  readonly #world: ClientWorld;
  readonly #pool: ConnectionPool;
  readonly #timeoutMs: number;
  readonly #topics = new Map<string, Entry>();
  readonly #addresses = new Map<NodeId, string>();
  readonly #asking = new Map<string, Promise<TopicInfo>>();
  #epoch = 0;

  constructor(world: ClientWorld, pool: ConnectionPool, timeoutMs: number) {
    this.#world = world;
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * The topic, asked for when it is not known.
   * @throws {WalrusError} TOPIC_NOT_FOUND
   */
  async topic(name: string): Promise<TopicInfo> {
    return this.#topics.get(name)?.topic ?? (await this.refresh(name));
  }

  /** Where the partition's leader is; undefined when that is not known. */
  leaderAddress(topic: string, partition: number): string | undefined {
    const info = this.#topics.get(topic)?.topic.partitions[partition];
    return info?.leader === undefined ? undefined : this.#addresses.get(info.leader);
  }

  /** Asks anew in the background, unless the topic was asked for a moment ago. */
  refreshSoon(topic: string, olderThanMs = REFRESH_INTERVAL_MS): void {
    const entry = this.#topics.get(topic);
    const nowMs = this.#world.clock.monotonicMs();
    if (entry !== undefined && nowMs - entry.atMs < olderThanMs) return;
    if (entry !== undefined) entry.atMs = nowMs;
    // Who needs the answer asks again after its next failure.
    this.refresh(topic).catch(() => undefined);
  }

  /** Asks anew; questions about the same topic at the same time are one. */
  async refresh(name: string): Promise<TopicInfo> {
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#ask(name).finally(() => this.#asking.delete(name));
      this.#asking.set(name, asking);
    }
    return await asking;
  }

  async #ask(name: string): Promise<TopicInfo> {
    const request = { topics: [name] };
    const answer = await this.#pool.call(APIS.Metadata, request, { timeoutMs: this.#timeoutMs });
    const isNews = this.#learn(answer);
    const topic = answer.topics.find((each) => each.name === name);
    if (topic !== undefined) return topic;
    const known = this.#topics.get(name);
    if (!isNews && known !== undefined) return known.topic;
    this.#topics.delete(name);
    const message = `There is no topic ${name}`;
    throw new WalrusError('TOPIC_NOT_FOUND', message, { details: { topic: name } });
  }

  /** @returns whether the answer is not older than what is known. */
  #learn(answer: MetadataResponse): boolean {
    if (answer.metadataEpoch < this.#epoch) return false;
    this.#epoch = answer.metadataEpoch;
    for (const { nodeId, clientAddress } of answer.nodes) {
      this.#addresses.set(nodeId, clientAddress);
    }
    this.#pool.learn(answer.nodes.map(({ clientAddress }) => clientAddress));
    const atMs = this.#world.clock.monotonicMs();
    for (const topic of answer.topics) this.#topics.set(topic.name, { topic, atMs });
    return true;
  }
}

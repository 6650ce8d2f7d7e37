/**
 * Where a request goes: what a topic is, who leads a partition, who has a copy; all from the metadata as it is
 * applied here. A topic that is not known is looked for once more behind a read barrier, so that a client
 * finds what it has just created through another node.
 */
import { WalrusError } from '../../base/errors.ts';
import type { NodeId } from '../../base/units.ts';
import { unknownTopicMessage } from '../../protocol/text.ts';
import { isLeader, unsealedSegment } from '../state/queries.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import type { PartitionRecord, SegmentRecord, TopicRecord } from '../state/types.ts';
import type { NodeParts } from '../walrusNode.ts';

/** A partition of a topic. */
export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/** A copy that another node has. */
export interface Holder {
  /** The node's peer address. */
  readonly address: string;
  readonly diskId: string;
}

/** Who leads a partition now. */
export type Leadership =
  | { readonly type: 'Here'; readonly segment: SegmentRecord }
  | { readonly type: 'There'; readonly segment: SegmentRecord; readonly address: string }
  /** Between two leaders. */
  | { readonly type: 'Nobody'; readonly segment: SegmentRecord };

export function topicNotFound(topic: string): WalrusError {
  return new WalrusError('TOPIC_NOT_FOUND', unknownTopicMessage(topic), { details: { topic } });
}

export class Router {
  readonly #parts: NodeParts;
  /** The barrier that runs, and the one that begins when it ends: it serves all who ask meanwhile. */
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  get metadata(): IndexedMetadata {
    return this.#parts.metadata.metadata;
  }

  /** The topic as it is known here. */
  knownTopic(name: string): TopicRecord | undefined {
    return this.metadata.topics.get(name);
  }

  /**
   * Finds a topic, with a barrier when it is not known.
   * @throws {WalrusError} TOPIC_NOT_FOUND, METADATA_UNAVAILABLE
   */
  async findTopic(name: string): Promise<TopicRecord> {
    const known = this.knownTopic(name);
    if (known !== undefined) return known;
    await this.barrier();
    const found = this.knownTopic(name);
    if (found === undefined) throw topicNotFound(name);
    return found;
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND, PARTITION_NOT_FOUND, METADATA_UNAVAILABLE */
  async findPartition({ topic, partition }: PartitionName): Promise<PartitionRecord> {
    const found = (await this.findTopic(topic)).partitions[partition];
    if (found === undefined) {
      const message = `There is no partition ${partition} of topic ${topic}`;
      throw new WalrusError('PARTITION_NOT_FOUND', message, { details: { topic, partition } });
    }
    return found;
  }

  /** One barrier at a time, whoever asks; none is answered by one that began before it asked. */
  barrier(): Promise<void> {
    if (this.#running === null) return this.#runBarrier();
    this.#next ??= this.#running
      .catch(() => undefined) // told to those who wait for that one
      .then(() => {
        this.#next = null;
        return this.#runBarrier();
      });
    return this.#next;
  }

  #runBarrier(): Promise<void> {
    const barrier = this.#parts.metadata.barrier().finally(() => {
      this.#running = null;
    });
    this.#running = barrier;
    return barrier;
  }

  /** Who leads a partition; undefined when it does not exist. */
  leadership({ topic, partition }: PartitionName): Leadership | undefined {
    const segment = unsealedSegment(this.metadata, topic, partition);
    if (segment === undefined) return undefined;
    if (segment.state !== 'OPEN') return { type: 'Nobody', segment };
    if (this.isMine(segment)) return { type: 'Here', segment };
    const { nodeId } = segment.leader;
    if (nodeId === this.#parts.self.nodeId) return { type: 'Nobody', segment }; // of an earlier boot
    const address = this.addressOf(nodeId);
    return address === null ? { type: 'Nobody', segment } : { type: 'There', segment, address };
  }

  /** Whether this process leads an open segment. */
  isMine(segment: SegmentRecord): boolean {
    const { self, identity } = this.#parts;
    return isLeader(segment, { diskId: self.diskId, bootEpoch: identity.bootEpoch });
  }

  /** A node's peer address. */
  addressOf(nodeId: NodeId): string | null {
    return this.metadata.nodes.get(nodeId)?.peerAddress ?? null;
  }

  /**
   * Other nodes that have a copy of a segment: the leader of an open one first, whole copies before those that are known
   * to be damaged, the living nodes before others.
   */
  otherHolders(segment: SegmentRecord): Holder[] {
    const { self, session } = this.#parts;
    const damaged = session.damagedNodes(segment.segmentId);
    const rank = (nodeId: NodeId): number =>
      (nodeId === segment.leader.nodeId ? 0 : 1) +
      (damaged.includes(nodeId) ? 2 : 0) +
      (session.aliveNodeIds.has(nodeId) ? 0 : 4);
    return segment.ensemble
      .filter(({ diskId, nodeId }) => {
        return diskId !== self.diskId && this.metadata.nodes.get(nodeId)?.diskId === diskId;
      })
      .sort((a, b) => rank(a.nodeId) - rank(b.nodeId))
      .map(({ nodeId, diskId }) => ({ address: this.addressOf(nodeId) ?? '', diskId }))
      .filter(({ address }) => address !== '');
  }
}

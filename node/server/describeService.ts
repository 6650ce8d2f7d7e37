/** Metadata, DescribeTopic and DescribeCluster: the metadata as this node has applied it. */
import { nodeId } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import type { DescribeClusterResponse, RaftMember } from '../../protocol/client/describeCluster.ts';
import type {
  DescribeTopicResponse,
  SegmentDescription,
} from '../../protocol/client/describeTopic.ts';
import type {
  MetadataRequest,
  MetadataResponse,
  TopicInfo,
} from '../../protocol/client/metadata.ts';
import { diskOfServer, nodeOfServer } from '../raft/types.ts';
import type { Member } from '../raft/types.ts';
import type { SegmentRecord, TopicRecord } from '../state/types.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

export class DescribeService {
  readonly #context: ServerContext;
  readonly #router: Router;

  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    this.#router = router;
  }

  /** Topics that are asked for by name and not known are looked for behind a barrier, once. */
  async metadata({ topics }: MetadataRequest): Promise<MetadataResponse> {
    const { metadata: service, session } = this.#context.parts;
    if (topics?.some((name) => this.#router.knownTopic(name) === undefined) === true) {
      await this.#router.barrier();
    }
    const { metadata } = this.#router;
    const names = topics ?? [...metadata.topics.keys()].sort();
    const known = names.map((name) => metadata.topics.get(name));
    return {
      metadataEpoch: metadata.lastApplied,
      metadataLeader: service.leaderNodeId ?? undefined,
      nodes: [...metadata.nodes.values()]
        .sort((a, b) => a.nodeId - b.nodeId)
        .map((node) => ({
          nodeId: node.nodeId,
          clientAddress: node.clientAddress,
          zone: node.zone,
          isAlive: session.aliveNodeIds.has(node.nodeId),
        })),
      topics: known
        .filter((topic): topic is TopicRecord => topic !== undefined)
        .map((topic) => this.#topicInfo(topic)),
    };
  }

  #topicInfo({ name, topicId, replication, partitions }: TopicRecord): TopicInfo {
    return {
      name,
      topicId,
      ...replication,
      partitions: partitions.flatMap(({ segments, logStartOffset }, partition) => {
        const segment = this.#router.metadata.segments.get(segments.at(-1) ?? (0 as never));
        if (segment === undefined) return [];
        const leader = segment.state === 'OPEN' ? segment.leader.nodeId : undefined;
        return [{ partition, leader, segmentId: segment.segmentId, logStartOffset }];
      }),
    };
  }

  /** @throws {WalrusError} TOPIC_NOT_FOUND, METADATA_UNAVAILABLE */
  async topic(name: string): Promise<DescribeTopicResponse> {
    const topic = await this.#router.findTopic(name);
    const { metadata } = this.#router;
    const { session } = this.#context.parts;
    return {
      name,
      topicId: topic.topicId,
      ...topic.replication,
      createdAtMs: topic.createdAtMs,
      partitions: topic.partitions.map(({ logStartOffset, segments }, partition) => ({
        partition,
        logStartOffset,
        segments: segments
          .map((id) => metadata.segments.get(id))
          .filter((segment): segment is SegmentRecord => segment !== undefined)
          .map((segment) => describeSegment(segment, session.damagedNodes(segment.segmentId))),
      })),
    };
  }

  cluster(): DescribeClusterResponse {
    const { session, raft } = this.#context.parts;
    const { metadata } = this.#router;
    const status = raft.status();
    return {
      clusterId: metadata.clusterId,
      metadataEpoch: metadata.lastApplied,
      nodes: [...metadata.nodes.values()]
        .sort((a, b) => a.nodeId - b.nodeId)
        .map((node) => ({ ...node, isAlive: session.aliveNodeIds.has(node.nodeId) })),
      disks: [...metadata.disks.values()].sort((a, b) => a.nodeId - b.nodeId),
      raft: {
        term: status.currentTerm,
        leader: status.leaderId === null ? undefined : nodeId(nodeOfServer(status.leaderId)),
        commitIndex: status.commitIndex,
        lastApplied: status.lastApplied,
        voters: status.configuration.voters.map(describeMember),
        learners: status.configuration.learners.map(describeMember),
      },
    };
  }
}

function describeSegment(
  segment: SegmentRecord,
  damagedNodes: readonly NodeId[],
): SegmentDescription {
  return {
    segmentId: segment.segmentId,
    state: segment.state,
    baseOffset: segment.baseOffset,
    endOffset: segment.endOffset ?? undefined,
    epoch: segment.epoch,
    leader: segment.leader,
    ensemble: segment.ensemble,
    damagedNodes: damagedNodes.filter((id) => segment.ensemble.some((at) => at.nodeId === id)),
    digest: segment.digest ?? undefined,
    isUnderReplicated: segment.isUnderReplicated,
    lossy: segment.lossy ?? undefined,
    openedAtMs: segment.openedAtMs,
    sealedAtMs: segment.sealedAtMs ?? undefined,
  };
}

function describeMember({ id }: Member): RaftMember {
  return { nodeId: nodeId(nodeOfServer(id)), diskId: diskOfServer(id) };
}

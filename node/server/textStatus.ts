/** The answers to `STATE t` and `METRICS`: the ancestor's field names, in JSON (docs/protocol.md). */
import type { Session } from '../controller/types.ts';
import type { TextMetrics, TextTopicState } from '../../protocol/text.ts';
import { nodeOfServer } from '../raft/types.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import type { SegmentRecord, TopicRecord } from '../state/types.ts';
import type { NodeParts } from '../walrusNode.ts';

/** Sealed segments that STATE lists at most: the newest. */
const SEGMENT_COUNT_MAX = 10_000;

interface PartitionState extends TextTopicState {
  readonly partition: number;
}

/** `STATE` of a topic; with several partitions the first one's fields, and all of them in `partitions`. */
export function topicState(
  metadata: IndexedMetadata,
  session: Pick<Session, 'damagedNodes'>,
  topic: TopicRecord,
): string {
  const partitions = topic.partitions.map((_, partition) => {
    const segments = newestSegments(metadata, topic, partition);
    return { ...partitionState(segments, partition), damaged_copies: damagedOf(segments, session) };
  });
  // A topic has at least one partition.
  return JSON.stringify(partitions.length > 1 ? { ...partitions[0], partitions } : partitions[0]);
}

function newestSegments(
  metadata: IndexedMetadata,
  topic: TopicRecord,
  partition: number,
): readonly SegmentRecord[] {
  return (topic.partitions[partition]?.segments ?? [])
    .slice(-SEGMENT_COUNT_MAX)
    .map((id) => metadata.segments.get(id))
    .filter((segment): segment is SegmentRecord => segment !== undefined);
}

/** Of each segment with any, the nodes whose copy is damaged, as the metadata leader has told this node. */
function damagedOf(
  segments: readonly SegmentRecord[],
  session: Pick<Session, 'damagedNodes'>,
): Readonly<Record<string, readonly number[]>> {
  const damaged: Record<string, readonly number[]> = {};
  for (const { segmentId } of segments) {
    const nodes = session.damagedNodes(segmentId);
    if (nodes.length > 0) damaged[segmentId] = nodes;
  }
  return damaged;
}

function partitionState(
  segments: readonly SegmentRecord[],
  partition: number,
): Omit<PartitionState, 'damaged_copies'> {
  const current = segments.at(-1);
  const sealed: Record<string, number> = {};
  const leaders: Record<string, number> = {};
  for (const { segmentId, endOffset, baseOffset, leader } of segments) {
    if (endOffset !== null) sealed[segmentId] = endOffset - baseOffset;
    leaders[segmentId] = leader.nodeId;
  }
  return {
    current_segment: current?.segmentId ?? 0,
    leader_node: current?.leader.nodeId ?? 0,
    last_sealed_entry_offset: current?.baseOffset ?? 0,
    sealed_segments: sealed,
    segment_leaders: leaders,
    partition,
  };
}

const STATES = {
  Follower: 'Follower',
  PreCandidate: 'Candidate',
  Candidate: 'Candidate',
  Leader: 'Leader',
  Learner: 'Learner',
} as const;

/** `METRICS`: the metadata's Raft group as this node sees it. */
export function raftMetrics({ raft, self, metadata }: NodeParts): string {
  const status = raft.status();
  const { voters, learners } = status.configuration;
  const members = [...voters, ...learners].map(({ id, address }) => [
    String(nodeOfServer(id)),
    { address: metadata.metadata.nodes.get(nodeOfServer(id) as never)?.peerAddress ?? address },
  ]);
  const metrics: TextMetrics = {
    id: self.nodeId,
    current_term: status.currentTerm,
    state: STATES[status.role],
    current_leader: status.leaderId === null ? null : nodeOfServer(status.leaderId),
    last_log_index: status.lastIndex,
    last_applied: { index: status.lastApplied },
    membership_config: {
      membership: {
        configs: [voters.map(({ id }) => nodeOfServer(id))],
        nodes: Object.fromEntries(members) as Record<string, unknown>,
      },
    },
    replication: status.role === 'Leader' ? replicationOf(status) : null,
  };
  return JSON.stringify(metrics);
}

function replicationOf(
  status: ReturnType<NodeParts['raft']['status']>,
): Record<string, { index: number }> {
  const reached = status.progress.map(({ id, matchIndex }): [string, { index: number }] => [
    String(nodeOfServer(id)),
    { index: matchIndex },
  ]);
  return { ...Object.fromEntries(reached), [nodeOfServer(status.id)]: { index: status.lastIndex } };
}

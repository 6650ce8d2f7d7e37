/** The status of the cluster as JSON, from one node's view of it. Pure. */
import type { ClusterStatus, MemberStatus } from '../../../protocol/admin/types.ts';
import { hasAckQuorum } from '../../controller/restartVerdict.ts';
import type { ClusterView, MemberView } from '../../controller/clusterView.ts';
import type { IndexedMetadata } from '../../state/mutableMetadata.ts';

export function clusterStatusOf(view: ClusterView): ClusterStatus {
  const { metadata, epoch, leaderId, isFresh, members } = view;
  return {
    clusterId: metadata.clusterId,
    epoch,
    leader: { nodeId: leaderId, isFresh },
    metadataVoters: metadata.config.metadataVoters,
    nodes: [...members.values()].map((member) => memberStatus(metadata, member)),
    topics: metadata.topics.size,
    segments: segmentCounts(view),
  };
}

function memberStatus(metadata: IndexedMetadata, member: MemberView): MemberStatus {
  const { record, isAlive, isDraining, isDiskWritable, role, damagedSegmentIds } = member;
  return {
    ...record,
    isAlive,
    isDraining,
    isDiskWritable,
    role,
    isCaughtUp: member.hasMetadata && !member.isCatchingUp,
    ledSegments: metadata.unsealedByLeader.get(record.nodeId)?.size ?? 0,
    replicas: metadata.segmentsByDisk.get(record.diskId)?.size ?? 0,
    incompleteReplicas: Math.max(member.incompleteCopies, damagedSegmentIds.length),
  };
}

/** Without a look at every sealed segment: there may be a million of them. */
function segmentCounts(view: ClusterView): ClusterStatus['segments'] {
  const { metadata } = view;
  let [unsealed, unavailable, all] = [0, 0, 0];
  for (const { partitions } of metadata.topics.values()) {
    for (const { segments } of partitions) {
      const last = metadata.segments.get(segments.at(-1) ?? (0 as never));
      all += segments.length;
      if (last === undefined) continue;
      unsealed += 1;
      if (!hasAckQuorum(view, last)) unavailable += 1;
    }
  }
  const recovering = metadata.recovering.size;
  return {
    open: unsealed - recovering,
    recovering,
    sealed: all - unsealed,
    underReplicated: metadata.underReplicated.size,
    unavailable,
  };
}

/**
 * Whether a node may be restarted now: what is up without it must still elect, acknowledge and serve. Pure; the
 * metadata leader asks it on a view that a majority has just confirmed. Each reason is in docs/admin-api.md.
 *
 * A restart never endangers what was acknowledged (that is durable); this is about staying available. Hence two
 * kinds of restart are always allowed: of a node that is down already, since that takes nothing away and may be what
 * brings it back; and of one without which there could be no redundancy anyhow, since nobody asked for any
 * (the only node, the only voter wanted, topics with one replica): the verdict says what it costs.
 */
import type { NodeId } from '../../base/units.ts';
import type { RefusalReason, Verdict } from '../../protocol/admin/types.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import { majority } from '../raft/configuration.ts';
import { serverId } from '../raft/types.ts';
import { isUnsealed, underReplicatedSegments, votersWanted } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import { mayBeDamaged } from './clusterView.ts';
import type { ClusterView, MemberView } from './clusterView.ts';
import { replicationOf } from './failureDetector.ts';

/** Why not, and what to tell people. */
interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Decides on the restart of a node that the metadata know. */
export function restartVerdict(view: ClusterView, node: MemberView): Verdict {
  const { epoch } = view;
  const { nodeId } = node.record;
  if (!node.isAlive) {
    const message = `Node ${nodeId} is down already: its restart takes nothing away`;
    return { isAllowed: true, epoch, message };
  }
  const refusal =
    whyNotVoters(view, nodeId) ??
    whyNotUnsealed(view, nodeId) ??
    whyNotSealed(view, node) ??
    whyNotOthers(view, nodeId);
  if (refusal !== null) return { isAllowed: false, epoch, ...refusal };
  return { isAllowed: true, epoch, message: costOf(view, nodeId) };
}

/** Nodes that can be relied on while another one is away: alive, with a disk that takes writes. */
function isUp(member: MemberView | undefined): member is MemberView {
  return member !== undefined && member.isAlive && member.isDiskWritable;
}

/** Whether the metadata cannot have a second voter: not a fault, but what was asked for, or a cluster of one or two. */
function hasOneVoter({ metadata, voters }: ClusterView): boolean {
  return voters.length === 1 && votersWanted(metadata) === 1;
}

function whyNotVoters(view: ClusterView, restarted: NodeId): Refusal | null {
  if (hasOneVoter(view)) return null;
  const { voters, members } = view;
  let up = 0;
  for (const member of members.values()) {
    const { nodeId, diskId } = member.record;
    const isVoter = voters.includes(serverId(nodeId, diskId));
    if (isVoter && nodeId !== restarted && isUp(member) && member.hasMetadata) up += 1;
  }
  const needed = majority(voters.length);
  if (up >= needed) return null;
  const message = `Without node ${restarted}, ${up} of ${voters.length} voters would be up and caught up: ${needed} are needed`;
  return { reason: 'MetadataQuorum', message };
}

function* unsealedSegments({ metadata }: ClusterView): Iterable<SegmentRecord> {
  for (const ids of metadata.unsealedByLeader.values()) {
    for (const id of ids) {
      const segment = metadata.segments.get(id);
      if (segment !== undefined && isUnsealed(segment)) yield segment;
    }
  }
}

/** Members of a segment, other than the one restarted, whose copy is there. */
function copiesUp(
  { members }: ClusterView,
  { segmentId, ensemble }: SegmentRecord,
  restarted: NodeId | null,
): number {
  let count = 0;
  for (const { nodeId, diskId } of ensemble) {
    const member = members.get(nodeId);
    if (nodeId === restarted || !isUp(member) || member.record.diskId !== diskId) continue;
    if (!mayBeDamaged(member, segmentId)) count += 1;
  }
  return count;
}

/** Whether an unsealed segment can go on, or be recovered, with what is up. */
export function hasAckQuorum(view: ClusterView, segment: SegmentRecord): boolean {
  return copiesUp(view, segment, null) >= segment.ackQuorum;
}

/** Whether a segment is where its topic wants it: on one disk, without redundancy. */
function isSingle({ metadata }: ClusterView, segment: SegmentRecord): boolean {
  return replicationOf(metadata, segment).replicas === 1;
}

function nameOf({ segmentId, topic, partition }: SegmentRecord): string {
  return `segment ${segmentId} (${topic}/${partition})`;
}

function whyNotUnsealed(view: ClusterView, restarted: NodeId): Refusal | null {
  for (const segment of unsealedSegments(view)) {
    const isOnlyHere = segment.ensemble.every(({ nodeId }) => nodeId === restarted);
    if (isOnlyHere && isSingle(view, segment)) continue;
    const up = copiesUp(view, segment, restarted);
    if (up >= segment.ackQuorum) continue;
    const message = `Without node ${restarted}, ${up} members of ${nameOf(segment)} would be up: it needs ${segment.ackQuorum}`;
    return { reason: 'SegmentQuorum', message };
  }
  return null;
}

/**
 * Of sealed segments one other whole copy is enough. Where all copies are on registered disks and none is damaged, it
 * is there as long as nobody else is down or catching up, which is looked at anyhow.
 */
function whyNotSealed(view: ClusterView, node: MemberView): Refusal | null {
  const { nodeId, diskId } = node.record;
  for (const segment of doubtfulSegments(view)) {
    const { segmentId, state, ensemble } = segment;
    const isHolder = ensemble.some((place) => place.diskId === diskId);
    if (state !== 'SEALED' || !isHolder || mayBeDamaged(node, segmentId)) continue;
    if (isSingle(view, segment) || copiesUp(view, segment, nodeId) > 0) continue;
    const message = `Node ${nodeId} has the only whole copy of ${nameOf(segment)} that is up`;
    return { reason: 'LastWholeCopy', message };
  }
  return null;
}

function* doubtfulSegments({ metadata, members }: ClusterView): Iterable<SegmentRecord> {
  yield* underReplicatedSegments(metadata);
  for (const { damagedSegmentIds } of members.values()) {
    for (const id of damagedSegmentIds) {
      const segment = metadata.segments.get(id);
      if (segment !== undefined) yield segment;
    }
  }
}

function whyNotOthers({ members }: ClusterView, restarted: NodeId): Refusal | null {
  for (const member of members.values()) {
    const { nodeId } = member.record;
    const problem = nodeId === restarted ? null : problemOf(member);
    if (problem === null) continue;
    return { reason: 'AnotherNodeIsDown', message: `Node ${nodeId} ${problem}` };
  }
  return null;
}

function problemOf(member: MemberView): string | null {
  if (!member.isAlive) return 'is down';
  if (!member.isDiskWritable) return 'has a failed disk';
  if (member.isDraining) return 'is draining';
  if (!member.hasMetadata) return 'is catching up with the metadata';
  if (member.damagedSegmentIds.length >= DAMAGED_IDS_MAX) return 'has a disk with much damage';
  return member.isCatchingUp ? 'is catching up: copies of its are not whole yet' : null;
}

function costOf(view: ClusterView, nodeId: NodeId): string {
  const costs: string[] = [];
  if (view.members.size === 1) return `Node ${nodeId} is the only one: nothing is served meanwhile`;
  if (hasOneVoter(view) && view.leaderId === nodeId) {
    costs.push('it is the only voter: topics and leaders cannot change meanwhile');
  }
  const single = [...unsealedSegments(view)].filter(
    (segment) => isSingle(view, segment) && segment.ensemble[0]?.nodeId === nodeId,
  ).length;
  if (single > 0) {
    costs.push(
      `${single} partitions without replicas are led here: drain it, so that others take their writes`,
    );
  }
  return costs.join('; ');
}

/**
 * The cluster as one node sees it at one moment, for status and for what is decided on it. The metadata leader sees
 * most: it hears every node. Plain data and look-ups; nothing waits here.
 */
import { nodeId } from '../../base/units.ts';
import type { NodeId, SegmentId } from '../../base/units.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { HeartbeatRequest } from '../../protocol/peer/requests.ts';
import { nodeOfServer, serverId } from '../raft/types.ts';
import type { RaftStatus, ServerId } from '../raft/types.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { registeredDisk } from '../state/queries.ts';
import type { NodeRecord } from '../state/types.ts';
import { CAUGHT_UP_LAG_MAX } from './membership.ts';
import type { Sessions } from './sessions.ts';

/** How a node is. */
export interface MemberView {
  readonly record: NodeRecord;
  /** On its registered disk, and heard of in time. */
  readonly isAlive: boolean;
  readonly isDraining: boolean;
  readonly isDiskWritable: boolean;
  readonly role: 'Voter' | 'Learner' | 'None';
  /** Has the metadata, up to what travels. */
  readonly hasMetadata: boolean;
  /** Copies of its that count are not whole, or do not keep up with their leaders. */
  readonly isCatchingUp: boolean;
  readonly incompleteCopies: number;
  readonly damagedSegmentIds: readonly SegmentId[];
}

export interface ClusterView {
  readonly metadata: IndexedMetadata;
  /** The Raft term. */
  readonly epoch: number;
  readonly leaderId: NodeId | null;
  /** From a leader that a majority has confirmed. */
  readonly isFresh: boolean;
  readonly voters: readonly ServerId[];
  readonly members: ReadonlyMap<NodeId, MemberView>;
}

/** What the metadata leader sees. The caller has made sure that it leads. */
export function viewOfLeader(
  metadata: IndexedMetadata,
  status: RaftStatus,
  sessions: Sessions,
): ClusterView {
  const behind = sessions.behindNodeIds();
  return viewOf(metadata, status, (record) => {
    const beat = sessions.beatOf(record.nodeId);
    return {
      ...stateOf(beat),
      hasMetadata: beat !== null && hasMetadata(status, record, beat),
      isCatchingUp: beat?.isCatchingUp === true || behind.has(record.nodeId),
    };
  });
}

/** What a node remembers that cannot ask the leader: nothing is decided on it. */
export function viewOfFollower(
  metadata: IndexedMetadata,
  status: RaftStatus,
  aliveNodeIds: ReadonlySet<NodeId>,
): ClusterView {
  const view = viewOf(metadata, status, (record) => ({
    ...stateOf(null),
    isAlive: aliveNodeIds.has(record.nodeId),
    isDiskWritable: aliveNodeIds.has(record.nodeId),
    hasMetadata: false,
    isCatchingUp: false,
  }));
  return { ...view, isFresh: false };
}

type MemberState = Omit<MemberView, 'record' | 'role'>;

function stateOf(beat: HeartbeatRequest | null): Omit<MemberState, 'hasMetadata' | 'isCatchingUp'> {
  return {
    isAlive: beat !== null,
    isDraining: beat?.isDraining ?? false,
    isDiskWritable: beat?.isDiskWritable ?? false,
    incompleteCopies: beat?.incompleteCopies ?? 0,
    damagedSegmentIds: beat?.damagedSegmentIds ?? [],
  };
}

function viewOf(
  metadata: IndexedMetadata,
  { currentTerm, leaderId, configuration }: RaftStatus,
  stateOfNode: (record: NodeRecord) => MemberState,
): ClusterView {
  const { voters, learners } = configuration;
  const members = new Map<NodeId, MemberView>();
  for (const record of [...metadata.nodes.values()].sort((a, b) => a.nodeId - b.nodeId)) {
    const id = serverId(record.nodeId, record.diskId);
    const isIn = (list: readonly { readonly id: ServerId }[]): boolean =>
      list.some((member) => member.id === id);
    const state = stateOfNode(record);
    members.set(record.nodeId, {
      record,
      ...state,
      isAlive: state.isAlive && registeredDisk(metadata, record) !== undefined,
      role: isIn(voters) ? 'Voter' : isIn(learners) ? 'Learner' : 'None',
    });
  }
  return {
    metadata,
    epoch: currentTerm,
    leaderId: leaderId === null ? null : nodeId(nodeOfServer(leaderId)),
    isFresh: true,
    voters: voters.map(({ id }) => id),
    members,
  };
}

/** Both its Raft log and what it has applied of it are near the leader's. */
function hasMetadata(status: RaftStatus, record: NodeRecord, beat: HeartbeatRequest): boolean {
  const id = serverId(record.nodeId, record.diskId);
  if (beat.appliedIndex + CAUGHT_UP_LAG_MAX < status.commitIndex) return false;
  if (id === status.id) return true;
  const peer = status.progress.find((each) => each.id === id);
  return (
    peer !== undefined && peer.isActive && peer.matchIndex + CAUGHT_UP_LAG_MAX >= status.lastIndex
  );
}

/** Whether a node's copy may be damaged: it names a bounded number of them only. */
export function mayBeDamaged({ damagedSegmentIds }: MemberView, segmentId: SegmentId): boolean {
  return damagedSegmentIds.length >= DAMAGED_IDS_MAX || damagedSegmentIds.includes(segmentId);
}

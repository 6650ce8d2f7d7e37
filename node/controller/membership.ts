/**
 * Who votes on the metadata: every registered disk is a learner, and as many as wanted (1, 3, 5, 7) are voters.
 * Pure: given what is, says the one change to make next, or none.
 */
import { nodeId } from '../../base/units.ts';
import { nodeOfServer, serverId } from '../raft/types.ts';
import type { Member, MembershipChange, RaftStatus, ServerId } from '../raft/types.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { registeredPlaces, votersWanted } from '../state/queries.ts';
import type { Sessions } from './sessions.ts';

/** How many entries a learner may be behind to be promoted. */
export const PROMOTION_LAG_MAX = 100;

/** The next membership change, or null when all is as wanted. Called on the Raft leader. */
export function nextMembershipChange(
  status: RaftStatus,
  metadata: IndexedMetadata,
  sessions: Sessions,
): MembershipChange | null {
  const wanted = wantedMembers(metadata);
  return learnerChange(status, wanted) ?? voterChange(status, wanted, { metadata, sessions });
}

/** One member for each registered disk. */
function wantedMembers(metadata: IndexedMetadata): ReadonlyMap<ServerId, Member> {
  const members = new Map<ServerId, Member>();
  for (const place of registeredPlaces(metadata)) {
    const id = serverId(place.nodeId, place.diskId);
    members.set(id, { id, address: metadata.nodes.get(place.nodeId)?.peerAddress ?? '' });
  }
  return members;
}

/** Whoever is registered joins as a learner; a learner whose disk is lost goes. */
function learnerChange(
  status: RaftStatus,
  wanted: ReadonlyMap<ServerId, Member>,
): MembershipChange | null {
  const { voters, learners } = status.configuration;
  const known = new Set([...voters, ...learners].map((member) => member.id));
  for (const [id, member] of wanted) if (!known.has(id)) return { type: 'AddLearner', member };
  const gone = learners.find((member) => !wanted.has(member.id));
  return gone === undefined ? null : { type: 'RemoveServer', id: gone.id };
}

function voterChange(
  status: RaftStatus,
  wanted: ReadonlyMap<ServerId, Member>,
  { metadata, sessions }: { metadata: IndexedMetadata; sessions: Sessions },
): MembershipChange | null {
  const { voters } = status.configuration;
  const count = votersWanted(metadata);
  const gone = voters.find((member) => !wanted.has(member.id) && member.id !== status.id);
  // Before its place is filled: four voters of which one is lost need all of the other three to commit anything.
  if (gone !== undefined) return { type: 'RemoveServer', id: gone.id };
  if (voters.length < count) return promotable(status, sessions);
  return voters.length > count ? demotion(status, sessions) : null;
}

/** A learner that is alive and has nearly everything. */
function promotable(status: RaftStatus, sessions: Sessions): MembershipChange | null {
  for (const learner of status.configuration.learners) {
    const progress = status.progress.find((peer) => peer.id === learner.id);
    const isCaughtUp =
      progress !== undefined && progress.matchIndex + PROMOTION_LAG_MAX >= status.lastIndex;
    if (isCaughtUp && progress.isActive && sessions.isAlive(nodeId(nodeOfServer(learner.id)))) {
      return { type: 'PromoteLearner', id: learner.id };
    }
  }
  return null;
}

/** One voter too many: rather one that is not alive, never the leader itself. */
function demotion(status: RaftStatus, sessions: Sessions): MembershipChange | null {
  const others = status.configuration.voters.filter((member) => member.id !== status.id);
  const down = others.find((member) => !sessions.isAlive(nodeId(nodeOfServer(member.id))));
  const chosen = down ?? others.at(-1);
  return chosen === undefined ? null : { type: 'DemoteVoter', id: chosen.id };
}

/** Who should lead the metadata when this server stops: the voter that is alive and has the most; null: nobody. */
export function successorOf({ id, configuration, progress }: RaftStatus): ServerId | null {
  const isVoter = (peer: ServerId): boolean =>
    configuration.voters.some((voter) => voter.id === peer);
  const candidates = progress.filter((peer) => peer.id !== id && peer.isActive && isVoter(peer.id));
  return candidates.toSorted((a, b) => b.matchIndex - a.matchIndex)[0]?.id ?? null;
}

/**
 * Who votes on the metadata: every registered disk is a learner, and as many as wanted (1, 3, 5, 7) are voters.
 * Pure: given what is, says the one change to make next, or none.
 */
import { nodeId } from '../../base/units.ts';
import { majority } from '../raft/configuration.ts';
import { nodeOfServer, serverId } from '../raft/types.ts';
import type { Member, MembershipChange, RaftStatus, ServerId } from '../raft/types.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { registeredPlaces, votersWanted } from '../state/queries.ts';
import type { Sessions } from './sessions.ts';

/** How many entries a server may be behind for it to be promoted, or kept rather than another one. */
export const CAUGHT_UP_LAG_MAX = 100;

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

/** A learner that is up, and was heard of just now. */
function promotable(status: RaftStatus, sessions: Sessions): MembershipChange | null {
  const chosen = status.configuration.learners.find(
    ({ id }) => isUp(status, sessions, id) && progressOf(status, id)?.isActive === true,
  );
  return chosen === undefined ? null : { type: 'PromoteLearner', id: chosen.id };
}

/**
 * One voter too many: never the leader itself, and rather one that is not known to be up. A leader that was just elected
 * gives everybody time to be heard of, the dead as well: were one that is up demoted in place of a dead one, those that
 * are left might be no majority, and the change itself could never be committed.
 */
function demotion(status: RaftStatus, sessions: Sessions): MembershipChange | null {
  const others = status.configuration.voters.filter(({ id }) => id !== status.id);
  const doubtful = others.filter(({ id }) => !isUp(status, sessions, id));
  const chosen = doubtful[0] ?? others.at(-1);
  if (chosen === undefined) return null;
  // Of those that are left, who are as many as the others of now.
  const upCount = status.configuration.voters.length - Math.max(1, doubtful.length);
  return upCount < majority(others.length) ? null : { type: 'DemoteVoter', id: chosen.id };
}

/** Whether a server is alive, has answered this leader, and has nearly everything. */
function isUp(status: RaftStatus, sessions: Sessions, id: ServerId): boolean {
  const progress = progressOf(status, id);
  if (progress?.hasAnswered !== true || !sessions.isAlive(nodeId(nodeOfServer(id)))) return false;
  return progress.matchIndex + CAUGHT_UP_LAG_MAX >= status.lastIndex;
}

function progressOf(
  { progress }: RaftStatus,
  id: ServerId,
): RaftStatus['progress'][number] | undefined {
  return progress.find((peer) => peer.id === id);
}

/** Who should lead the metadata when this server stops: the voter that is alive and has the most; null: nobody. */
export function successorOf({ id, configuration, progress }: RaftStatus): ServerId | null {
  const isVoter = (peer: ServerId): boolean =>
    configuration.voters.some((voter) => voter.id === peer);
  const candidates = progress.filter((peer) => peer.id !== id && peer.isActive && isVoter(peer.id));
  return candidates.toSorted((a, b) => b.matchIndex - a.matchIndex)[0]?.id ?? null;
}

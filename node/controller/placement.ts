/**
 * Where a new segment goes (DESIGN W7): the least loaded healthy disks, spread over zones, the leader on another
 * node than before. Pure: the caller gathers the candidates.
 */
import { WalrusError } from '../../base/errors.ts';
import type { NodeId } from '../../base/units.ts';
import type { ReplicaPlace, Replication } from '../state/types.ts';

export interface Candidate {
  readonly place: ReplicaPlace;
  readonly bootEpoch: number;
  readonly zone: string;
  /** Alive, disk writable and not full. */
  readonly isHealthy: boolean;
  /** About to restart: a member if need be, a leader only when nobody else is there. */
  readonly isDraining: boolean;
  /** Segments with a copy on this disk, and those not sealed that its node leads. */
  readonly copyCount: number;
  readonly ledCount: number;
}

export interface Placement {
  readonly leader: ReplicaPlace;
  readonly leaderBootEpoch: number;
  readonly ensemble: readonly ReplicaPlace[];
}

export interface PreviousLeader {
  readonly leader: NodeId;
  /** It leads again only when there is nobody else. */
  readonly isAvoided: boolean;
}

/**
 * Chooses an ensemble and its leader.
 * @param candidates - One for each registered disk that is not LOST, one disk a node.
 * @param previous - Who led the partition so far; null for a new one.
 * @throws {WalrusError} NOT_ENOUGH_REPLICAS when fewer than W disks are healthy.
 */
export function choosePlacement(
  candidates: readonly Candidate[],
  replication: Replication,
  previous: PreviousLeader | null,
): Placement {
  const { replicas, ackQuorum } = replication;
  const healthy = candidates.filter((candidate) => candidate.isHealthy);
  if (healthy.length < ackQuorum) {
    const have = `${healthy.length} of ${candidates.length} disks are healthy`;
    throw new WalrusError(
      'NOT_ENOUGH_REPLICAS',
      `Cannot place a segment: it needs ${ackQuorum}, and ${have}`,
    );
  }
  const chosen = spread(healthy, replicas, []);
  const down = candidates.filter((candidate) => !candidate.isHealthy);
  chosen.push(...spread(down, replicas - chosen.length, chosen));
  const leader = chooseLeader(chosen, previous);
  return {
    leader: leader.place,
    leaderBootEpoch: leader.bootEpoch,
    ensemble: chosen.map((candidate) => candidate.place),
  };
}

/** Takes up to `count`, one at a time: a zone that has fewest so far, then the least loaded disk. */
function spread(
  candidates: readonly Candidate[],
  count: number,
  taken: readonly Candidate[],
): Candidate[] {
  const perZone = new Map<string, number>();
  for (const { zone } of taken) perZone.set(zone, (perZone.get(zone) ?? 0) + 1);
  const left = [...candidates];
  const chosen: Candidate[] = [];
  while (chosen.length < count && left.length > 0) {
    left.sort(
      (a, b) =>
        Number(a.isDraining) - Number(b.isDraining) ||
        (perZone.get(a.zone) ?? 0) - (perZone.get(b.zone) ?? 0) ||
        a.copyCount - b.copyCount ||
        a.ledCount - b.ledCount ||
        a.place.nodeId - b.place.nodeId,
    );
    const next = left.shift() as Candidate;
    perZone.set(next.zone, (perZone.get(next.zone) ?? 0) + 1);
    chosen.push(next);
  }
  return chosen;
}

/** The member that leads fewest segments; of equals the next one in node order after the previous leader. */
function chooseLeader(chosen: readonly Candidate[], previous: PreviousLeader | null): Candidate {
  const able = chosen.filter((candidate) => candidate.isHealthy);
  const leader = previous?.leader ?? 0;
  const distance = ({ place: { nodeId } }: Candidate): number =>
    nodeId > leader ? nodeId - leader : nodeId + 2 ** 32;
  const isAvoided = ({ place }: Candidate): boolean =>
    previous?.isAvoided === true && place.nodeId === leader;
  const ranked = [...able].sort(
    (a, b) =>
      Number(a.isDraining) - Number(b.isDraining) ||
      Number(isAvoided(a)) - Number(isAvoided(b)) ||
      a.ledCount - b.ledCount ||
      distance(a) - distance(b),
  );
  return ranked[0] as Candidate;
}

/**
 * The candidates once a planned segment is there.
 * @param from - Who leads its predecessor, which is sealed then; null for a new partition.
 */
export function withSegment(
  candidates: readonly Candidate[],
  plan: Pick<Placement, 'leader' | 'ensemble'>,
  from: ReplicaPlace | null,
): readonly Candidate[] {
  return candidates.map((candidate) => {
    const { nodeId, diskId } = candidate.place;
    const isMember = plan.ensemble.some((place) => place.diskId === diskId);
    const gained = Number(plan.leader.nodeId === nodeId) - Number(from?.nodeId === nodeId);
    return {
      ...candidate,
      copyCount: candidate.copyCount + Number(isMember),
      ledCount: candidate.ledCount + gained,
    };
  });
}

/**
 * Whether another ensemble would be better than the present one: more members, or more of them healthy (W6).
 */
export function isBetterEnsemblePossible(
  candidates: readonly Candidate[],
  ensemble: readonly ReplicaPlace[],
  replication: Replication,
): boolean {
  const healthy = candidates.filter((candidate) => candidate.isHealthy);
  const present = healthy.filter((candidate) =>
    ensemble.some((place) => place.diskId === candidate.place.diskId),
  );
  const possible = Math.min(healthy.length, replication.replicas);
  if (possible > present.length) return true;
  const size = Math.min(candidates.length, replication.replicas);
  return size > ensemble.length && healthy.length >= replication.ackQuorum;
}

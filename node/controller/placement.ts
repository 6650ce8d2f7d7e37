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
  /** Segments that are not sealed on this disk, and those that its node leads. */
  readonly openCount: number;
  readonly ledCount: number;
}

export interface Placement {
  readonly leader: ReplicaPlace;
  readonly leaderBootEpoch: number;
  readonly ensemble: readonly ReplicaPlace[];
}

/**
 * Chooses an ensemble and its leader.
 * @param candidates - One for each registered disk that is not LOST, one disk a node.
 * @param previousLeader - The node that led the partition so far; it leads again only when it is the only one.
 * @throws {WalrusError} NOT_ENOUGH_REPLICAS when fewer than W disks are healthy.
 */
export function choosePlacement(
  candidates: readonly Candidate[],
  replication: Replication,
  previousLeader: NodeId | null,
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
  const leader = chooseLeader(chosen, previousLeader);
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
        a.openCount - b.openCount ||
        a.place.nodeId - b.place.nodeId,
    );
    const next = left.shift() as Candidate;
    perZone.set(next.zone, (perZone.get(next.zone) ?? 0) + 1);
    chosen.push(next);
  }
  return chosen;
}

/** The member that leads fewest segments; of equals the next one in node order after the previous leader. */
function chooseLeader(chosen: readonly Candidate[], previousLeader: NodeId | null): Candidate {
  const able = chosen.filter((candidate) => candidate.isHealthy);
  const distance = ({ place }: Candidate): number => {
    if (previousLeader === null) return place.nodeId;
    return place.nodeId > previousLeader ? place.nodeId - previousLeader : place.nodeId + 2 ** 32;
  };
  const ranked = [...able].sort(
    (a, b) =>
      Number(a.isDraining) - Number(b.isDraining) ||
      Number(a.place.nodeId === previousLeader) - Number(b.place.nodeId === previousLeader) ||
      a.ledCount - b.ledCount ||
      distance(a) - distance(b),
  );
  return ranked[0] as Candidate;
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

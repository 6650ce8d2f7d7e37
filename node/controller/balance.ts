/**
 * Which segment to close so that leaderships are even again: after a restart or a failure others lead what a node has
 * led, and a topic that is idle never rolls by itself. Pure over the metadata and the candidates.
 */
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { segmentsLedBy } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import { replicationOf } from './failureDetector.ts';
import { choosePlacement } from './placement.ts';
import type { Candidate } from './placement.ts';

/** Segments that a node may lead more than another: rolls make as much of a difference by themselves. */
export const IMBALANCE_MAX = 2;

/** A segment of the node that leads most, if its successor would make things more even; else null. */
export function segmentToMove(
  metadata: IndexedMetadata,
  candidates: readonly Candidate[],
): SegmentRecord | null {
  const healthy = candidates.filter(({ isHealthy }) => isHealthy);
  const able = healthy.filter(({ isDraining }) => !isDraining);
  const ranked = able.toSorted((a, b) => a.ledCount - b.ledCount);
  const [least, most] = [ranked[0], ranked.at(-1)];
  if (least === undefined || most === undefined) return null;
  if (most.ledCount - least.ledCount <= IMBALANCE_MAX) return null;
  const previous = { leader: most.place.nodeId, isAvoided: true };
  const tried = new Set<string>();
  for (const segment of segmentsLedBy(metadata, most.place.nodeId)) {
    const replication = replicationOf(metadata, segment);
    const kind = `${replication.replicas}/${replication.ackQuorum}`;
    if (segment.state !== 'OPEN' || tried.has(kind)) continue;
    tried.add(kind); // where the next of its kind would go is the same
    if (healthy.length < replication.ackQuorum) continue;
    const { leader } = choosePlacement(candidates, replication, previous);
    const heir = candidates.find(({ place }) => place.nodeId === leader.nodeId);
    if (heir !== undefined && most.ledCount - heir.ledCount >= IMBALANCE_MAX) return segment;
  }
  return null;
}

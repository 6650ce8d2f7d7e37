/**
 * Which sealed segments get another copy, and where (DESIGN S2). Pure. The chosen nodes see themselves among a
 * segment's partial places, copy it by themselves, and propose to be replicas once their copy is verified.
 */
import type { Command } from '../state/commands.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { underReplicatedSegments } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import { replicationOf } from './failureDetector.ts';
import type { Candidate } from './placement.ts';

/** New copies planned in one pass, over all segments. */
export const PLAN_COUNT_MAX = 16;

/** The PlanCopies commands to propose now. */
export function nextCopies(
  metadata: IndexedMetadata,
  candidates: readonly Candidate[],
): Extract<Command, { type: 'PlanCopies' }>[] {
  const commands: Extract<Command, { type: 'PlanCopies' }>[] = [];
  for (const segment of underReplicatedSegments(metadata)) {
    if (commands.length === PLAN_COUNT_MAX) break;
    if (segment.state !== 'SEALED') continue;
    const place = homeFor(metadata, segment, candidates);
    if (place === null) continue;
    commands.push({ type: 'PlanCopies', segmentId: segment.segmentId, places: [place] });
  }
  return commands;
}

/** The least loaded healthy disk on a node without a copy; null while enough copies are there or under way. */
function homeFor(
  metadata: IndexedMetadata,
  segment: SegmentRecord,
  candidates: readonly Candidate[],
): Candidate['place'] | null {
  const wanted = replicationOf(metadata, segment).replicas;
  const usable = (diskId: string): boolean =>
    candidates.some((candidate) => candidate.place.diskId === diskId && candidate.isHealthy);
  const copies = segment.ensemble.filter(
    (place) => metadata.disks.get(place.diskId)?.state === 'REGISTERED',
  );
  const underWay = segment.partialPlaces.filter((place) => usable(place.diskId));
  if (copies.length + underWay.length >= wanted) return null;
  const taken = new Set(
    [...copies, ...underWay, ...segment.formerPlaces].map((place) => place.nodeId),
  );
  const free = candidates.filter(
    (candidate) => candidate.isHealthy && !taken.has(candidate.place.nodeId),
  );
  free.sort((a, b) => a.copyCount - b.copyCount || a.place.nodeId - b.place.nodeId);
  return free[0]?.place ?? null;
}

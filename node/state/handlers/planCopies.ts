/** PlanCopies and DropCopies: which places outside the ensemble may hold bytes of a segment (DESIGN R5, S2, S3). */
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_EXTRA_PLACES } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { SegmentRecord } from '../types.ts';
import { checkRegistered, includesPlace, placesWithout } from './places.ts';

type CopyCommand = CommandOf<'PlanCopies' | 'DropCopies'>;

/** Names places that a copy of a RECOVERING or SEALED segment goes to; those named before are no error. */
export function planCopies(state: MutableMetadata, command: CommandOf<'PlanCopies'>): ApplyResult {
  const segment = state.segments.get(command.segmentId);
  const refusal = checkState(segment, command) ?? checkRegistered(state, command.places);
  if (segment === undefined || refusal !== null) return refusal ?? notFound(command);
  const { segmentId, ensemble, formerPlaces } = segment;
  if (command.places.some((place) => includesPlace(formerPlaces, place))) {
    return refuse(
      'CONFLICT',
      `Cannot copy segment ${segmentId} to a disk that is deleting its copy`,
    );
  }
  const partialPlaces = [...segment.partialPlaces];
  for (const place of command.places) {
    if (!includesPlace(ensemble, place) && !includesPlace(partialPlaces, place)) {
      partialPlaces.push(place);
    }
  }
  if (partialPlaces.length + formerPlaces.length > MAX_EXTRA_PLACES) {
    return refuse(
      'LIMIT_REACHED',
      `Cannot copy segment ${segmentId}: up to ${MAX_EXTRA_PLACES} disks outside its replicas ` +
        'may hold bytes of it',
    );
  }
  state.putSegment({ ...segment, partialPlaces });
  return done();
}

/**
 * Tells partial places to delete what they have. Those that are not partial (any more) are left alone. Only of a
 * sealed segment that has all its replicas: a place that is still needed may have proposed itself as a replica, and
 * that command, which compares the replicas, must be void before its copy goes (tla/Segment.tla, NeededCopyDropped).
 */
export function dropCopies(state: MutableMetadata, command: CommandOf<'DropCopies'>): ApplyResult {
  const segment = state.segments.get(command.segmentId);
  if (segment === undefined) return notFound(command);
  const refusal = checkTooMany(state, segment);
  if (refusal !== null) return refusal;
  const dropped = segment.partialPlaces.filter((place) => includesPlace(command.places, place));
  state.putSegment({
    ...segment,
    partialPlaces: placesWithout(segment.partialPlaces, dropped),
    formerPlaces: [...segment.formerPlaces, ...dropped],
  });
  return done();
}

function checkTooMany(state: MutableMetadata, segment: SegmentRecord): Refusal | null {
  const { segmentId, ensemble } = segment;
  if (segment.state !== 'SEALED') {
    return refuse('CONFLICT', `Cannot drop copies of segment ${segmentId}: it is ${segment.state}`);
  }
  const wanted = state.topics.get(segment.topic)?.replication.replicas ?? 0;
  const count = state.registeredCount(ensemble);
  if (count >= wanted) return null;
  return refuse(
    'CONFLICT',
    `Cannot drop copies of segment ${segmentId}: it has ${count} of ${wanted} replicas`,
  );
}

function notFound(command: CopyCommand): Refusal {
  return refuse('SEGMENT_NOT_FOUND', `Cannot copy segment ${command.segmentId}: it does not exist`);
}

function checkState(segment: SegmentRecord | undefined, command: CopyCommand): Refusal | null {
  if (segment === undefined) return notFound(command);
  if (segment.state === 'SEALED' || segment.state === 'RECOVERING') return null;
  return refuse('CONFLICT', `Cannot copy segment ${segment.segmentId}: it is ${segment.state}`);
}

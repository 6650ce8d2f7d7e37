/**
 * ReplaceReplicas: rule S2, a compare-and-set on the replica set of a sealed segment, after the copy was made,
 * synced and verified. Dropped members become former places: they delete their copy and confirm it. A place that
 * is still deleting cannot be named again, or its deletion would take a copy that counts.
 */
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_EXTRA_PLACES } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { SegmentRecord } from '../types.ts';
import {
  areSamePlaces,
  checkDistinctNodes,
  checkRegistered,
  describePlaces,
  includesPlace,
  placesWithout,
} from './places.ts';

type ReplaceReplicas = CommandOf<'ReplaceReplicas'>;

/** Replaces the replica set of a sealed segment. */
export function replaceReplicas(state: MutableMetadata, command: ReplaceReplicas): ApplyResult {
  const segment = state.segments.get(command.segmentId);
  if (segment === undefined) {
    return refuse(
      'SEGMENT_NOT_FOUND',
      `Cannot replace replicas of segment ${command.segmentId}: it does not exist`,
    );
  }
  const wanted = state.topics.get(segment.topic)?.replication.replicas ?? 0;
  const refusal =
    checkExpected(segment, command) ??
    checkDistinctNodes(command.replicas) ??
    checkRegistered(state, command.replicas) ??
    checkNotFormer(segment, command) ??
    checkCount(state, segment, command, wanted);
  if (refusal !== null) return refusal;
  const dropped = placesWithout(segment.ensemble, command.replicas);
  const former = [...segment.formerPlaces, ...dropped.filter((place) => state.isRegistered(place))];
  if (former.length + segment.partialPlaces.length > MAX_EXTRA_PLACES) {
    return refuse(
      'LIMIT_REACHED',
      `Cannot replace replicas of segment ${segment.segmentId}: ${former.length} disks have ` +
        'still to delete their copies',
    );
  }
  state.putSegment({
    ...segment,
    ensemble: command.replicas,
    partialPlaces: placesWithout(segment.partialPlaces, command.replicas),
    formerPlaces: former,
    isUnderReplicated: command.replicas.length < wanted,
  });
  return done();
}

function checkExpected(segment: SegmentRecord, command: ReplaceReplicas): Refusal | null {
  const { segmentId } = segment;
  if (segment.state !== 'SEALED') {
    return refuse(
      'CONFLICT',
      `Cannot replace replicas of segment ${segmentId}: it is ${segment.state}, not SEALED`,
    );
  }
  if (areSamePlaces(segment.ensemble, command.expected)) return null;
  return refuse(
    'CONFLICT',
    `Cannot replace replicas of segment ${segmentId}: they are ` +
      `${describePlaces(segment.ensemble)}, not ${describePlaces(command.expected)}`,
  );
}

function checkNotFormer(segment: SegmentRecord, command: ReplaceReplicas): Refusal | null {
  if (!command.replicas.some((place) => includesPlace(segment.formerPlaces, place))) return null;
  return refuse(
    'CONFLICT',
    `Cannot replace replicas of segment ${segment.segmentId}: a new one is deleting its copy`,
  );
}

/** At most R copies; fewer than W only when that is more than there were, on the way up. */
function checkCount(
  state: MutableMetadata,
  segment: SegmentRecord,
  command: ReplaceReplicas,
  wanted: number,
): Refusal | null {
  const count = command.replicas.length;
  const isEnough = count >= segment.ackQuorum || count > state.registeredCount(segment.ensemble);
  if (count <= wanted && isEnough) return null;
  return refuse(
    'NOT_ENOUGH_REPLICAS',
    `Cannot replace replicas of segment ${segment.segmentId} by ${count}: it needs ` +
      `${segment.ackQuorum} to ${wanted}`,
  );
}

/** How segments go: a tombstone first, the record only after every place has confirmed (DESIGN S3). */
import type { MutableMetadata } from '../mutableMetadata.ts';
import { placesOf } from '../mutableMetadata.ts';
import type { ReplicaPlace, SegmentRecord } from '../types.ts';

/** Stores a record, or removes a DELETED one that no place has to confirm any more. */
export function putOrRemove(state: MutableMetadata, segment: SegmentRecord): void {
  if (segment.state === 'DELETED' && segment.formerPlaces.length === 0) {
    state.removeSegment(segment.segmentId);
  } else {
    state.putSegment(segment);
  }
}

/** Tombstones a segment in any state: every place that may hold bytes of it has to confirm, LOST ones aside. */
export function tombstone(state: MutableMetadata, segment: SegmentRecord): void {
  const waiting: ReplicaPlace[] = placesOf(segment).filter((place) => state.isRegistered(place));
  putOrRemove(state, { ...segment, state: 'DELETED', partialPlaces: [], formerPlaces: waiting });
}

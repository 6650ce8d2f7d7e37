/**
 * Which segments a log start that moved takes along (DESIGN S3, ADR 0111). A sealed segment gets its tombstone only
 * when a later sealed one has records: that one then holds a snapshot of the producers' state, which the next
 * leader begins with. Without it a late retry would be stored twice. So the bytes may follow one roll later.
 */
import { assertDefined } from '../../../base/assert.ts';
import type { MutableMetadata, MutablePartition } from '../mutableMetadata.ts';
import { newestSnapshotAt, nextBaseOffset } from '../queries.ts';
import { tombstone } from './deletion.ts';

/** Tombstones the segments below a partition's start that nobody needs any more. */
export function dropBelowStart(state: MutableMetadata, partition: MutablePartition): void {
  const { logStartOffset, segments } = partition;
  const newest = newestSnapshotAt(state, segments);
  let count = 0;
  for (const id of segments.slice(0, newest)) {
    const segment = assertDefined(state.segments.get(id), `Segment ${id} must be there`);
    // A hole after the segment goes with it: the first segment that is kept holds the start, or begins there.
    if (nextBaseOffset(segment) > logStartOffset) break;
    tombstone(state, segment);
    count += 1;
  }
  segments.splice(0, count);
}

/** ConfirmDeleted: a disk holds nothing any more of segments that it was told to delete. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_SEGMENTS_PER_CONFIRMATION } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import { putOrRemove } from './deletion.ts';

/**
 * Takes a disk off the lists of former places. Segments that do not wait for it (a repeat, or one that is gone)
 * are passed over: a confirmation never says more than was asked.
 */
export function confirmDeleted(
  state: MutableMetadata,
  command: CommandOf<'ConfirmDeleted'>,
): ApplyResult {
  const { segmentIds, diskId } = command;
  if (segmentIds.length > MAX_SEGMENTS_PER_CONFIRMATION) {
    return refuse(
      'TOO_LARGE',
      `Cannot confirm ${segmentIds.length} deletions at once: up to ` +
        `${MAX_SEGMENTS_PER_CONFIRMATION} are taken`,
    );
  }
  for (const id of segmentIds) {
    const segment = state.segments.get(id);
    const formerPlaces = segment?.formerPlaces.filter((place) => place.diskId !== diskId);
    if (segment === undefined || formerPlaces?.length === segment.formerPlaces.length) continue;
    putOrRemove(state, { ...segment, formerPlaces: formerPlaces ?? [] });
  }
  return done();
}

/** When a segment is full, and how far it grows at most. Pure. */
import type { Metrics } from '../metrics.ts';
import { SEGMENT_ENTRIES_MAX } from '../replication/segmentLeader.ts';
import type { ClusterConfig } from '../state/types.ts';

/** Why a segment is closed: full, old, for a better ensemble, or because its node is drained. */
export type RollReason = Parameters<Metrics['rolled']>[0];

/**
 * Why a segment is to be closed now; null: it is not full.
 * @param hasRoom - Whether the metadata have room for a successor: without, a close is refused, and a leader that is
 *   frozen for it never goes on (a recovery does).
 */
export function whyFull(
  { entries, sizeBytes }: { readonly entries: number; readonly sizeBytes: number },
  {
    maxSegmentEntries,
    maxSegmentBytes,
  }: Pick<ClusterConfig, 'maxSegmentEntries' | 'maxSegmentBytes'>,
  hasRoom: boolean,
): RollReason | null {
  if (entries >= SEGMENT_ENTRIES_MAX) return 'entries';
  if (!hasRoom) return null;
  if (entries >= maxSegmentEntries) return 'entries';
  return sizeBytes >= maxSegmentBytes ? 'bytes' : null;
}

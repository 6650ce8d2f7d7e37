/** Which cluster settings are accepted. */
import { GIB, isCount } from '../../../base/units.ts';
import { refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { ClusterConfig } from '../types.ts';

/** How many voters the metadata may have. */
export const VOTER_COUNTS: readonly number[] = [1, 3, 5, 7];
const MAX_SEGMENT_ENTRIES = 1_000_000_000;
const MAX_SEGMENT_BYTES = 1024 * GIB;
const MAX_SEGMENT_AGE_MS = 10 * 365 * 24 * 3600 * 1000;

/** Why a configuration is refused, or null. */
export function checkConfig(config: ClusterConfig): Refusal | null {
  if (!VOTER_COUNTS.includes(config.metadataVoters)) {
    return refuse(
      'INVALID_CONFIG',
      `Cannot use ${config.metadataVoters} metadata voters: it must be 1, 3, 5 or 7`,
    );
  }
  const bounds: readonly (readonly [string, number, number])[] = [
    ['maxSegmentEntries', config.maxSegmentEntries, MAX_SEGMENT_ENTRIES],
    ['maxSegmentBytes', config.maxSegmentBytes, MAX_SEGMENT_BYTES],
    ['maxSegmentAgeMs', config.maxSegmentAgeMs, MAX_SEGMENT_AGE_MS],
  ];
  for (const [name, value, max] of bounds) {
    if (!isCount(value) || value < 1 || value > max) {
      return refuse('INVALID_CONFIG', `Cannot use ${name} ${value}: it must be in 1..${max}`);
    }
  }
  return null;
}

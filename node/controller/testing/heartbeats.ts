/** What a healthy node says of itself, for tests. */
import { logIndex } from '../../../base/units.ts';
import type { HeartbeatRequest } from '../../../protocol/peer/requests.ts';
import type { ReplicaPlace } from '../../state/types.ts';

export function heartbeatOf(
  at: ReplicaPlace,
  change: Partial<HeartbeatRequest> = {},
): HeartbeatRequest {
  return {
    ...at,
    bootEpoch: 1,
    appliedIndex: logIndex(0),
    isDiskWritable: true,
    isDiskFull: false,
    usedBytes: 0,
    isDraining: false,
    damagedSegmentIds: [],
    incompleteCopies: 0,
    isCatchingUp: false,
    behindNodeIds: [],
    unledSegmentIds: [],
    ...change,
  };
}

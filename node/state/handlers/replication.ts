/** Which replication settings there are (DESIGN section 2, "Settings"). */
import type { Replication } from '../types.ts';

const ACK_QUORUM_OF: Readonly<Record<number, number>> = { 1: 1, 3: 2, 5: 3 };

/** Whether R/W is one of 1/1, 3/2 and 5/3. */
export function isSupportedReplication(replication: Replication): boolean {
  return ACK_QUORUM_OF[replication.replicas] === replication.ackQuorum;
}

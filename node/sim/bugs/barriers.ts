/** Files that bugs are planted in, what several of them break, and changes that several of them need. */
import type { SourceChange } from '../../../base/testing/plant.ts';
import type { PlantedBug } from './types.ts';

export const LEADER = 'node/replication/segmentLeader.ts';
export const HOST = 'node/replication/replicaHost.ts';
export const RECOVERY = 'node/controller/recovery.ts';
export const EVIDENCE = 'node/controller/evidence.ts';
export const COPIES = 'node/controller/recoveryCopies.ts';
export const MANAGER = 'node/controller/segmentManager.ts';

/** How the loss of what was acknowledged shows: the offset names another record, or none. */
export const LOSS: PlantedBug['foundBy'] = ['AcknowledgedNotLost', 'OffsetNeverReused'];

/** Barriers that safety does not rest on: the clock of the lease, and what a member's metadata happens to say. */
export const WITHOUT_LEASE: SourceChange = {
  file: MANAGER,
  find: 'return session.isFresh && current !== undefined && this.#isMine(current);',
  replace: 'return session !== undefined && (current === undefined || true);',
};
/** The property that then does not hold, of course, and would be found first. */
export const LEASE_NOT_CHECKED: SourceChange = {
  file: 'node/sim/checkers/leaseHeld.ts',
  find: 'if (outcome !== null && !isFresh()) {',
  replace: 'if (outcome !== null && !isFresh() && node.nodeId < 0) {',
};
/** Assertions that would find what they are about before it does harm. */
export const WITHOUT_TAIL_ASSERTION: SourceChange = {
  file: LEADER,
  find: "assert(ack.durableTail <= this.#replica.tail, 'A member never holds more than its leader');",
  replace:
    'if (ack.durableTail > this.#replica.tail) ack = { ...ack, durableTail: this.#replica.tail };',
};
export const WITHOUT_SEAL_ASSERTION: SourceChange = {
  file: LEADER,
  find: "assert(keepsCommitted, 'A clean seal never ends below what was committed');",
  replace: '',
};
export const WITHOUT_SUSPENSION: SourceChange = {
  file: MANAGER,
  find: "case 'RECOVERING':\n        leader?.suspend();",
  replace: "case 'RECOVERING':",
};
export const WITHOUT_METADATA_CHECK: SourceChange = {
  file: HOST,
  find: "if (segment.state !== 'OPEN') return 'FENCED';",
  replace: '',
};

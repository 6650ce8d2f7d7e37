/**
 * How a segment's record may change: OPEN -> RECOVERING -> SEALED -> DELETED, skipping forward only. Checked at
 * every change, in production too, whatever the handlers believe.
 */
import { assert } from '../../base/assert.ts';
import type { SegmentRecord, SegmentState } from './types.ts';

const RANK: Readonly<Record<SegmentState, number>> = {
  OPEN: 0,
  RECOVERING: 1,
  SEALED: 2,
  DELETED: 3,
};

/** @throws {AssertionError} When a record changes in a way that no rule allows. */
export function assertTransition(before: SegmentRecord, after: SegmentRecord): void {
  const what = `Segment ${before.segmentId}`;
  assert(RANK[after.state] >= RANK[before.state], `${what}: ${before.state} -> ${after.state}`);
  assert(
    before.topicId === after.topicId &&
      before.partition === after.partition &&
      before.baseOffset === after.baseOffset &&
      before.token === after.token &&
      before.leader.diskId === after.leader.diskId &&
      before.leaderBootEpoch === after.leaderBootEpoch &&
      before.ackQuorum === after.ackQuorum,
    `${what}: what it was opened with must not change`,
  );
  assert(after.epoch >= before.epoch, `${what}: its recovery epoch must not fall`);
  if (before.state === 'OPEN' && after.state === 'RECOVERING') {
    assert(after.epoch > before.epoch, `${what}: a recovery must have a higher epoch`);
  }
  if (RANK[before.state] >= RANK.SEALED) assertSealedStays(before, after);
  else if (RANK[after.state] < RANK.SEALED) assertEnsembleStays(before, after);
}

/** The end and the digest are decided once (DESIGN S1). */
function assertSealedStays(before: SegmentRecord, after: SegmentRecord): void {
  assert(
    after.endOffset === before.endOffset &&
      after.digest === before.digest &&
      after.lossy?.to === before.lossy?.to,
    `Segment ${before.segmentId}: a sealed end must not change`,
  );
}

/** W6: the ensemble of a segment that is not sealed never changes. */
function assertEnsembleStays(before: SegmentRecord, after: SegmentRecord): void {
  const isSame =
    before.ensemble.length === after.ensemble.length &&
    before.ensemble.every((place, i) => place.diskId === after.ensemble[i]?.diskId);
  assert(isSame, `Segment ${before.segmentId}: the ensemble of an open segment must not change`);
  assert(after.endOffset === null, `Segment ${before.segmentId}: only a sealed one has an end`);
}

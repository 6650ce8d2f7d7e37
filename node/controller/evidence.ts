/** What members answer to a fence, and what may be concluded from it (DESIGN R3, R4). Pure. */
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import type { ReplicaTail } from '../storage/types.ts';

/** A member's answer to the fence. */
export interface Evidence extends ReplicaTail {
  readonly place: ReplicaPlace;
  /** S4: what is sound of a damaged copy. That is no evidence, and for an unclean seal only. */
  readonly isDamaged?: boolean;
}

/** F = n - W + 1: with so many answers, one of them is of a disk that held whatever was acknowledged. */
export function evidenceNeeded(segment: SegmentRecord): number {
  return segment.ensemble.length - segment.ackQuorum + 1;
}

/**
 * Copies that end at the same offset hold the same bytes: all come from one leader. When they do not, some are wrong
 * though each has the right checksums. Those that have not most of them on their side are UNKNOWN.
 */
export function consistent(evidence: readonly Evidence[]): readonly Evidence[] {
  return evidence.filter(({ tail, digest }) => {
    const sameTail = evidence.filter((other) => other.tail === tail);
    const sameDigest = sameTail.filter((other) => other.digest === digest);
    return 2 * sameDigest.length > sameTail.length;
  });
}

/** R4: the answer with the highest tail. */
export function highest(evidence: readonly Evidence[]): Evidence {
  return evidence.reduce((best, next) => (next.tail > best.tail ? next : best));
}

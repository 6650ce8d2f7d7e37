/**
 * DESIGN D1, S2: once faults stop, every replica of a sealed segment is whole again: nothing is missing, nothing is
 * damaged, and it is what was sealed. Reads the copies with all their checksums, past what the nodes know of them.
 */
import { isWalrusError } from '../../../base/errors.ts';
import { sealedSegmentsOn } from '../../state/queries.ts';
import type { SegmentRecord } from '../../state/types.ts';
import type { Replica } from '../../storage/types.ts';
import { Violation } from '../history.ts';
import type { SimCluster } from '../simCluster.ts';

const SLICE_BYTES = 1024 * 1024;

type Problem = (replica: Replica | undefined, segment: SegmentRecord) => string | null;

/** What its node knows to be wrong with a copy. */
function namedProblem(replica: Replica | undefined, segment: SegmentRecord): string | null {
  const { baseOffset, endOffset } = segment;
  if (replica !== undefined && replica.damage !== null) return replica.damage.message;
  // Of an empty segment there is nothing to have.
  const tail = replica?.tail ?? baseOffset;
  return endOffset !== null && tail < endOffset ? `it ends at ${tail}` : null;
}

/** What is wrong with a copy, known or not. */
function anyProblem(replica: Replica | undefined, segment: SegmentRecord): string | null {
  const named = namedProblem(replica, segment);
  const { endOffset, digest } = segment;
  if (named !== null || replica === undefined || endOffset === null) return named;
  try {
    for (let at = replica.baseOffset; at < endOffset;) {
      at = replica.scrub(at, SLICE_BYTES).nextOffset;
    }
    const found = replica.damage === null ? replica.digestAt(endOffset) : null;
    return found === digest ? null : `its digest is ${found ?? 'none'}, sealed is ${digest ?? ''}`;
  } catch (error) {
    if (!isWalrusError(error)) throw error;
    return `unnoticed: ${error.message}`;
  }
}

function firstProblem({ machines }: SimCluster, problemOf: Problem): string | null {
  for (const { nodeId, parts } of machines) {
    if (parts === null) return `node ${nodeId} is down`;
    for (const segment of sealedSegmentsOn(parts.metadata.metadata, parts.self.diskId)) {
      const problem = problemOf(parts.host.replica(segment.segmentId), segment);
      if (problem !== null) return `node ${nodeId}, segment ${segment.segmentId}: ${problem}`;
    }
    const [damaged] = parts.storage.damaged();
    if (damaged !== undefined) return `node ${nodeId}, segment ${damaged}: it is damaged`;
  }
  return null;
}

/** The first copy of which its node knows that it is not whole, or a node that is down; null: none. */
export function firstNamedCopy(cluster: SimCluster): string | null {
  return firstProblem(cluster, namedProblem);
}

/** The first copy that is not whole; null: none. A copy that is found damaged by this is noted as such. */
export function firstBadCopy(cluster: SimCluster): string | null {
  return firstProblem(cluster, anyProblem);
}

/** @throws {Violation} CopiesWhole */
export function checkCopiesWhole(cluster: SimCluster): void {
  const problem = firstBadCopy(cluster);
  if (problem !== null) throw new Violation('CopiesWhole', problem);
}

/**
 * Places for new segments, as the metadata leader sees the cluster. What it has planned counts as load from then on: many
 * segments are recovered at once, and none of their successors is in the metadata yet when the next one is planned.
 */
import type { Random } from '../../base/random.ts';
import type { SegmentId } from '../../base/units.ts';
import type { OpenPlan } from '../state/commands.ts';
import { isUnsealed } from '../state/queries.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import type { Replication, ReplicaPlace, SegmentRecord } from '../state/types.ts';
import { gatherCandidates, planOpen } from './candidates.ts';
import { replicationOf } from './failureDetector.ts';
import { withSegment } from './placement.ts';
import type { Candidate } from './placement.ts';
import type { Sessions } from './sessions.ts';
import type { MetadataService } from './types.ts';

export class Planner {
  readonly #metadata: MetadataService;
  readonly #sessions: Sessions;
  readonly #random: Random;
  /** The plan for the successor of each segment that is not sealed as far as this node has applied. */
  readonly #plans = new Map<SegmentId, OpenPlan>();

  constructor(metadata: MetadataService, sessions: Sessions, random: Random) {
    this.#metadata = metadata;
    this.#sessions = sessions;
    this.#random = random;
  }

  /** Forgets what was planned: this node begins to lead the metadata. */
  begin(): void {
    this.#plans.clear();
  }

  /** The disks, with the load that is planned. */
  candidates(): readonly Candidate[] {
    const { metadata } = this.#metadata;
    let candidates: readonly Candidate[] = gatherCandidates(metadata, this.#sessions);
    for (const [segmentId, plan] of this.#plans) {
      const segment = openSegment(metadata, segmentId);
      if (segment === null) this.#plans.delete(segmentId);
      else candidates = withSegment(candidates, plan, segment.leader);
    }
    return candidates;
  }

  /**
   * Plans a segment's successor. A leader that closes hands its partition on; after a recovery the load alone decides.
   * @throws {WalrusError} NOT_ENOUGH_REPLICAS
   */
  successor(segment: SegmentRecord): OpenPlan {
    this.#plans.delete(segment.segmentId);
    const replication = replicationOf(this.#metadata.metadata, segment);
    const previous = { leader: segment.leader.nodeId, isAvoided: segment.state === 'OPEN' };
    const plan = planOpen(this.candidates(), { replication, previous }, this.#random);
    this.#plans.set(segment.segmentId, plan);
    return plan;
  }

  /**
   * Plans the first segments of a topic.
   * @throws {WalrusError} NOT_ENOUGH_REPLICAS
   */
  topic(partitionCount: number, replication: Replication): readonly OpenPlan[] {
    let candidates = this.candidates();
    return Array.from({ length: partitionCount }, () => {
      const plan = planOpen(candidates, { replication, previous: null }, this.#random);
      candidates = withSegment(candidates, plan, null);
      return plan;
    });
  }

  /** Healthy disks for a copy of a segment, those on nodes without one first. */
  freshPlaces(segment: SegmentRecord): readonly ReplicaPlace[] {
    const nodes = new Set(segment.ensemble.map((place) => place.nodeId));
    return this.candidates()
      .filter((candidate) => candidate.isHealthy)
      .sort((a, b) => Number(nodes.has(a.place.nodeId)) - Number(nodes.has(b.place.nodeId)))
      .map((candidate) => candidate.place);
  }
}

function openSegment(metadata: IndexedMetadata, segmentId: SegmentId): SegmentRecord | null {
  const segment = metadata.segments.get(segmentId);
  return segment !== undefined && isUnsealed(segment) ? segment : null;
}

/**
 * What the metadata leader finds wrong with segments: leaders that are gone, recoveries that nobody runs, ensembles
 * that could be better. Pure over the metadata and the sessions; the controller acts.
 */
import type { DamagedCopy } from '../../protocol/peer/requests.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import {
  recoveringSegments,
  registeredDisk,
  segmentsLedBy,
  underReplicatedSegments,
  unsealedSegmentsOn,
} from '../state/queries.ts';
import type { NodeRecord, Replication, SegmentRecord } from '../state/types.ts';
import { isBetterEnsemblePossible } from './placement.ts';
import type { Candidate } from './placement.ts';
import type { Sessions } from './sessions.ts';

/** Whether a node can lead: alive, on its registered disk, and that can be written. */
export function canLead(metadata: IndexedMetadata, sessions: Sessions, node: NodeRecord): boolean {
  if (registeredDisk(metadata, node) === undefined || !sessions.isAlive(node.nodeId)) return false;
  const beat = sessions.beatOf(node.nodeId);
  return beat === null || beat.isDiskWritable; // not heard yet: it has its time-out
}

/**
 * Segments to be recovered now: of nodes that cannot lead, of earlier boots (W1), of leaders whose own copy is
 * damaged, and recoveries that were begun.
 * @param isBootChecked - Whether a node's segments were looked at since its last registration.
 */
export function segmentsToRecover(
  metadata: IndexedMetadata,
  sessions: Sessions,
  isBootChecked: (node: NodeRecord) => boolean,
): SegmentRecord[] {
  const found = new Map<number, SegmentRecord>();
  for (const node of metadata.nodes.values()) {
    const isAble = canLead(metadata, sessions, node);
    if (isAble && isBootChecked(node)) continue;
    const disk = registeredDisk(metadata, node);
    for (const segment of segmentsLedBy(metadata, node.nodeId)) {
      const isThisBoot =
        segment.leader.diskId === disk?.diskId && segment.leaderBootEpoch === disk.bootEpoch;
      if (!isAble || !isThisBoot) found.set(segment.segmentId, segment);
    }
  }
  for (const segment of recoveringSegments(metadata)) found.set(segment.segmentId, segment);
  for (const segment of ledFromDamage(metadata, sessions)) found.set(segment.segmentId, segment);
  return [...found.values()].sort((a, b) => a.segmentId - b.segmentId);
}

/** Open segments whose leader's own copy is damaged: it can neither serve nor copy to others what it cannot read. */
function ledFromDamage(metadata: IndexedMetadata, sessions: Sessions): SegmentRecord[] {
  return sessions.damagedCopies().flatMap(({ nodeId, segmentId }) => {
    const segment = metadata.segments.get(segmentId);
    return segment?.state === 'OPEN' && segment.leader.nodeId === nodeId ? [segment] : [];
  });
}

/**
 * Open segments, with leaders that are well, that a roll would give more or healthier members (W6, W7), or a leader
 * that does not drain; or of which a member's copy is damaged: only once it is sealed it can be copied anew.
 */
export function segmentsToRoll(
  metadata: IndexedMetadata,
  candidates: readonly Candidate[],
  damagedCopies: readonly DamagedCopy[],
): SegmentRecord[] {
  const damaged = new Set(damagedCopies.map(({ segmentId }) => segmentId));
  const suspects = new Map<number, SegmentRecord>();
  for (const segment of underReplicatedSegments(metadata)) suspects.set(segment.segmentId, segment);
  for (const candidate of candidates) {
    if (candidate.isHealthy) continue;
    for (const segment of unsealedSegmentsOn(metadata, candidate.place.diskId)) {
      suspects.set(segment.segmentId, segment);
    }
  }
  for (const segmentId of damaged) {
    const segment = metadata.segments.get(segmentId);
    if (segment !== undefined) suspects.set(segmentId, segment);
  }
  const leaving = new Set(ledByDraining(metadata, candidates));
  for (const segment of leaving) suspects.set(segment.segmentId, segment);
  return [...suspects.values()]
    .filter((segment) => segment.state === 'OPEN')
    .filter(
      (segment) =>
        damaged.has(segment.segmentId) ||
        leaving.has(segment) ||
        isBetterEnsemblePossible(candidates, segment.ensemble, replicationOf(metadata, segment)),
    )
    .sort((a, b) => a.segmentId - b.segmentId);
}

/** Segments of nodes that drain, where another one could lead: it is preferred by the placement. */
function ledByDraining(
  metadata: IndexedMetadata,
  candidates: readonly Candidate[],
): readonly SegmentRecord[] {
  if (!candidates.some(({ isHealthy, isDraining }) => isHealthy && !isDraining)) return [];
  return candidates
    .filter(({ isDraining }) => isDraining)
    .flatMap(({ place }) => segmentsLedBy(metadata, place.nodeId));
}

/** What the segment's topic asks for. */
export function replicationOf(metadata: IndexedMetadata, segment: SegmentRecord): Replication {
  const topic = metadata.topics.get(segment.topic);
  if (topic?.topicId === segment.topicId) return topic.replication;
  return { replicas: segment.ensemble.length, ackQuorum: segment.ackQuorum };
}

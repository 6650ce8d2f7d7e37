/**
 * What the metadata leader finds wrong with segments: leaders that are gone, recoveries that nobody runs, ensembles
 * that could be better. Pure over the metadata and the sessions; the controller acts.
 */
import type { SegmentId } from '../../base/units.ts';
import type { DamagedCopy } from '../../protocol/peer/requests.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import {
  partitionRecord,
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

/** Between two leaders that cannot begin, in one partition: no recovery helps while no node can. */
const REPLACE_PAUSE_MS_MIN = 1000;
const REPLACE_PAUSE_MS_MAX = 64_000;

/** Whether a node can lead: alive, on its registered disk, and that can be written. */
export function canLead(metadata: IndexedMetadata, sessions: Sessions, node: NodeRecord): boolean {
  if (registeredDisk(metadata, node) === undefined || !sessions.isAlive(node.nodeId)) return false;
  const beat = sessions.beatOf(node.nodeId);
  return beat === null || beat.isDiskWritable; // not heard yet: it has its time-out
}

/**
 * Segments to be recovered now: of nodes that cannot lead, of earlier boots (W1), of leaders that cannot go on, and
 * recoveries that were begun.
 * @param isBootChecked - Whether a node's segments were looked at since its last registration.
 * @param nowMs - The time since 1970.
 */
export function segmentsToRecover(
  metadata: IndexedMetadata,
  sessions: Sessions,
  isBootChecked: (node: NodeRecord) => boolean,
  nowMs: number,
): SegmentRecord[] {
  const found = new Map<number, SegmentRecord>();
  for (const node of metadata.nodes.values()) {
    const isAble = canLead(metadata, sessions, node);
    if (isAble && isBootChecked(node)) continue;
    for (const segment of segmentsLedBy(metadata, node.nodeId)) {
      if (!isAble || !isOfThisBoot(metadata, node, segment)) found.set(segment.segmentId, segment);
    }
  }
  for (const segment of recoveringSegments(metadata)) found.set(segment.segmentId, segment);
  for (const segment of ledInVain(metadata, sessions, nowMs)) found.set(segment.segmentId, segment);
  return [...found.values()].sort((a, b) => a.segmentId - b.segmentId);
}

/** Whether the segment's leader is this start of the node. */
function isOfThisBoot(
  metadata: IndexedMetadata,
  node: NodeRecord,
  { leader, leaderBootEpoch }: SegmentRecord,
): boolean {
  const disk = registeredDisk(metadata, node);
  return leader.diskId === disk?.diskId && leaderBootEpoch === disk.bootEpoch;
}

/** Whether what was found to be recovered still is; what its leader says of it itself is found anew in each pass. */
export function isToBeRecovered(
  metadata: IndexedMetadata,
  sessions: Sessions,
  segment: SegmentRecord,
): boolean {
  if (segment.state !== 'OPEN') return segment.state === 'RECOVERING';
  const node = metadata.nodes.get(segment.leader.nodeId);
  if (node === undefined || !canLead(metadata, sessions, node)) return true;
  return !isOfThisBoot(metadata, node, segment);
}

/**
 * Open segments whose leader cannot go on, as its own node says: its copy is damaged, so that it can neither serve nor copy
 * to others what it cannot read; or it is frozen, or could not begin.
 */
function ledInVain(
  metadata: IndexedMetadata,
  sessions: Sessions,
  nowMs: number,
): readonly SegmentRecord[] {
  const found: SegmentRecord[] = [];
  for (const { nodeId } of metadata.nodes.values()) {
    const beat = sessions.beatOf(nodeId);
    const led = (ids: readonly SegmentId[] = []): SegmentRecord[] =>
      ids
        .map((id) => metadata.segments.get(id))
        .filter((segment) => segment?.state === 'OPEN' && segment.leader.nodeId === nodeId)
        .filter((segment) => segment !== undefined);
    const isDue = (segment: SegmentRecord): boolean => {
      const ageMs = nowMs - segment.openedAtMs;
      return ageMs < 0 || ageMs >= replacePauseMs(metadata, segment); // below 0: the clock was put back
    };
    found.push(...led(beat?.damagedSegmentIds), ...led(beat?.unledSegmentIds).filter(isDue));
  }
  return found;
}

/** How long a leader may fail to begin: twice as long after each that failed before it and left its segment empty. */
function replacePauseMs(metadata: IndexedMetadata, segment: SegmentRecord): number {
  const ids = partitionRecord(metadata, segment.topic, segment.partition)?.segments ?? [];
  let pauseMs = 0;
  for (let at = ids.lastIndexOf(segment.segmentId) - 1; at >= 0; at -= 1) {
    const id = ids[at];
    const earlier = id === undefined ? undefined : metadata.segments.get(id);
    if (earlier === undefined || earlier.endOffset !== earlier.baseOffset) break;
    if (pauseMs >= REPLACE_PAUSE_MS_MAX) break;
    pauseMs = Math.min(Math.max(2 * pauseMs, REPLACE_PAUSE_MS_MIN), REPLACE_PAUSE_MS_MAX);
  }
  return pauseMs;
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

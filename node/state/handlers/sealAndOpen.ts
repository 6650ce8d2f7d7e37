/**
 * SealAndOpen: a leader's close or a recovery's end (DESIGN R6), and the successor's opening, in one step.
 * The end and the digest that it writes never change again.
 *
 * A repeat: when the segment is SEALED already with the same end, digest and hole, the result is ok with the
 * successor that is there and `isRepeat`. So a proposer whose first try had an unknown outcome learns that its
 * seal, or one equal to it, won. The successor may be another one than it proposed: compare its token. With any
 * other end or digest the result is CONFLICT: the records beyond the end in the metadata were never acknowledged.
 */
import { assert, assertDefined } from '../../../base/assert.ts';
import { isCount } from '../../../base/units.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_SEGMENTS, MAX_SEGMENTS_PER_PARTITION } from '../limits.ts';
import type { MutableMetadata, MutableTopic } from '../mutableMetadata.ts';
import { nextBaseOffset, successorOf } from '../queries.ts';
import { accept, refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { LossyRange, ReplicaPlace, SegmentRecord } from '../types.ts';
import { isDigest } from './names.ts';
import { checkPlan, openSegment } from './openPlan.ts';
import { areSamePlaces, checkDistinctNodes, checkRegistered, placesWithout } from './places.ts';
import { dropBelowStart } from './retention.ts';

type SealAndOpen = CommandOf<'SealAndOpen'>;

/** Seals a segment and opens its successor; the value is both. */
export function sealAndOpen(state: MutableMetadata, command: SealAndOpen): ApplyResult {
  const segment = state.segments.get(command.segmentId);
  if (segment === undefined) {
    return refuse(
      'SEGMENT_NOT_FOUND',
      `Cannot seal segment ${command.segmentId}: it does not exist`,
    );
  }
  if (segment.state === 'SEALED') return repeated(state, segment, command);
  const refusal =
    checkExpectation(segment, command) ??
    checkEnd(segment, command) ??
    checkReplicas(state, segment, command);
  if (refusal !== null) return refusal;
  const topic = topicOf(state, segment);
  const planRefusal =
    checkRoom(state, segment, command) ?? checkPlan(state, command.next, topic.replication);
  if (planRefusal !== null) return planRefusal;
  return seal(state, segment, command);
}

function repeated(
  state: MutableMetadata,
  segment: SegmentRecord,
  command: SealAndOpen,
): ApplyResult {
  const isEqual =
    segment.endOffset === command.endOffset &&
    segment.digest === command.digest &&
    isSameHole(segment.lossy, command.lossy);
  if (!isEqual) {
    return refuse(
      'CONFLICT',
      `Cannot seal segment ${segment.segmentId} at ${command.endOffset}: it is sealed at ` +
        `${segment.endOffset ?? 'no offset'} with digest ${segment.digest ?? 'none'}`,
    );
  }
  const next = assertDefined(successorOf(state, segment), 'A sealed segment must have a successor');
  const { segmentId } = segment;
  return accept({ type: 'Segment', segmentId, nextSegmentId: next.segmentId, isRepeat: true });
}

function isSameHole(a: LossyRange | null, b: LossyRange | null): boolean {
  return a?.from === b?.from && a?.to === b?.to;
}

function topicOf(state: MutableMetadata, segment: SegmentRecord): MutableTopic {
  return assertDefined(
    state.topics.get(segment.topic),
    `Segment ${segment.segmentId} must have its topic`,
  );
}

/** The compare in compare-and-set: nothing may have come between. */
function checkExpectation(segment: SegmentRecord, command: SealAndOpen): Refusal | null {
  const { expected } = command;
  const isMet =
    segment.state === expected.state &&
    (expected.state === 'OPEN'
      ? segment.token === expected.token
      : segment.epoch === expected.epoch);
  if (isMet) return null;
  const wanted =
    expected.state === 'OPEN' ? 'OPEN with its token' : `RECOVERING with epoch ${expected.epoch}`;
  return refuse(
    'CONFLICT',
    `Cannot seal segment ${segment.segmentId}: it is ${segment.state} with epoch ` +
      `${segment.epoch}, not ${wanted}`,
  );
}

function checkEnd(segment: SegmentRecord, command: SealAndOpen): Refusal | null {
  const { endOffset, digest, lossy } = command;
  if (!isDigest(digest)) {
    return refuse('MALFORMED', 'Cannot seal a segment: a digest is 16 lower-case hex digits');
  }
  if (!isCount(endOffset) || endOffset < segment.baseOffset) {
    return refuse(
      'MALFORMED',
      `Cannot seal segment ${segment.segmentId} at ${endOffset}: it begins at ` +
        `${segment.baseOffset}`,
    );
  }
  if (lossy === null) return null;
  const isHole = lossy.from === endOffset && isCount(lossy.to) && lossy.to >= lossy.from;
  if (command.expected.state === 'RECOVERING' && isHole) return null;
  return refuse(
    'MALFORMED',
    `Cannot seal segment ${segment.segmentId} with a hole: only an unclean recovery has one, ` +
      'from its end on',
  );
}

function checkReplicas(
  state: MutableMetadata,
  segment: SegmentRecord,
  command: SealAndOpen,
): Refusal | null {
  const { replicas, expected } = command;
  return (
    checkDistinctNodes(replicas) ??
    (expected.state === 'OPEN'
      ? checkUnchanged(segment, replicas)
      : checkRecovered(state, segment, replicas)) ??
    checkQuorum(state, segment, replicas)
  );
}

/** W6: the leader closes the ensemble that it opened. */
function checkUnchanged(segment: SegmentRecord, replicas: readonly ReplicaPlace[]): Refusal | null {
  if (areSamePlaces(replicas, segment.ensemble)) return null;
  return refuse(
    'MALFORMED',
    `Cannot close segment ${segment.segmentId}: its replicas must be its ensemble`,
  );
}

/** R5: original members or fresh disks. None has been told to delete its copy: only a sealed segment drops some. */
function checkRecovered(
  state: MutableMetadata,
  segment: SegmentRecord,
  replicas: readonly ReplicaPlace[],
): Refusal | null {
  const wanted = topicOf(state, segment).replication.replicas;
  if (replicas.length > wanted) {
    return refuse(
      'MALFORMED',
      `Cannot seal segment ${segment.segmentId} on ${replicas.length} disks: it has ${wanted} copies`,
    );
  }
  return checkRegistered(state, replicas);
}

function checkQuorum(
  state: MutableMetadata,
  segment: SegmentRecord,
  replicas: readonly ReplicaPlace[],
): Refusal | null {
  const count = state.registeredCount(replicas);
  if (count >= segment.ackQuorum) return null;
  return refuse(
    'NOT_ENOUGH_REPLICAS',
    `Cannot seal segment ${segment.segmentId} with ${count} copies on registered disks: ` +
      `it needs ${segment.ackQuorum}`,
  );
}

/**
 * A recovery is exempt: refusing it would stop the partition. A leader without room does not close, and its segment grows;
 * one that had begun before is frozen, and a recovery ends it.
 */
function checkRoom(
  state: MutableMetadata,
  segment: SegmentRecord,
  command: SealAndOpen,
): Refusal | null {
  if (command.expected.state === 'RECOVERING') return null;
  if (state.segments.size >= MAX_SEGMENTS) {
    return refuse('LIMIT_REACHED', `Cannot open a segment: a cluster has up to ${MAX_SEGMENTS}`);
  }
  if (state.partitionOf(segment).segments.length >= MAX_SEGMENTS_PER_PARTITION) {
    return refuse(
      'LIMIT_REACHED',
      `Cannot open a segment: a partition has up to ${MAX_SEGMENTS_PER_PARTITION}`,
    );
  }
  return null;
}

function seal(state: MutableMetadata, segment: SegmentRecord, command: SealAndOpen): ApplyResult {
  const { endOffset, digest, replicas, nowMs } = command;
  const topic = topicOf(state, segment);
  const unnamed = placesWithout([...segment.ensemble, ...segment.partialPlaces], replicas).filter(
    (place) => state.isRegistered(place),
  );
  const sealed: SegmentRecord = {
    ...segment,
    state: 'SEALED',
    endOffset,
    digest,
    ensemble: replicas,
    partialPlaces: unnamed,
    isUnderReplicated: replicas.length < topic.replication.replicas,
    sealedAtMs: nowMs,
    lossy: command.lossy,
  };
  assert(
    state.partitionOf(segment).segments.at(-1) === segment.segmentId,
    `Segment ${segment.segmentId} must be its partition's last to be sealed`,
  );
  state.putSegment(sealed);
  const nextSegmentId = openSegment(
    state,
    { topic, partition: segment.partition, baseOffset: nextBaseOffset(sealed), nowMs },
    command.next,
  );
  // The sealed one may be the snapshot that a deletion has waited for.
  dropBelowStart(state, state.partitionOf(segment));
  const { segmentId } = segment;
  return accept({ type: 'Segment', segmentId, nextSegmentId, isRepeat: false });
}

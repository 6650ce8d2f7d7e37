/**
 * What must hold over the whole history of accepted commands, kept apart from the code under test: it looks at
 * the commands and at the records before and after, and remembers what was promised.
 */
import { assert, assertDefined } from '../../../base/assert.ts';
import type { SegmentId } from '../../../base/units.ts';
import type { ApplyResult, Command, CommandOf, OpenPlan } from '../commands.ts';
import type { DiskRecord, Metadata, SegmentRecord } from '../types.ts';

interface SealedEnd {
  readonly key: string;
  readonly base: number;
  readonly end: number;
  readonly digest: string;
}

/** The parts of a state that a command may change, copied before it. */
export interface Before {
  readonly segments: ReadonlyMap<SegmentId, SegmentRecord>;
  readonly disks: ReadonlyMap<string, DiskRecord>;
}

export class Oracle {
  readonly #sealed = new Map<SegmentId, SealedEnd>();
  /** Ends of the sealed segments by topic id and partition: where the next one has to begin. */
  readonly #handedOut = new Map<string, number>();
  readonly #everOn = new Map<SegmentId, Set<string>>();
  readonly #confirmed = new Map<SegmentId, Set<string>>();
  readonly #tokens = new Map<string, SegmentId>();
  #producerIds = 1;
  #clusterId = '';

  /** Looks at one applied command. */
  check(before: Before, command: Command, result: ApplyResult, after: Metadata): void {
    if (result.ok) this.#checkAccepted(before, command, result, after);
    for (const segment of after.segments.values()) {
      if (before.segments.get(segment.segmentId) !== segment) this.#checkSegment(segment);
    }
    for (const segment of before.segments.values()) {
      if (!after.segments.has(segment.segmentId)) this.#checkRemoved(segment, after);
    }
    for (const disk of before.disks.values()) {
      const now = assertDefined(after.disks.get(disk.diskId), 'A disk must never be forgotten');
      assert(now.nodeId === disk.nodeId, 'A disk must stay with its node');
      assert(now.bootEpoch >= disk.bootEpoch, 'A boot epoch must never fall');
      const isSameBoot = now.bootEpoch === disk.bootEpoch;
      assert(!isSameBoot || now.bootNonce === disk.bootNonce, 'A boot must keep its nonce');
      assert(disk.state !== 'LOST' || now.state === 'LOST', 'A lost disk must stay lost');
    }
  }

  #checkAccepted(before: Before, command: Command, result: ApplyResult, after: Metadata): void {
    if (command.type === 'Bootstrap') {
      assert(this.#clusterId === '', 'A cluster must be bootstrapped once');
      this.#clusterId = command.clusterId;
    }
    if (command.type === 'RegisterNode') checkRegistration(before, command);
    if (command.type === 'BeginRecovery') {
      const segment = assertDefined(before.segments.get(command.segmentId), 'It must be there');
      assert(['OPEN', 'RECOVERING'].includes(segment.state), 'Only an unsealed one is recovered');
      assert(command.epoch > segment.epoch, 'Recovery epochs must rise');
    }
    if (command.type === 'SealAndOpen') checkSeal(before, command, result, after);
    if (command.type === 'CreateTopic') {
      for (const plan of command.plans) checkPlan(before, plan, command.replication.ackQuorum);
    }
    if (command.type === 'ReplaceReplicas') checkReplacement(before, command);
    if (command.type === 'ConfirmDeleted') this.#noteConfirmed(before, command);
    if (command.type !== 'DeleteTopic') checkRetention(before, after);
    if (result.ok && result.value.type === 'ProducerIds') {
      assert(result.value.first >= this.#producerIds, 'A producer id must be given once');
      this.#producerIds = result.value.first + result.value.count;
    }
  }

  #noteConfirmed(before: Before, command: CommandOf<'ConfirmDeleted'>): void {
    for (const id of command.segmentIds) {
      const former = before.segments.get(id)?.formerPlaces ?? [];
      if (!former.some((place) => place.diskId === command.diskId)) continue;
      const confirmed = this.#confirmed.get(id) ?? new Set();
      this.#confirmed.set(id, confirmed.add(command.diskId));
    }
  }

  #checkSegment(segment: SegmentRecord): void {
    const id = segment.segmentId;
    const user = this.#tokens.get(segment.token) ?? id;
    assert(user === id, 'A token must be used once');
    this.#tokens.set(segment.token, id);
    if (segment.state !== 'DELETED') this.#noteHeld(segment);
    if (segment.endOffset === null) return;
    const key = `${segment.topicId}/${segment.partition}`;
    const { baseOffset: base, endOffset: end } = segment;
    const digest = assertDefined(segment.digest, 'A sealed segment must have a digest');
    const promised = this.#sealed.get(id);
    if (promised === undefined) {
      assert(
        base === (this.#handedOut.get(key) ?? 0),
        'Offsets must neither overlap nor leave gaps',
      );
      assert(end >= base, 'A segment must not end before it begins');
      this.#handedOut.set(key, segment.lossy?.to ?? end);
      this.#sealed.set(id, { key, base, end, digest });
    } else {
      const isSame = promised.end === end && promised.digest === digest && promised.base === base;
      assert(isSame && promised.key === key, 'A sealed end must never change');
    }
  }

  /** A disk that is named again after it confirmed holds bytes again. */
  #noteHeld(segment: SegmentRecord): void {
    const id = segment.segmentId;
    const on = this.#everOn.get(id) ?? new Set();
    this.#everOn.set(id, on);
    for (const place of [...segment.ensemble, ...segment.partialPlaces]) {
      on.add(place.diskId);
      this.#confirmed.get(id)?.delete(place.diskId);
    }
  }

  /** DESIGN S3: the record goes only when no disk may hold bytes of it. */
  #checkRemoved(segment: SegmentRecord, after: Metadata): void {
    for (const diskId of this.#everOn.get(segment.segmentId) ?? []) {
      const isLost = after.disks.get(diskId)?.state === 'LOST';
      const hasConfirmed = this.#confirmed.get(segment.segmentId)?.has(diskId) === true;
      assert(isLost || hasConfirmed, `Segment ${segment.segmentId} is forgotten by ${diskId}`);
    }
    this.#everOn.delete(segment.segmentId);
    // A command that waited may still have it; a real token is random, and drawn once.
    this.#tokens.delete(segment.token);
    this.#confirmed.delete(segment.segmentId);
  }
}

function checkRegistration(before: Before, command: CommandOf<'RegisterNode'>): void {
  const { node, bootEpoch, bootNonce } = command;
  const disk = before.disks.get(node.diskId);
  if (disk === undefined) {
    const others = [...before.disks.values()].filter((other) => other.nodeId === node.nodeId);
    assert(
      others.every((other) => other.state === 'LOST'),
      'A new disk must not stand in for one that may be alive',
    );
  } else {
    assert(disk.nodeId === node.nodeId, 'A disk must not move to another node');
    assert(disk.state === 'REGISTERED', 'A lost disk must not come back');
    const isRepeat = bootEpoch === disk.bootEpoch && bootNonce === disk.bootNonce;
    assert(isRepeat || bootEpoch === disk.bootEpoch + 1, 'A boot must be the next or the same');
  }
}

function isRegistered(before: Before, diskId: string): boolean {
  return before.disks.get(diskId)?.state === 'REGISTERED';
}

function checkPlan(before: Before, plan: OpenPlan, ackQuorum: number): void {
  const ids = plan.ensemble.map((place) => place.diskId);
  assert(
    ids.every((id) => isRegistered(before, id)),
    'An ensemble must have no lost disk',
  );
  const nodes = new Set(plan.ensemble.map((place) => place.nodeId));
  assert(nodes.size === ids.length && ids.length >= ackQuorum, 'W copies must be on W nodes');
  assert(ids.includes(plan.leader.diskId), 'A leader must be in its ensemble');
  assert(
    before.disks.get(plan.leader.diskId)?.bootEpoch === plan.leaderBootEpoch,
    'A leader that restarted must not lead',
  );
}

function checkSeal(
  before: Before,
  command: CommandOf<'SealAndOpen'>,
  result: ApplyResult,
  after: Metadata,
): void {
  const segment = assertDefined(before.segments.get(command.segmentId), 'It must be there');
  assert(result.ok && result.value.type === 'Segment', 'A seal gives the segments');
  const { isRepeat, nextSegmentId } = result.value;
  const next = assertDefined(after.segments.get(nextSegmentId), 'There must be a successor');
  if (isRepeat) {
    assert(segment.state === 'SEALED', 'Only a sealed segment is sealed again');
    assert(segment.endOffset === command.endOffset, 'A repeat must be at the same end');
    assert(segment.digest === command.digest, 'A repeat must have the same digest');
    return;
  }
  const { expected } = command;
  assert(segment.state === expected.state, 'A seal must find the state that it expects');
  if (expected.state === 'OPEN') assert(segment.token === expected.token, 'and the token');
  else assert(segment.epoch === expected.epoch, 'and the epoch');
  const registered = command.replicas.filter(({ diskId }) => isRegistered(before, diskId));
  const nodes = new Set(registered.map((place) => place.nodeId));
  assert(nodes.size >= segment.ackQuorum, 'A sealed segment must have W copies');
  assert(next.token === command.next.token && next.state === 'OPEN', 'The next one is the planned');
  assert(next.baseOffset >= command.endOffset, 'No offset may be handed out twice');
  checkPlan(before, command.next, next.ackQuorum);
}

/**
 * ADR 0111: while a topic exists, a segment goes only when a later sealed one that stays has records, and so a
 * snapshot of the producers' state.
 */
function checkRetention(before: Before, after: Metadata): void {
  for (const segment of before.segments.values()) {
    if (segment.state !== 'SEALED' || after.segments.get(segment.segmentId)?.state === 'SEALED')
      continue;
    const ids = after.topics.get(segment.topic)?.partitions[segment.partition]?.segments ?? [];
    const hasSnapshot = ids.some((id) => {
      const other = after.segments.get(id);
      return other?.state === 'SEALED' && (other.endOffset ?? 0) > other.baseOffset;
    });
    assert(hasSnapshot, `Segment ${segment.segmentId} is deleted with the last snapshot`);
  }
}

function checkReplacement(before: Before, command: CommandOf<'ReplaceReplicas'>): void {
  const segment = assertDefined(before.segments.get(command.segmentId), 'It must be there');
  assert(segment.state === 'SEALED', 'An ensemble that is not sealed must not change');
  const now = segment.ensemble.map((place) => place.diskId).sort();
  const expected = command.expected.map((place) => place.diskId).sort();
  assert(now.join() === expected.join(), 'A replacement must find what it expects');
  for (const { diskId } of command.replicas) {
    assert(isRegistered(before, diskId), 'A replica must not be on a lost disk');
    const isFormer = segment.formerPlaces.some((place) => place.diskId === diskId);
    assert(!isFormer, 'A replica must not be on a disk that deletes it');
  }
}

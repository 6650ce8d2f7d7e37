/**
 * Random commands as many proposers would send them: each is made from the state as it is now, waits for a random
 * time in which others overtake it, and may come twice. So expectations are often stale, closes race with
 * recoveries, and nodes restart between a plan and its arrival.
 */
import { assertDefined } from '../../../base/assert.ts';
import { between, chance, pick, randomHex } from '../../../base/random.ts';
import type { Random } from '../../../base/random.ts';
import type { LogIndex } from '../../../base/units.ts';
import { logIndex, nodeId, offset, segmentId } from '../../../base/units.ts';
import type { Command, CommandType, OpenPlan, PositionsCommit } from '../commands.ts';
import type { IndexedMetadata } from '../mutableMetadata.ts';
import type { ReplicaPlace, SegmentRecord } from '../types.ts';
import { CONFIG, nodeRecord } from './fixture.ts';

const NODES = 6;
const TOPICS = ['a', 'b', 'c'];
const GROUPS = ['g', 'h'];
const WAITING = 12;
/** Few ends and digests, so that equal seals come up by chance, too. */
const DIGESTS = ['1'.repeat(16), '2'.repeat(16)];

type Make = (source: CommandSource) => Command | null;

export class CommandSource {
  readonly random: Random;
  readonly state: IndexedMetadata;
  readonly #waiting: Command[] = [];

  /** @param state - Read at each call: the newest state, which the next command is made from. */
  constructor(random: Random, state: IndexedMetadata) {
    this.random = random;
    this.state = state;
  }

  /** The next command to arrive. */
  next(): Command {
    while (this.#waiting.length < WAITING) this.#waiting.push(this.#make());
    const at = chance(this.random, 0.4) ? WAITING - 1 : between(this.random, 0, WAITING - 1);
    const command = assertDefined(this.#waiting[at], 'A command must wait');
    if (!chance(this.random, 0.1)) this.#waiting.splice(at, 1);
    return command;
  }

  #make(): Command {
    for (;;) {
      const command = pick(this.random, WEIGHTED)(this);
      if (command !== null) return command;
    }
  }

  /** A random segment, most often one in a given state. */
  segment(...states: SegmentRecord['state'][]): SegmentRecord | null {
    const all = [...this.state.segments.values()];
    const wanted = all.filter((segment) => states.includes(segment.state));
    const from = chance(this.random, 0.9) ? wanted : all;
    return from.length === 0 ? null : pick(this.random, from);
  }

  /** Random disks on distinct nodes, nearly always registered ones. */
  places(count: number): ReplicaPlace[] {
    const places: ReplicaPlace[] = [];
    for (const disk of this.state.disks.values()) {
      if (disk.state === 'REGISTERED' || chance(this.random, 0.02)) {
        places.push({ nodeId: disk.nodeId, diskId: disk.diskId });
      }
    }
    const chosen: ReplicaPlace[] = [];
    while (chosen.length < count && places.length > 0) {
      chosen.push(...places.splice(between(this.random, 0, places.length - 1), 1));
    }
    return chosen;
  }

  plan(): OpenPlan | null {
    const ensemble = this.places(pick(this.random, [1, 2, 3, 3, 3, 4, 5]));
    if (ensemble.length === 0) return null;
    const others = chance(this.random, 0.97) ? [] : this.places(6);
    const leader = pick(this.random, others.length === 0 ? ensemble : others);
    const used = [...this.state.segmentByToken.keys()];
    const isStolen = used.length > 0 && chance(this.random, 0.03);
    return {
      token: isStolen ? pick(this.random, used) : randomHex(this.random, 16),
      leader,
      leaderBootEpoch: this.state.disks.get(leader.diskId)?.bootEpoch ?? 0,
      ensemble,
    };
  }
}

const makeRegistration: Make = ({ random, state }) => {
  const id = nodeId(between(random, 1, NODES));
  const disks = [...state.disks.values()].filter((disk) => disk.nodeId === id);
  const isNew = disks.length === 0 || chance(random, 0.15);
  const isOwn = state.disks.size === 0 || chance(random, 0.95);
  const known = isOwn ? disks.at(-1) : pick(random, [...state.disks.values()]);
  const diskId = isNew ? randomHex(random, 16) : (known?.diskId ?? randomHex(random, 16));
  const disk = state.disks.get(diskId);
  const bootEpoch = (disk?.bootEpoch ?? 0) + pick(random, [-1, 0, 0, 1, 1, 1, 2]);
  const isRepeat = disk !== undefined && chance(random, 0.3);
  return {
    type: 'RegisterNode',
    node: nodeRecord({ nodeId: id, diskId }),
    bootEpoch: Math.max(0, bootEpoch),
    bootNonce: isRepeat ? disk.bootNonce : randomHex(random, 16),
  };
};

const makeTopic: Make = (source) => {
  const replication = pick(source.random, [
    { replicas: 1, ackQuorum: 1 },
    { replicas: 3, ackQuorum: 2 },
    { replicas: 3, ackQuorum: 2 },
    { replicas: 5, ackQuorum: 3 },
    { replicas: 3, ackQuorum: 1 },
  ]);
  const plans: OpenPlan[] = [];
  for (let i = between(source.random, 1, 3); i > 0; i -= 1) {
    const plan = source.plan();
    if (plan !== null)
      plans.push({ ...plan, ensemble: plan.ensemble.slice(0, replication.replicas) });
  }
  return { type: 'CreateTopic', name: pick(source.random, TOPICS), replication, plans, nowMs: 1 };
};

const makeRecovery: Make = (source) => {
  const segment = source.segment('OPEN', 'RECOVERING');
  if (segment === null) return null;
  const epoch = Math.max(0, segment.epoch + pick(source.random, [-1, 0, 1, 1, 1, 2, 5]));
  return { type: 'BeginRecovery', segmentId: segment.segmentId, epoch };
};

function sealOf(source: CommandSource, segment: SegmentRecord, isClose: boolean): Command | null {
  const { random } = source;
  const next = source.plan();
  if (next === null) return null;
  const end = offset(Math.max(0, segment.baseOffset + pick(random, [-1, 0, 0, 1, 2, 10])));
  const hole = { from: end, to: offset(end + between(random, 0, 5)) };
  const members = chance(random, 0.8) ? segment.ensemble.slice(0, between(random, 1, 3)) : [];
  const recovered = chance(random, 0.3) ? segment.ensemble : [...members, ...source.places(2)];
  return {
    type: 'SealAndOpen',
    segmentId: segment.segmentId,
    expected: isClose
      ? { state: 'OPEN', token: segment.token }
      : { state: 'RECOVERING', epoch: segment.epoch },
    endOffset: end,
    digest: pick(random, DIGESTS),
    replicas: isClose && chance(random, 0.95) ? segment.ensemble : recovered,
    lossy: chance(random, 0.08) ? hole : null,
    next,
    nowMs: 2,
  };
}

const makeClose: Make = (source) => {
  const segment = source.segment('OPEN');
  return segment === null ? null : sealOf(source, segment, true);
};

const makeRecoveredSeal: Make = (source) => {
  const segment = source.segment('RECOVERING');
  return segment === null ? null : sealOf(source, segment, false);
};

const makeReplacement: Make = (source) => {
  const segment = source.segment('SEALED');
  if (segment === null) return null;
  const kept = segment.ensemble.filter(() => chance(source.random, 0.7));
  const replicas = [...kept, ...source.places(between(source.random, 0, 2))];
  const { segmentId: id, ensemble: expected } = segment;
  return { type: 'ReplaceReplicas', segmentId: id, expected, replicas };
};

function copiesOf(type: 'PlanCopies' | 'DropCopies'): Make {
  return (source) => {
    const segment = source.segment('SEALED', 'RECOVERING');
    if (segment === null) return null;
    const places = type === 'PlanCopies' ? source.places(2) : segment.partialPlaces;
    return { type, segmentId: segment.segmentId, places };
  };
}

const makeAdvance: Make = ({ random, state }) => {
  const name = pick(random, TOPICS);
  const topic = state.topics.get(name);
  const partition = between(random, 0, 1);
  const ids = topic?.partitions[partition]?.segments ?? [];
  if (topic === undefined || ids.length === 0) return null;
  const base = state.segments.get(pick(random, ids))?.baseOffset ?? 0;
  return {
    type: 'AdvanceLogStart',
    topic: name,
    topicId: topic.topicId,
    partition,
    logStartOffset: offset(Math.max(0, base + pick(random, [-1, 0, 0, 0, 1]))),
  };
};

const makeConfirmation: Make = ({ random, state }) => {
  if (state.disks.size === 0) return null;
  const { diskId } = pick(random, [...state.disks.values()]);
  const told = [...(state.formerByDisk.get(diskId) ?? [])];
  const stray = between(random, 1, state.nextSegmentId);
  return { type: 'ConfirmDeleted', segmentIds: [...told, segmentId(stray)], diskId };
};

/** What a proposer knew: now, or some time ago. */
function earlierIndex({ random, state }: Pick<CommandSource, 'random' | 'state'>): LogIndex {
  return logIndex(Math.max(0, state.lastApplied - between(random, 0, 20)));
}

const makeDeleteGroup: Make = (source) => ({
  type: 'DeleteGroup',
  group: pick(source.random, GROUPS),
  unchangedSince: earlierIndex(source),
});

const makeDeleteTopic: Make = ({ random, state }) => {
  const name = pick(random, TOPICS);
  const topicId = state.topics.get(name)?.topicId ?? 0;
  return { type: 'DeleteTopic', name, topicId: chance(random, 0.9) ? topicId : 1 };
};

const makeCommit = ({ random, state }: CommandSource): PositionsCommit => {
  const group = pick(random, GROUPS);
  const positions = Array.from({ length: between(random, 1, 3) }, () => {
    const topic = pick(random, TOPICS);
    const partition = between(random, 0, 2);
    return { topic, partition, offset: offset(between(random, 0, 99)) };
  });
  if (chance(random, 0.5)) return { group, positions };
  return { group, positions, unchangedSince: earlierIndex({ random, state }) };
};

const makePositions: Make = (source) => {
  const count = between(source.random, 1, 3);
  return {
    type: 'CommitPositions',
    commits: Array.from({ length: count }, () => makeCommit(source)),
  };
};

const MAKERS: { readonly [T in CommandType]: readonly [number, Make] } = {
  Bootstrap: [
    1,
    ({ random }) => ({ type: 'Bootstrap', clusterId: randomHex(random, 16), config: CONFIG }),
  ],
  RegisterNode: [12, makeRegistration],
  MarkDiskLost: [
    3,
    ({ random, state }) =>
      state.disks.size === 0
        ? null
        : { type: 'MarkDiskLost', diskId: pick(random, [...state.disks.keys()]) },
  ],
  RemoveNode: [
    1,
    ({ random }) => ({ type: 'RemoveNode', nodeId: nodeId(between(random, 1, NODES)) }),
  ],
  CreateTopic: [8, makeTopic],
  DeleteTopic: [1, makeDeleteTopic],
  BeginRecovery: [10, makeRecovery],
  SealAndOpen: [
    20,
    (source) => (chance(source.random, 0.5) ? makeClose(source) : makeRecoveredSeal(source)),
  ],
  ReplaceReplicas: [8, makeReplacement],
  PlanCopies: [4, copiesOf('PlanCopies')],
  DropCopies: [3, copiesOf('DropCopies')],
  AdvanceLogStart: [4, makeAdvance],
  ConfirmDeleted: [10, makeConfirmation],
  CommitPositions: [6, makePositions],
  DeleteGroup: [1, makeDeleteGroup],
  AllocateProducerIds: [
    1,
    ({ random }) => ({ type: 'AllocateProducerIds', count: between(random, 0, 9) }),
  ],
  SetConfig: [
    1,
    ({ random }) => ({
      type: 'SetConfig',
      config: { ...CONFIG, metadataVoters: between(random, 1, 7) },
    }),
  ],
};

const WEIGHTED: readonly Make[] = Object.values(MAKERS).flatMap(([weight, make]) =>
  Array.from({ length: weight }, () => make),
);

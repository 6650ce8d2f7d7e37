/** Any command that its type allows, for codec properties; most make no sense to `apply`. */
import fc from 'fast-check';
import { logIndex, nodeId, offset, segmentId } from '../../../base/units.ts';
import type { Command, CommandType } from '../commands.ts';

const HEX_DIGITS = Array.from({ length: 16 }, (_, digit) => digit.toString(16));
const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...HEX_DIGITS), minLength: digits, maxLength: digits });
const id = hex(32);
const u64 = fc.maxSafeNat();
const u32 = fc.nat(2 ** 32 - 1);
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const anOffset = u64.map(offset);
const anIndex = u64.map(logIndex);
const aNode = fc.integer({ min: 1, max: 2 ** 32 - 1 }).map(nodeId);
const aSegment = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }).map(segmentId);
const aPlace = fc.record({ nodeId: aNode, diskId: id });
const manyPlaces = fc.array(aPlace, { maxLength: 5 });
const config = fc.record({
  metadataVoters: u64,
  maxSegmentEntries: u64,
  maxSegmentBytes: u64,
  maxSegmentAgeMs: u64,
});
const node = fc.record({
  nodeId: aNode,
  diskId: id,
  peerAddress: text,
  clientAddress: text,
  httpAddress: text,
  zone: text,
  version: text,
});
const aPlan = fc.record({ token: id, leader: aPlace, leaderBootEpoch: u64, ensemble: manyPlaces });
const expected = fc.oneof(
  fc.record({ state: fc.constant('OPEN' as const), token: id }),
  fc.record({ state: fc.constant('RECOVERING' as const), epoch: u64 }),
);
const position = fc.record(
  {
    topic: text,
    topicId: u64,
    partition: u32,
    offset: anOffset,
  },
  { requiredKeys: ['topic', 'partition', 'offset'] },
);

function typed<T extends CommandType>(type: T): { type: fc.Arbitrary<T> } {
  return { type: fc.constant(type) };
}

/** One arbitrary for each type: a new command does not compile until it has one. */
const BY_TYPE: { readonly [T in CommandType]: fc.Arbitrary<Command> } = {
  Bootstrap: fc.record({ ...typed('Bootstrap'), clusterId: id, config }),
  RegisterNode: fc.record({ ...typed('RegisterNode'), node, bootEpoch: u64, bootNonce: id }),
  MarkDiskLost: fc.record({ ...typed('MarkDiskLost'), diskId: id }),
  RemoveNode: fc.record({ ...typed('RemoveNode'), nodeId: aNode }),
  CreateTopic: fc.record({
    ...typed('CreateTopic'),
    name: text,
    replication: fc.record({ replicas: fc.nat(255), ackQuorum: fc.nat(255) }),
    plans: fc.array(aPlan, { maxLength: 3 }),
    nowMs: u64,
  }),
  DeleteTopic: fc.record({ ...typed('DeleteTopic'), name: text, topicId: u64 }),
  BeginRecovery: fc.record({ ...typed('BeginRecovery'), segmentId: aSegment, epoch: u64 }),
  SealAndOpen: fc.record({
    ...typed('SealAndOpen'),
    segmentId: aSegment,
    expected,
    endOffset: anOffset,
    digest: hex(16),
    replicas: manyPlaces,
    lossy: fc.option(fc.record({ from: anOffset, to: anOffset }), { nil: null }),
    next: aPlan,
    nowMs: u64,
  }),
  ReplaceReplicas: fc.record({
    ...typed('ReplaceReplicas'),
    segmentId: aSegment,
    expected: manyPlaces,
    replicas: manyPlaces,
  }),
  PlanCopies: fc.record({ ...typed('PlanCopies'), segmentId: aSegment, places: manyPlaces }),
  DropCopies: fc.record({ ...typed('DropCopies'), segmentId: aSegment, places: manyPlaces }),
  AdvanceLogStart: fc.record({
    ...typed('AdvanceLogStart'),
    topic: text,
    topicId: u64,
    partition: u32,
    logStartOffset: anOffset,
  }),
  ConfirmDeleted: fc.record({
    ...typed('ConfirmDeleted'),
    segmentIds: fc.array(aSegment, { maxLength: 5 }),
    diskId: id,
  }),
  CommitPositions: fc.record({
    ...typed('CommitPositions'),
    commits: fc.array(
      fc.record(
        {
          group: text,
          unchangedSince: anIndex,
          positions: fc.array(position as fc.Arbitrary<never>, { maxLength: 3 }),
        },
        { requiredKeys: ['group', 'positions'] },
      ) as fc.Arbitrary<never>,
      { maxLength: 5 },
    ),
  }),
  DeleteGroup: fc.record({ ...typed('DeleteGroup'), group: text, unchangedSince: anIndex }),
  AllocateProducerIds: fc.record({ ...typed('AllocateProducerIds'), count: u32 }),
  SetConfig: fc.record({ ...typed('SetConfig'), config }),
};

/** The names of all commands. */
export const COMMAND_TYPES = Object.keys(BY_TYPE) as CommandType[];

/** Any command of one type. */
export function commandOf(type: CommandType): fc.Arbitrary<Command> {
  return BY_TYPE[type];
}

/** Any command. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(...Object.values(BY_TYPE));

/** Whether a node may be restarted: table and property, against a second, slower look at the same state. */
import { describe, expect, test } from '@jest/globals';
import { SeededRandom, chance, pick } from '../../base/random.ts';
import { logIndex, nodeId, segmentId } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import type { Verdict } from '../../protocol/admin/types.ts';
import { serverId } from '../raft/types.ts';
import type { ServerId } from '../raft/types.ts';
import { applyCommand } from '../state/apply.ts';
import { MutableMetadata } from '../state/mutableMetadata.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { CommandSource } from '../state/testing/commandGenerator.ts';
import {
  CONFIG,
  TestCluster,
  close,
  createTopic,
  place,
  places,
  plan,
  registration,
} from '../state/testing/fixture.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { ClusterView, MemberView } from './clusterView.ts';
import { restartVerdict } from './restartVerdict.ts';

type MemberChange = Partial<Omit<MemberView, 'record'>>;

/** A view in which all is well but for what is said. */
function viewOf(
  metadata: IndexedMetadata,
  options: { voters?: readonly ServerId[]; members?: Readonly<Record<number, MemberChange>> } = {},
): ClusterView {
  const members = new Map<NodeId, MemberView>();
  for (const record of metadata.nodes.values()) {
    const isRegistered = metadata.disks.get(record.diskId)?.state === 'REGISTERED';
    const member: MemberView = {
      record,
      isAlive: isRegistered,
      isDraining: false,
      isDiskWritable: true,
      role: 'Voter',
      hasMetadata: true,
      isCatchingUp: false,
      incompleteCopies: 0,
      damagedSegmentIds: [],
      ...options.members?.[record.nodeId],
    };
    members.set(record.nodeId, { ...member, isAlive: member.isAlive && isRegistered });
  }
  const all = [...metadata.nodes.values()].map((node) => serverId(node.nodeId, node.diskId));
  const voters = options.voters ?? all.slice(0, 3);
  return { metadata, epoch: 7, leaderId: nodeId(1), isFresh: true, voters, members };
}

function verdictOf(view: ClusterView, node: number): Verdict {
  const member = view.members.get(nodeId(node));
  if (member === undefined) throw new Error(`There is no node ${node}`);
  return restartVerdict(view, member);
}

function outcomes(view: ClusterView): unknown[] {
  return [...view.members.keys()].map((id) => {
    const verdict = verdictOf(view, id);
    return verdict.isAllowed ? verdict.message : verdict.reason;
  });
}

/** Three nodes, and a topic with a sealed segment (1) and an open one (2). */
function clusterOfThree(): TestCluster {
  return new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)), close(1));
}

describe('restartVerdict()', () => {
  test('allows the restart of any node of a healthy idle cluster of three', () => {
    const view = viewOf(clusterOfThree().state);
    expect(outcomes(view)).toEqual(['', '', '']);
    expect(verdictOf(view, 2)).toEqual({ isAllowed: true, epoch: 7, message: '' });
  });

  test('MetadataQuorum: a voter on a lost disk is none', () => {
    const voters = [place(1), place(2), place(3, 1)].map((at) => serverId(at.nodeId, at.diskId));
    const view = viewOf(clusterOfThree().state, { voters });
    expect(outcomes(view)).toEqual(['MetadataQuorum', 'MetadataQuorum', '']);
  });

  test('MetadataQuorum: the only voter of three nodes, before others are promoted', () => {
    const voters = [serverId(nodeId(1), place(1).diskId)];
    expect(outcomes(viewOf(clusterOfThree().state, { voters }))).toEqual([
      'MetadataQuorum',
      '',
      '',
    ]);
  });

  test('SegmentQuorum: of two members both are needed', () => {
    const { state } = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2)));
    expect(outcomes(viewOf(state))).toEqual(['SegmentQuorum', 'SegmentQuorum', '']);
  });

  test('SegmentQuorum: a damaged copy is none', () => {
    const view = viewOf(clusterOfThree().state, {
      members: { 3: { damagedSegmentIds: [segmentId(2)] } },
    });
    expect(outcomes(view)).toEqual(['SegmentQuorum', 'SegmentQuorum', '']);
  });

  test('LastWholeCopy: of a sealed segment of which the other copies are damaged', () => {
    const damagedSegmentIds = [segmentId(1)];
    const members = { 2: { damagedSegmentIds }, 3: { damagedSegmentIds } };
    expect(outcomes(viewOf(clusterOfThree().state, { members }))).toEqual([
      'LastWholeCopy',
      '',
      '',
    ]);
  });

  test('LastWholeCopy: of a sealed segment that is being copied to others', () => {
    // Sealed by a recovery on nodes 1 and 2; then node 2 has got another disk.
    const { state } = new TestCluster(3).ok(
      createTopic('t', plan(1, 3, 1, 2)),
      { type: 'BeginRecovery', segmentId: segmentId(1), epoch: 1 },
      close(1, {
        expected: { state: 'RECOVERING', epoch: 1 },
        replicas: places(1, 2),
        next: plan(2, 1, 3),
      }),
      { type: 'MarkDiskLost', diskId: place(2).diskId },
      registration(place(2, 1), 1),
      close(2, {
        replicas: places(1, 3),
        next: { ...plan(3, 1, 3), ensemble: [place(1), place(3), place(2, 1)] },
      }),
    );
    expect(outcomes(viewOf(state))).toEqual(['LastWholeCopy', '', '']);
  });

  test.each([
    ['down', { isAlive: false }, ['MetadataQuorum', 'MetadataQuorum', 'down already']],
    ['draining', { isDraining: true }, ['AnotherNodeIsDown', 'AnotherNodeIsDown', '']],
    ['with old metadata', { hasMetadata: false }, ['MetadataQuorum', 'MetadataQuorum', '']],
    ['catching up', { isCatchingUp: true }, ['AnotherNodeIsDown', 'AnotherNodeIsDown', '']],
    ['with a failed disk', { isDiskWritable: false }, ['MetadataQuorum', 'MetadataQuorum', '']],
  ])('with node 3 %s only that one may be restarted', (_name, change, expected) => {
    const found = outcomes(viewOf(clusterOfThree().state, { members: { 3: change } }));
    expect(found).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  test('AnotherNodeIsDown: also one whose absence costs no quorum', () => {
    const { state } = new TestCluster(5).ok(createTopic('t', plan(1, 1, 2, 3)));
    const found = outcomes(viewOf(state, { members: { 5: { isAlive: false } } }));
    const no = 'AnotherNodeIsDown';
    expect(found).toEqual([no, no, no, no, expect.stringContaining('down already')]);
  });

  test('without redundancy that was asked for, a restart is allowed and says what it costs', () => {
    const single = { ...createTopic('s', plan(1, 1)), replication: { replicas: 1, ackQuorum: 1 } };
    const alone = viewOf(new TestCluster(1).ok(single).state);
    expect(outcomes(alone)).toEqual([expect.stringContaining('nothing is served')]);
    const two = viewOf(new TestCluster(2).ok(single).state, {
      voters: [serverId(nodeId(1), place(1).diskId)],
    });
    expect(outcomes(two)).toEqual([expect.stringContaining('only voter'), '']);
    const three = viewOf(new TestCluster(3).ok(single).state);
    expect(outcomes(three)).toEqual([expect.stringContaining('1 partitions'), '', '']);
  });
});

/** Random metadata after commands of many proposers; lost disks and half-done recoveries among them. */
function randomMetadata(random: SeededRandom): IndexedMetadata {
  const state = new MutableMetadata();
  const source = new CommandSource(random.fork(), state);
  const config = { ...CONFIG, metadataVoters: pick(random, [1, 3, 3, 5]) };
  applyCommand(state, logIndex(1), { type: 'Bootstrap', clusterId: 'c'.repeat(32), config });
  const count = pick(random, [20, 60, 200]);
  for (let at = 2; at <= count; at += 1) applyCommand(state, logIndex(at), source.next());
  return state;
}

function randomView(random: SeededRandom): ClusterView {
  const metadata = randomMetadata(random);
  const isBad = (): boolean => chance(random, 0.04);
  const members: Record<number, MemberChange> = {};
  for (const id of metadata.nodes.keys()) {
    members[id] = {
      isAlive: !isBad(),
      isDraining: isBad(),
      isDiskWritable: !isBad(),
      hasMetadata: !isBad(),
      isCatchingUp: isBad(),
      damagedSegmentIds: [...metadata.segments.keys()].filter(() => chance(random, 0.03)),
    };
  }
  const disks = [...metadata.disks.values()].filter(
    ({ state }) => state === 'REGISTERED' || chance(random, 0.2),
  );
  const voters = disks
    .map((disk) => serverId(disk.nodeId, disk.diskId))
    .slice(-pick(random, [1, 3, 5]));
  return viewOf(metadata, { voters, members });
}

/** What an allowed restart must leave, found by looking at everything. */
function broken(view: ClusterView, restarted: NodeId): string[] {
  const up = new Map<string, MemberView>();
  for (const { record, ...state } of view.members.values()) {
    const isUp = state.isAlive && state.isDiskWritable;
    if (record.nodeId !== restarted && isUp) up.set(record.diskId, { record, ...state });
  }
  const segments = [...view.metadata.segments.values()];
  return [
    ...brokenVoters(view, up),
    ...segments.filter((segment) => isBroken(view, restarted, { segment, up })).map(nameOf),
    ...unwell(view, restarted),
  ];
}

type Up = ReadonlyMap<string, MemberView>;

function brokenVoters({ metadata, voters }: ClusterView, up: Up): string[] {
  const disks = [...metadata.disks.values()].filter(({ state }) => state === 'REGISTERED');
  const votersUp = voters.filter((id) => up.get(id.split('/')[1] ?? '')?.hasMetadata === true);
  const wantsOne = metadata.config.metadataVoters === 1 || disks.length < 3;
  if (voters.length === 1 && wantsOne) return [];
  return 2 * votersUp.length > voters.length ? [] : ['voters'];
}

function isBroken(
  { metadata, members }: ClusterView,
  restarted: NodeId,
  { segment, up }: { segment: SegmentRecord; up: Up },
): boolean {
  const { segmentId: id, state, ensemble, ackQuorum, topic } = segment;
  const isWhole = (member: MemberView | undefined): boolean =>
    member?.damagedSegmentIds.includes(id) === false;
  const copies = ensemble.filter(({ diskId }) => isWhole(up.get(diskId))).length;
  const isHere = ensemble.some((at) => at.nodeId === restarted);
  if (isHere && metadata.topics.get(topic)?.replication.replicas === 1) return false;
  if (state === 'SEALED') return isHere && isWhole(members.get(restarted)) && copies === 0;
  return state !== 'DELETED' && copies < ackQuorum;
}

function nameOf({ segmentId: id, state }: SegmentRecord): string {
  return `${state} ${id}`;
}

function unwell({ members }: ClusterView, restarted: NodeId): string[] {
  const others = [...members.values()].filter(({ record }) => record.nodeId !== restarted);
  const isWell = (member: MemberView): boolean =>
    member.isAlive && member.isDiskWritable && member.hasMetadata;
  return others
    .filter((member) => !isWell(member) || member.isDraining || member.isCatchingUp)
    .map(({ record }) => `node ${record.nodeId}`);
}

test('restartVerdict() allows nothing that leaves a quorum or a segment uncovered, in any state', () => {
  const counts = { allowed: 0, refused: 0, down: 0 };
  for (let seed = 1; seed <= 1000; seed += 1) {
    const view = randomView(new SeededRandom(seed));
    for (const [id, member] of view.members) {
      const verdict = restartVerdict(view, member);
      if (!member.isAlive) counts.down += 1;
      else if (verdict.isAllowed) counts.allowed += 1;
      else counts.refused += 1;
      if (!member.isAlive) expect(verdict.isAllowed).toBe(true);
      else if (verdict.isAllowed) expect([seed, id, broken(view, id)]).toEqual([seed, id, []]);
      // Nothing is refused without a cause, or an upgrade would never end.
      else expect([seed, id, broken(view, id), verdict]).not.toEqual([seed, id, [], verdict]);
    }
  }
  expect(Math.min(counts.allowed, counts.refused, counts.down)).toBeGreaterThan(100);
});

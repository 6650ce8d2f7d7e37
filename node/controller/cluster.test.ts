/** The rules of DESIGN section 2, each as a scripted story on a simulated cluster. */
import { describe, expect, jest, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { offset, segmentId } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import { MAX_SEGMENTS } from '../state/limits.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { Machine } from '../sim/simCluster.ts';
import type { UncleanEnd } from './recovery.ts';
import { Scenario, values } from './testing/scenario.ts';

/** Rots the batch with the value of this number on a machine's disk. */
function rotValue({ disk }: Machine, number: number): void {
  for (const path of disk.paths().filter((name) => name.includes('arena-'))) {
    const file = disk.open(path);
    const bytes = new Uint8Array(file.sizeBytes());
    file.read(bytes, 0);
    const at = Buffer.from(bytes).indexOf(`value ${number}`);
    if (at >= 0) disk.rot(path, at);
  }
}

describe('write path', () => {
  test('W5: nothing is acknowledged with fewer than W members, and all of it once they are back', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(3);
    const leader = scenario.leader();
    for (const follower of scenario.followers()) follower.process!.pause();
    const outcome = scenario.append(leader);
    await scenario.cluster.run(700);
    expect(outcome.isSettled).toBe(false);
    for (const follower of scenario.followers()) follower.process!.resume();
    await scenario.write(1);
    await scenario.cluster.run(1000);
    for (const machine of scenario.cluster.machines) {
      expect(scenario.read(machine).slice(0, 4)).toEqual(values(4));
    }
  });

  test('a repeat of an acknowledged batch is acknowledged at its offset again, also by later leaders', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 4 });
    const offsets = await scenario.write(10);
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await scenario.cluster.run(500);
    const repeat = scenario.append(scenario.leader(), 9);
    await scenario.cluster.runUntil(() => repeat.isSettled, 3000);
    expect(repeat.offset).toBe(9);
  });

  test('a roll moves leadership to another node, and its segments are whole on every member', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    await scenario.write(32);
    await scenario.cluster.run(2000);
    const segments = scenario.segments(scenario.metadataLeader());
    expect(segments.length).toBeGreaterThanOrEqual(6);
    for (let at = 1; at < segments.length; at += 1) {
      expect(segments[at]!.baseOffset).toBe(segments[at - 1]!.endOffset);
      expect(segments[at]!.leader.nodeId).not.toBe(segments[at - 1]!.leader.nodeId);
    }
    for (const machine of scenario.cluster.machines) {
      expect(scenario.read(machine)).toEqual(values(32));
      for (const segment of segments.slice(0, -1)) {
        const replica = machine.parts!.host.replica(segment.segmentId)!;
        expect(replica.digestAt(segment.endOffset!)).toBe(segment.digest);
      }
    }
  });
});

describe('copies', () => {
  test('S2: are planned by a later pass when the metadata leader is deposed in the middle of one', async () => {
    const scenario = await Scenario.start({ nodeCount: 4, maxSegmentEntries: 3 });
    await scenario.write(10);
    const { cluster } = scenario;
    const machine = scenario.metadataLeader();
    const { metadata } = machine.parts!;
    const lost = cluster.machines.find((other) => other !== machine)!;
    const { diskId } = lost.node!.identity!;
    const hasCopies = (): boolean =>
      scenario
        .segments(machine)
        .some(({ ensemble }) => ensemble.some((at) => at.diskId === diskId));
    cluster.kill(lost);
    await cluster.run(3000); // what was open is recovered
    expect(hasCopies()).toBe(true);
    const asLeader = jest.spyOn(metadata, 'asLeader').mockImplementation(() => {
      throw new WalrusError('NOT_LEADER', 'Deposed');
    });
    void metadata.propose({ type: 'MarkDiskLost', diskId });
    await cluster.run(1000);
    expect(asLeader).toHaveBeenCalled();
    expect(hasCopies()).toBe(true);
    asLeader.mockRestore();
    await cluster.runWhile(hasCopies, 5000);
    expect(hasCopies()).toBe(false);
  });
});

describe('limits', () => {
  test('a cluster with as many segments as it may have closes none: they grow on, and nobody is recovered', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    const first = scenario.segment();
    for (const { parts } of scenario.cluster.machines) {
      Object.defineProperty(parts!.metadata.metadata.segments, 'size', { get: () => MAX_SEGMENTS });
    }
    await scenario.write(12);
    await scenario.cluster.run(2000);
    expect(scenario.segment()).toMatchObject({
      segmentId: first.segmentId,
      state: 'OPEN',
      epoch: 0,
    });
    expect(scenario.read(scenario.leader())).toEqual(values(12));
  });
});

describe('topics', () => {
  test('what can never be is refused at once, whether or not there are places for it now', async () => {
    const scenario = await Scenario.start({});
    const { controller } = scenario.metadataLeader().parts!;
    for (const follower of scenario.followers()) scenario.cluster.kill(follower);
    const wanted = { name: 'large', partitions: 1, replication: { replicas: 5, ackQuorum: 3 } };
    await expect(controller.createTopic(wanted)).rejects.toThrow('the cluster has 3 nodes');
    await expect(controller.createTopic({ ...wanted, partitions: 0 })).rejects.toThrow();
  });
});

describe('failover', () => {
  test('W1, R1-R6: a killed leader is replaced; it comes back as a member and leads nothing old', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(10);
    const first = scenario.segment();
    const leader = scenario.leader();
    const before = scenario.cluster.scheduler.nowMs;
    scenario.cluster.kill(leader);
    await scenario.write(1);
    expect(scenario.cluster.scheduler.nowMs - before).toBeLessThan(3000);
    scenario.cluster.start(leader);
    await scenario.cluster.runUntil(() => leader.isServing, 5000);
    await scenario.write(5);
    await scenario.cluster.run(3000);
    expect(leader.parts!.segments.ledSegmentIds).not.toContain(first.segmentId);
    for (const machine of scenario.cluster.machines) {
      expect(scenario.read(machine)).toEqual(values(16));
    }
  });

  test('a leader that is cut off stops acknowledging by itself, and what it wrote alone is not read', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(5);
    const leader = scenario.leader();
    scenario.cluster.network.isolate(leader.address);
    const lonely = scenario.append(leader);
    await scenario.cluster.run(2500); // when it leads the metadata, too, it first has to notice
    expect(leader.parts!.session.isFresh).toBe(false);
    const refused = scenario.append(leader, 6);
    expect(refused.error?.code).toBe('NOT_LEADER');
    expect(lonely.isSettled).toBe(false);
    expect(scenario.read(leader)).toEqual(values(5));
    await scenario.cluster.runUntil(() => scenario.segment().leader.nodeId !== leader.nodeId, 5000);
    scenario.cluster.network.heal();
    await scenario.cluster.runUntil(() => lonely.isSettled, 5000);
    expect(lonely.error?.code).toBe('SEGMENT_SEALED');
  });

  test('R3: with fewer than F members it waits, and goes on when one returns', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(5);
    const [one, two] = scenario.followers() as [never, never];
    await scenario.cluster.run(100);
    scenario.cluster.kill(scenario.leader());
    scenario.cluster.kill(one);
    await scenario.cluster.run(5000);
    expect(scenario.read(two)).toEqual(values(5));
    scenario.cluster.start(one);
    await scenario.write(3);
    expect(scenario.read(two).slice(0, 5)).toEqual(values(5));
  });

  test.each([
    ['an intact copy', 5],
    ['a damaged copy', 3],
  ])(
    'S4: an operator may give up what %s lacks; it is marked, no offset is reused',
    async (_, end) => {
      const scenario = await Scenario.start({ nodeCount: 5, metadataVoters: 5 });
      await scenario.write(5);
      await scenario.cluster.run(100);
      const { segmentId: id, ensemble, leader } = scenario.segment();
      // Not the leader: that one would seal by itself.
      const members = ensemble.map(({ nodeId }) => scenario.cluster.machines[nodeId - 1]!);
      const survivor = members.find((machine) => machine.nodeId !== leader.nodeId);
      const lost = members.filter((machine) => machine !== survivor);
      for (const machine of lost) scenario.cluster.kill(machine);
      if (end < 5) rotValue(survivor!, end);
      await scenario.cluster.run(5000);
      expect(scenario.segment()).toMatchObject({ segmentId: id, state: 'RECOVERING' });
      if (end < 5) expect(() => scenario.read(survivor!)).toThrow('is damaged');
      const seal = async (confirmedEnd: Offset | null): Promise<UncleanEnd | null> => {
        for (let tries = 0; tries < 100; tries += 1) {
          const ends: (UncleanEnd | null)[] = [];
          const { controller } = scenario.metadataLeader().parts!;
          void controller.sealUnclean(id, confirmedEnd).then(
            (end) => ends.push(end),
            () => ends.push(null),
          );
          await scenario.cluster.runUntil(() => ends.length > 0, 10_000);
          if (ends[0]) return ends[0];
          await scenario.cluster.run(150);
        }
        return null;
      };
      const foreseen = await seal(null);
      expect(foreseen).toMatchObject({ endOffset: end, lossy: { from: end } });
      expect(await seal(foreseen!.endOffset)).toEqual(foreseen);
      await scenario.cluster.run(500);
      const [sealed, next] = scenario.segments(survivor!) as [SegmentRecord, SegmentRecord];
      expect(sealed).toMatchObject({ state: 'SEALED', endOffset: end, lossy: { from: end } });
      expect(next.baseOffset).toBe(sealed.lossy!.to);
      const outcome = scenario.append(scenario.leader(), end); // its producer has lost the later ones
      await scenario.cluster.runUntil(() => outcome.isSettled, 3000);
      expect(outcome.offset).toBe(next.baseOffset);
      const holder = scenario
        .running()
        .find(({ nodeId }) => sealed.ensemble.some((at) => at.nodeId === nodeId));
      expect(scenario.read(holder!).slice(0, end)).toEqual(values(end));
    },
  );

  test('all nodes killed at once come back with everything', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 7 });
    await scenario.write(20);
    for (const machine of scenario.cluster.machines) scenario.cluster.crash(machine);
    for (const machine of scenario.cluster.machines) scenario.cluster.start(machine);
    await scenario.cluster.runUntil(
      () => scenario.running().every((machine) => machine.isServing),
      10_000,
    );
    await scenario.write(2);
    await scenario.cluster.run(3000);
    for (const machine of scenario.cluster.machines)
      expect(scenario.read(machine)).toEqual(values(22));
  });
});

describe('disks and nodes', () => {
  test('I1, I3: an emptied disk is refused; once declared lost its segments are copied anew', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    await scenario.write(23);
    const victim = scenario.followers()[0]!;
    const oldDisk = victim.parts!.identity.diskId;
    scenario.cluster.kill(victim);
    victim.disk.wipe();
    scenario.cluster.start(victim);
    await scenario.cluster.runUntil(() => victim.failure !== null, 10_000);
    expect(victim.failure?.code).toBe('DISK_REFUSED');
    await scenario.write(5);
    victim.replaceDisk = true;
    victim.disk.wipe();
    scenario.cluster.start(victim);
    await scenario.cluster.runUntil(() => victim.isServing, 20_000);
    const isWhole = (): boolean =>
      scenario
        .segments(scenario.metadataLeader())
        .every((segment) => segment.state !== 'SEALED' || !segment.isUnderReplicated);
    await scenario.cluster.runUntil(isWhole, 30_000);
    await scenario.cluster.run(2000);
    expect(victim.parts!.identity.diskId).not.toBe(oldDisk);
    expect(victim.parts!.metadata.metadata.disks.get(oldDisk)?.state).toBe('LOST');
    expect(scenario.read(victim)).toEqual(values(28));
  });

  test('W6, W7: with a node down the ensemble of three goes on, and a fourth node is rolled in', async () => {
    const scenario = await Scenario.start({ nodeCount: 4 });
    await scenario.write(5);
    const member = scenario.cluster.machines.find(
      (machine) =>
        machine !== scenario.leader() &&
        machine !== scenario.metadataLeader() &&
        scenario.segment().ensemble.some((place) => place.nodeId === machine.nodeId),
    )!;
    const first = scenario.segment().segmentId;
    scenario.cluster.kill(member);
    await scenario.write(3);
    await scenario.cluster.runUntil(() => scenario.segment().segmentId > first, 10_000);
    const ensemble = scenario.segment().ensemble.map((place) => place.nodeId);
    expect(ensemble).toHaveLength(3);
    expect(ensemble).not.toContain(member.nodeId);
  });

  test('S3: a deleted topic is gone from every disk; what the metadata does not know stays', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    await scenario.write(12);
    await scenario.cluster.run(500);
    const leader = scenario.metadataLeader();
    let isDone = false;
    const { topicId } = leader.parts!.metadata.metadata.topics.get('t')!;
    void leader
      .parts!.metadata.propose({ type: 'DeleteTopic', name: 't', topicId })
      .then(() => (isDone = true));
    await scenario.cluster.runUntil(() => isDone, 3000);
    const isEmpty = (): boolean =>
      scenario.cluster.machines.every((machine) => machine.parts!.storage.replicas().length === 0);
    await scenario.cluster.runUntil(isEmpty, 5000);
    await scenario.cluster.run(1000);
    for (const machine of scenario.cluster.machines) {
      expect(machine.parts!.metadata.metadata.segments.size).toBe(0);
      expect(machine.parts!.host.segmentIds()).toEqual([]);
    }
    const { storage } = leader.parts!;
    const unknown = { segmentId: segmentId(99), token: 'ab'.repeat(16), baseOffset: offset(0) };
    storage.createReplica({ ...unknown, producerSnapshot: new Uint8Array(0) });
    await scenario.cluster.run(2000);
    expect(storage.replicas().map((replica) => replica.segmentId)).toEqual([99]);
  });
});

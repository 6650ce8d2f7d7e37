/** Damaged copies on simulated clusters: found, not served, not believed, and made anew (DESIGN D1, S2). */
import { describe, expect, test } from '@jest/globals';
import { isWalrusError } from '../../base/errors.ts';
import { batchSpots, forgeBatch, rotBody, rotHeader } from '../sim/copyRot.ts';
import type { Machine } from '../sim/simCluster.ts';
import type { SegmentRecord } from '../state/types.ts';
import { Scenario, values } from './testing/scenario.ts';

/** A cluster whose first segment, of ten records, is sealed and whole on three nodes. */
async function withSealed(nodeCount = 3): Promise<{ scenario: Scenario; segment: SegmentRecord }> {
  const scenario = await Scenario.start({ nodeCount, maxSegmentEntries: 10 });
  await scenario.write(15);
  await scenario.cluster.run(1000);
  const segment = scenario.segments(scenario.metadataLeader())[0]!;
  expect(segment).toMatchObject({ state: 'SEALED', endOffset: 10 });
  return { scenario, segment };
}

function membersOf(scenario: Scenario, segment: SegmentRecord): Machine[] {
  return segment.ensemble.map(({ nodeId }) => scenario.cluster.machines[nodeId - 1]!);
}

function isDamaged(machine: Machine): boolean {
  return (machine.parts?.storage.damaged().length ?? 0) > 0;
}

/** Reads a machine's own copy with its checksums, and compares it with the seal. */
function isWhole(machine: Machine, { segmentId, endOffset, digest }: SegmentRecord): boolean {
  const replica = machine.parts?.host.replica(segmentId);
  if (replica === undefined || replica.damage !== null) return false;
  try {
    for (let at = replica.baseOffset; at < replica.tail;) at = replica.scrub(at, 4096).nextOffset;
    return !isDamaged(machine) && replica.digestAt(endOffset!) === digest;
  } catch (error) {
    if (!isWalrusError(error, 'CORRUPT_SEGMENT')) throw error;
    return false;
  }
}

async function untilRepaired(scenario: Scenario, segment: SegmentRecord): Promise<void> {
  const isDone = (): boolean =>
    membersOf(scenario, segment).every((machine) => isWhole(machine, segment));
  await scenario.cluster.runUntil(isDone, 40_000);
  await scenario.cluster.run(2000); // a node that has restarted learns what is committed
  for (const machine of scenario.cluster.machines) {
    expect(scenario.read(machine)).toEqual(values(15));
  }
}

describe('a damaged copy of a sealed segment', () => {
  test('is found by the scrub, and made anew from another replica', async () => {
    const { scenario, segment } = await withSealed();
    const [victim] = membersOf(scenario, segment);
    const passes = victim!.parts!.scrub.passCount;
    rotBody(victim!, batchSpots(victim!, segment.segmentId)[4]!);
    await scenario.cluster.runUntil(() => isDamaged(victim!), 5000);
    expect(victim!.parts!.scrub.passCount).toBeGreaterThanOrEqual(passes);
    await untilRepaired(scenario, segment);
  });

  test('is found at a start, shown by every node, and made anew', async () => {
    const { scenario, segment } = await withSealed();
    const [victim, ...others] = membersOf(scenario, segment);
    const spot = batchSpots(victim!, segment.segmentId)[4]!;
    scenario.cluster.kill(victim!);
    rotHeader(victim!, spot);
    scenario.cluster.start(victim!);
    await scenario.cluster.runUntil(() => victim!.parts !== null, 5000);
    // Nobody can help it: it waits, and says so.
    for (const other of others) scenario.cluster.network.cut(other.address, victim!.address);
    expect(victim!.parts!.host.replica(segment.segmentId)?.damage?.message).toContain('offset 4');
    scenario.cluster.network.heal();
    await untilRepaired(scenario, segment);
  });

  test('waits, named, as long as no other replica can be read; the others know of it', async () => {
    const { scenario, segment } = await withSealed();
    const machines = membersOf(scenario, segment);
    const [victim, second, third] = machines as [Machine, Machine, Machine];
    // All three lose the same batch: none can help.
    for (const machine of machines) {
      rotBody(machine, batchSpots(machine, segment.segmentId)[4]!);
    }
    await scenario.cluster.runUntil(() => machines.every(isDamaged), 5000);
    await scenario.cluster.run(20_000);
    expect(machines.map(isDamaged)).toEqual([true, true, true]);
    const seen = machines.map(({ parts }) => parts!.session.damagedNodes(segment.segmentId));
    expect(seen.map((nodeIds) => [...nodeIds].sort())).toEqual(Array(3).fill([1, 2, 3]));
    // What is good of it is served, from all of them.
    for (const machine of machines) {
      expect(
        machine.parts!.host.read(segment, segment.baseOffset, { maxBytes: 1 }).nextOffset,
      ).toBe(1);
    }
    expect([victim, second, third].every((machine) => machine.isServing)).toBe(true);
  });

  test('whose checksums are right and whose digest is not is condemned, and copied from others only', async () => {
    const { scenario, segment } = await withSealed();
    const [victim] = membersOf(scenario, segment) as [Machine];
    forgeBatch(victim, batchSpots(victim, segment.segmentId)[4]!);
    expect(scenario.read(victim)).not.toEqual(values(15));
    await scenario.cluster.runUntil(() => isDamaged(victim), 5000);
    const problem = victim.parts!.host.replica(segment.segmentId)?.damage?.message;
    expect(problem).toContain(`sealed is ${segment.digest!}`);
    await untilRepaired(scenario, segment);
  });

  test('is put together from all copies when each is damaged in another place', async () => {
    const { scenario, segment } = await withSealed();
    const machines = membersOf(scenario, segment);
    machines.forEach((machine, at) => {
      const spots = batchSpots(machine, segment.segmentId);
      rotBody(machine, spots[2 + 3 * at]!);
      scenario.cluster.network.isolate(machine.address);
    });
    await scenario.cluster.runUntil(() => machines.every(isDamaged), 5000);
    scenario.cluster.network.heal();
    await untilRepaired(scenario, segment);
  });

  test('is made anew again after a crash at any moment of it', async () => {
    const { scenario, segment } = await withSealed();
    const [victim] = membersOf(scenario, segment) as [Machine];
    for (let delayMs = 1; delayMs < 40; delayMs += 10) {
      rotBody(victim, batchSpots(victim, segment.segmentId)[4]!);
      await scenario.cluster.runUntil(() => isDamaged(victim), 5000);
      await scenario.cluster.run(delayMs / 8);
      scenario.cluster.crash(victim);
      scenario.cluster.start(victim);
      await scenario.cluster.runUntil(() => victim.isServing, 10_000);
      await scenario.cluster.run(3000);
      expect(isWhole(victim, segment)).toBe(true);
    }
    await untilRepaired(scenario, segment);
  });
});

describe('a damaged copy of an open segment', () => {
  test('takes nothing more; the segment is rolled, and then it is made anew', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(15);
    await scenario.cluster.run(500);
    const segment = scenario.segment();
    const victim = scenario.followers()[0]!;
    rotBody(victim, batchSpots(victim, segment.segmentId)[3]!);
    const read = (): unknown =>
      victim.parts!.host.read(segment, segment.baseOffset, { maxBytes: 65_536 });
    read();
    expect(isDamaged(victim)).toBe(true);
    await scenario.cluster.runUntil(
      () => scenario.segment().segmentId !== segment.segmentId,
      10_000,
    );
    await scenario.cluster.run(1000);
    const sealed = scenario.segments(scenario.metadataLeader())[0]!;
    await untilRepaired(scenario, sealed);
    await scenario.write(1);
  });

  test('of the leader: it gives up, a recovery seals what the others have, and writes go on', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(15);
    await scenario.cluster.run(500);
    const segment = scenario.segment();
    const leader = scenario.leader();
    rotHeader(leader, batchSpots(leader, segment.segmentId)[3]!);
    leader.parts!.host.read(segment, segment.baseOffset, { maxBytes: 65_536 });
    expect(isDamaged(leader)).toBe(true);
    await scenario.cluster.runUntil(
      () => scenario.segment().segmentId !== segment.segmentId,
      10_000,
    );
    await scenario.cluster.run(1000);
    await untilRepaired(scenario, scenario.segments(scenario.metadataLeader())[0]!);
    await scenario.write(1);
  });

  test('is no evidence: a recovery waits for the other members', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(15);
    await scenario.cluster.run(500);
    const segment = scenario.segment();
    const leader = scenario.leader();
    const [victim, lagging] = scenario.followers() as [Machine, Machine];
    scenario.cluster.network.cut(leader.address, lagging.address);
    await scenario.write(3);
    const spot = batchSpots(victim, segment.segmentId)[2]!;
    scenario.cluster.kill(victim);
    scenario.cluster.kill(leader);
    rotHeader(victim, spot);
    scenario.cluster.network.heal();
    scenario.cluster.start(victim);
    await scenario.cluster.run(6000);
    expect(victim.parts!.host.replica(segment.segmentId)?.tail).toBe(2);
    expect(scenario.segment()).toMatchObject({ segmentId: segment.segmentId, state: 'RECOVERING' });
    scenario.cluster.start(leader);
    await scenario.write(1);
    await scenario.cluster.run(2000);
    const sealed = scenario.segments(scenario.metadataLeader())[0]!;
    expect(sealed.endOffset).toBe(18);
    const isDone = (): boolean =>
      scenario.cluster.machines.every((machine) => isWhole(machine, sealed));
    await scenario.cluster.runUntil(isDone, 40_000);
    for (const machine of scenario.cluster.machines) {
      expect(scenario.read(machine)).toEqual(values(19));
    }
  });
});

/** Who is alive is not taken for dead: not by a metadata leader that stalled, and not by one that is new. */
import { describe, expect, jest, test } from '@jest/globals';
import { SIM_TIMING } from '../sim/simCluster.ts';
import type { Machine } from '../sim/simCluster.ts';
import type { SegmentRecord } from '../state/types.ts';
import { PASS_INTERVAL_MS, RECOVERY_COUNT_MAX } from './controller.ts';
import { Scenario } from './testing/scenario.ts';

const PARTITION_COUNT = 9;

function openSegments(machine: Machine): readonly SegmentRecord[] {
  const { segments } = machine.parts!.metadata.metadata;
  return [...segments.values()].filter(({ state }) => state === 'OPEN');
}

/** What a later metadata leader knows of segments: one that was recovered has another epoch, and is sealed. */
function expectUntouched(scenario: Scenario, before: readonly SegmentRecord[]): void {
  const { segments } = scenario.metadataLeader().parts!.metadata.metadata;
  const now = before.map(({ segmentId, leader }) => {
    const { state, epoch } = segments.get(segmentId)!;
    return { segmentId, leader: leader.nodeId, state, epoch };
  });
  const untouched = before.map(({ segmentId, leader }) => {
    return { segmentId, leader: leader.nodeId, state: 'OPEN', epoch: 0 };
  });
  expect(now).toEqual(untouched);
}

describe('a stall', () => {
  test.each([600, 1000, 1500, 2500])('of all nodes for %i ms kills nobody', async (stallMs) => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    const before = openSegments(scenario.metadataLeader());
    for (const { process } of scenario.cluster.machines) process!.pause();
    await scenario.cluster.run(stallMs);
    for (const { process } of scenario.cluster.machines) process!.resume();
    await scenario.cluster.run(3000);
    expectUntouched(scenario, before);
  });

  test.each([600, 1000, 1500, 2500])(
    'of the metadata leader for %i ms costs at most what it leads itself',
    async (stallMs) => {
      const scenario = await Scenario.startSpread(PARTITION_COUNT);
      const stalled = scenario.metadataLeader();
      const others = openSegments(stalled).filter(({ leader }) => leader.nodeId !== stalled.nodeId);
      stalled.process!.pause();
      await scenario.cluster.run(stallMs);
      stalled.process!.resume();
      await scenario.cluster.run(3000);
      expectUntouched(scenario, others);
    },
  );
});

/** Kills the metadata leader, and waits for the next one. */
async function killLeader(scenario: Scenario): Promise<Machine> {
  const killed = scenario.metadataLeader();
  scenario.cluster.kill(killed);
  const hasLeader = (): boolean => scenario.running().some(({ parts }) => parts!.metadata.isLeader);
  await scenario.cluster.runUntil(hasLeader, 5000);
  return killed;
}

function ledBy(segments: readonly SegmentRecord[], { nodeId }: Machine): readonly SegmentRecord[] {
  return segments.filter(({ leader }) => leader.nodeId === nodeId);
}

/** From an election until those are taken for dead who answer neither Raft nor with heartbeats; and who only answer Raft. */
const SILENT_MS = SIM_TIMING.silentTimeoutMs + 1.5 * PASS_INTERVAL_MS;
const UNHEARD_MS = SIM_TIMING.sessionTimeoutMs + 2 * PASS_INTERVAL_MS;

describe('an election', () => {
  test('finds who died with the leadership before a session time-out is over', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    const before = openSegments(scenario.metadataLeader());
    const killed = await killLeader(scenario);
    const own = ledBy(before, killed);
    expect(own).not.toEqual([]);
    const { segments } = scenario.metadataLeader().parts!.metadata.metadata;
    const isOver = (): boolean => own.every(({ segmentId }) => segments.get(segmentId)!.epoch > 0);
    await scenario.cluster.runUntil(isOver, SILENT_MS);
  });

  test('gives who answers Raft a whole session time-out for a heartbeat, and no more', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    const before = openSegments(scenario.metadataLeader());
    for (const { parts } of scenario.running()) {
      jest.spyOn(parts!.controller.sessions, 'heard').mockReturnValue(true);
    }
    const killed = await killLeader(scenario);
    const leader = scenario.metadataLeader();
    const third = scenario.running().find((machine) => machine !== leader)!;
    expect(killed).not.toBe(third);
    await scenario.cluster.run(SILENT_MS);
    expectUntouched(scenario, ledBy(before, third));
    await scenario.cluster.run(UNHEARD_MS - SILENT_MS);
    expect(leader.parts!.controller.sessions.isAlive(third.nodeId)).toBe(false);
  });

  test.each([100, 300, 450])(
    'costs no segment of a leader that lives when the new leader stalls for %i ms',
    async (stallMs) => {
      const scenario = await Scenario.startSpread(PARTITION_COUNT);
      const before = openSegments(scenario.metadataLeader());
      const killed = await killLeader(scenario);
      const leader = scenario.metadataLeader();
      leader.process!.pause();
      await scenario.cluster.run(stallMs);
      leader.process!.resume();
      await scenario.cluster.run(3000);
      const others = before.filter(
        ({ segmentId: id }) => !ledBy(before, killed).some(({ segmentId }) => segmentId === id),
      );
      expectUntouched(scenario, others);
    },
  );

  test.each([0, 37, 74, 111, 148, 185])(
    'costs no segment of a leader that lives, %i ms after a heartbeat',
    async (afterMs) => {
      const scenario = await Scenario.startSpread(PARTITION_COUNT);
      await scenario.cluster.run(afterMs);
      const killed = scenario.metadataLeader();
      const others = openSegments(killed).filter(({ leader }) => leader.nodeId !== killed.nodeId);
      scenario.cluster.kill(killed);
      await scenario.cluster.run(5000);
      expectUntouched(scenario, others);
    },
  );

  test('of which a node that has just come back is a part costs none either', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    const second = scenario.metadataLeader();
    const [first, third] = scenario.cluster.machines.filter((machine) => machine !== second);
    scenario.cluster.kill(first!);
    await scenario.cluster.run(1000);
    scenario.cluster.start(first!);
    await scenario.cluster.run(2000);
    const others = openSegments(second).filter(({ leader }) => leader.nodeId === third!.nodeId);
    scenario.cluster.kill(second);
    await scenario.cluster.run(5000);
    expectUntouched(scenario, others);
  });
});

test('who is back keeps the segments whose recovery has not begun', async () => {
  const scenario = await Scenario.startSpread(3 * (RECOVERY_COUNT_MAX + 10));
  const leader = scenario.metadataLeader();
  const stalled = scenario.running().find((machine) => machine !== leader)!;
  const own = ledBy(openSegments(leader), stalled);
  expect(own.length).toBeGreaterThan(RECOVERY_COUNT_MAX);
  const { segments } = leader.parts!.metadata.metadata;
  const recovered = () => own.filter(({ segmentId }) => segments.get(segmentId)!.epoch > 0);
  stalled.process!.pause();
  await scenario.cluster.runUntil(() => recovered().length > 0, 3000);
  stalled.process!.resume();
  await scenario.cluster.run(3000);
  expect(recovered()).toHaveLength(RECOVERY_COUNT_MAX);
});

/** Leaderships are spread over the living nodes: when many move at once, and by and by after that. */
import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../base/units.ts';
import { TestCluster, createTopic, place, plan } from '../state/testing/fixture.ts';
import { segmentToMove } from './balance.ts';
import type { Candidate } from './placement.ts';
import { BALANCE_DELAY_MS, BALANCE_INTERVAL_MS } from './roller.ts';
import { Scenario } from './testing/scenario.ts';

const PARTITION_COUNT = 9;

function candidates(ledCounts: readonly number[]): Candidate[] {
  return ledCounts.map((ledCount, index) => ({
    place: place(index + 1),
    bootEpoch: 1,
    zone: '',
    isHealthy: true,
    isDraining: false,
    copyCount: 0,
    ledCount,
  }));
}

describe('segmentToMove()', () => {
  const { state } = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3), plan(2, 1, 2, 3)));

  test('names one of the node that leads most, once others lead fewer by more than rolls make', () => {
    expect(segmentToMove(state, candidates([2, 0, 0]))).toBeNull();
    expect(segmentToMove(state, candidates([3, 0, 0]))).toMatchObject({ segmentId: 1 });
  });

  test('gives nothing to a node that is not healthy, or about to leave', () => {
    const [one, two, three] = candidates([5, 4, 0]) as [Candidate, Candidate, Candidate];
    expect(segmentToMove(state, [one, two, { ...three, isHealthy: false }])).toBeNull();
    expect(segmentToMove(state, [one, two, { ...three, isDraining: true }])).toBeNull();
    expect(segmentToMove(state, [one, two, three])).not.toBeNull();
  });

  test('moves nothing while the next segment could not be opened', () => {
    const five = candidates([5, 0, 0, 0, 0]).map((one, index) => ({
      ...one,
      isHealthy: index < 2,
    }));
    const replication = { replicas: 5, ackQuorum: 3 };
    const wide = new TestCluster(5).ok({
      ...createTopic('wide', plan(1, 1, 2, 3, 4, 5)),
      replication,
    });
    expect(segmentToMove(wide.state, five)).toBeNull();
  });

  test('moves nothing that would land where no less is led', () => {
    const far = candidates([5, 5, 5, 0]).map((one, index) => ({
      ...one,
      copyCount: index === 3 ? 100 : 0, // its disk is the last that is chosen
    }));
    expect(segmentToMove(state, far)).toBeNull();
  });
});

/** How many segments that are open each of these nodes leads. */
function ledBy(scenario: Scenario, nodeIds: readonly NodeId[]): number[] {
  const { segments } = scenario.metadataLeader().parts!.metadata.metadata;
  const open = [...segments.values()].filter(({ state }) => state === 'OPEN');
  return nodeIds.map((id) => open.filter(({ leader }) => leader.nodeId === id).length);
}

function spreadOf(counts: readonly number[]): number {
  return Math.max(...counts) - Math.min(...counts);
}

describe('leaderships', () => {
  test('of a topic are spread when it is created', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    expect(
      spreadOf(
        ledBy(
          scenario,
          scenario.running().map(({ nodeId }) => nodeId),
        ),
      ),
    ).toBeLessThan(2);
  });

  test('of a node that dies go to all others, though they are recovered at once', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    const [killed, ...others] = scenario.followers();
    const victim = killed === scenario.metadataLeader() ? others[0]! : killed!;
    scenario.cluster.kill(victim);
    await scenario.cluster.run(3000);
    const counts = ledBy(
      scenario,
      scenario.running().map(({ nodeId }) => nodeId),
    );
    expect(counts.reduce((a, b) => a + b)).toBe(PARTITION_COUNT + 1);
    expect(spreadOf(counts)).toBeLessThan(2);
  });

  test('are even again a while after every node was killed and started in turn', async () => {
    const scenario = await Scenario.startSpread(PARTITION_COUNT);
    for (const machine of scenario.cluster.machines) {
      scenario.cluster.kill(machine);
      await scenario.cluster.run(3000);
      scenario.cluster.start(machine);
      await scenario.cluster.runUntil(() => machine.isServing, 10_000);
    }
    await scenario.cluster.run(BALANCE_DELAY_MS + PARTITION_COUNT * BALANCE_INTERVAL_MS);
    const all = scenario.cluster.machines.map(({ nodeId }) => nodeId);
    const counts = ledBy(scenario, all);
    expect(counts.reduce((a, b) => a + b)).toBe(PARTITION_COUNT + 1);
    expect(spreadOf(counts)).toBeLessThanOrEqual(2);
    const before = scenario.metadataLeader().parts!.metadata.metadata.nextSegmentId;
    await scenario.cluster.run(60_000);
    expect(scenario.metadataLeader().parts!.metadata.metadata.nextSegmentId).toBe(before);
  });
});

/** How long a node that drains or stops counts on others, while the metadata change their leader. */
import { describe, expect, test } from '@jest/globals';
import type { Machine } from '../sim/simCluster.ts';
import { SIM_TIMING } from '../sim/simCluster.ts';
import { Scenario } from './testing/scenario.ts';

/** @returns a node that leads a segment, the leader of the metadata, and the third one. */
async function start(): Promise<{ scenario: Scenario; machines: readonly Machine[] }> {
  const scenario = await Scenario.start({ maxSegmentEntries: 3 });
  const metadataLeader = scenario.metadataLeader();
  do await scenario.write(1);
  while (scenario.leader() === metadataLeader);
  const machine = scenario.leader();
  await scenario.cluster.run(500);
  const { machines } = scenario.cluster;
  const third = machines.find((other) => other !== machine && other !== metadataLeader)!;
  return { scenario, machines: [machine, metadataLeader, third] };
}

describe('a node that stops', () => {
  test('waits over an election for others to lead what it led', async () => {
    const { scenario, machines } = await start();
    const { cluster } = scenario;
    const [machine, metadataLeader, third] = machines as [Machine, Machine, Machine];
    const { drain, session } = machine.parts!;
    third.process!.pause(); // there is no election without it
    cluster.kill(metadataLeader);
    drain.beginStop();
    await cluster.runUntil(() => !session.isFresh, 2000);
    await cluster.run(100);
    expect(drain.isHandingOver).toBe(true);
    expect(drain.status()).toMatchObject({ hasHeir: true, isDrained: false });
    third.process!.resume();
    await cluster.runUntil(() => !drain.isHandingOver, 10_000);
    expect(drain.status()).toMatchObject({ ledSegments: 0 });
    expect(scenario.leader()).toBe(third);
  });

  test('does not wait for an election that nobody can hold', async () => {
    const { scenario, machines } = await start();
    const { cluster } = scenario;
    const [machine, ...others] = machines as [Machine, Machine, Machine];
    const { drain } = machine.parts!;
    for (const other of others) cluster.kill(other);
    drain.beginStop();
    await cluster.run(SIM_TIMING.leaderlessMs - 100);
    expect(drain.isHandingOver).toBe(true);
    await cluster.run(SIM_TIMING.leaseMs + 200);
    expect(drain.isHandingOver).toBe(false);
    expect(drain.status()).toMatchObject({ hasHeir: false, isDrained: false });
    expect(drain.isLeaderless).toBe(true);
  });
});

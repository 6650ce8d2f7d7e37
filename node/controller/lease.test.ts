/** A lease ends before the segments of its node are taken from it, whoever leads the metadata meanwhile. */
import { describe, expect, test } from '@jest/globals';
import { assertDefined } from '../../base/assert.ts';
import type { SegmentId } from '../../base/units.ts';
import { HEARTBEAT } from '../../protocol/peer/requests.ts';
import type { Machine } from '../sim/simCluster.ts';
import { Scenario } from './testing/scenario.ts';

function ledBy(scenario: Scenario, { nodeId }: Machine): readonly SegmentId[] {
  const { segments } = scenario.metadataLeader().parts!.metadata.metadata;
  return [...segments.values()]
    .filter(({ state, leader }) => state === 'OPEN' && leader.nodeId === nodeId)
    .map(({ segmentId }) => segmentId);
}

/** Whether any node has applied that the segments are taken from their leader. */
function isTaken(scenario: Scenario, ids: readonly SegmentId[]): boolean {
  return scenario
    .running()
    .some(({ parts }) => ids.some((id) => parts!.metadata.metadata.segments.get(id)!.epoch > 0));
}

/** Until the segments are taken from the node, which must not have a lease then. */
async function expectLapsed(scenario: Scenario, node: Machine): Promise<void> {
  const ids = ledBy(scenario, node);
  expect(ids).not.toEqual([]);
  await scenario.cluster.runUntil(() => isTaken(scenario, ids), 6000);
  expect(node.parts!.session.isFresh).toBe(false);
}

describe('of a node that is cut off', () => {
  test.each([0, 70, 140])('right after a transfer of the leadership, at %i ms', async (afterMs) => {
    const scenario = await Scenario.startSpread(9);
    await scenario.cluster.run(afterMs);
    const before = scenario.metadataLeader();
    const [heir, node] = scenario.cluster.machines.filter((machine) => machine !== before);
    const heartbeats = followHeartbeats(node!);
    await scenario.cluster.runUntil(() => heartbeats.answered > 0, 1000);
    void before.parts!.raft.transferLeadership(heir!.parts!.raft.status().id);
    await scenario.cluster.runUntil(() => heir!.parts!.metadata.isLeader, 500);
    scenario.cluster.network.isolate(node!.address);
    await expectLapsed(scenario, node!);
  });

  test.each([0, 70, 140])('with a metadata leader that hands over, at %i ms', async (afterMs) => {
    const scenario = await Scenario.start({ nodeCount: 5, metadataVoters: 5 });
    await scenario.cluster.run(afterMs);
    const { network, machines } = scenario.cluster;
    const before = scenario.metadataLeader();
    const node = scenario.leader();
    const minority = machines.filter((machine) => machine === before || machine === node);
    const majority = machines.filter((machine) => !minority.includes(machine));
    const heir = assertDefined(majority[0], 'There are five');
    // It gets the word, and those who are cut off never hear that it stands.
    for (const { address } of minority) network.cut(heir.address, address);
    const { raft } = heir.parts!;
    const { id } = raft.status();
    void before.parts!.raft.transferLeadership(id).catch(() => undefined);
    await scenario.cluster.runUntil(() => raft.status().role === 'Candidate', 500);
    for (const inside of minority) {
      for (const outside of majority) {
        network.cut(inside.address, outside.address);
        network.cut(outside.address, inside.address);
      }
    }
    await expectLapsed(scenario, node);
  });
});

test('a node that is back has no lease while a recovery of its segment is proposed', async () => {
  const scenario = await Scenario.startSpread(9);
  const leader = scenario.metadataLeader();
  const node = assertDefined(
    scenario.running().find((machine) => machine !== leader),
    'There are three',
  );
  const ids = ledBy(scenario, node);
  const { metadata } = leader.parts!;
  const asLeader = metadata.asLeader.bind(metadata);
  const held: (() => void)[] = [];
  metadata.asLeader = () => {
    const propose = asLeader();
    return async (command) => {
      if (command.type === 'BeginRecovery') {
        await new Promise<void>((resolve) => held.push(resolve));
      }
      return await propose(command);
    };
  };
  node.process!.pause();
  await scenario.cluster.runUntil(() => held.length > 0, 3000);
  const heartbeats = followHeartbeats(node);
  node.process!.resume();
  await scenario.cluster.run(1000);
  expect([heartbeats.answered, isTaken(scenario, ids)]).toEqual([0, false]);
  for (const release of held.splice(0)) release();
  await scenario.cluster.runUntil(() => node.parts!.session.isFresh, 1000);
  const { segments } = node.parts!.metadata.metadata;
  expect(ids.every((id) => segments.get(id)!.epoch > 0)).toBe(true);
});

/** Counts the heartbeats of a node that are answered from now on. */
function followHeartbeats({ parts }: Machine): { answered: number } {
  const count = { answered: 0 };
  const { rpc } = parts!;
  const call = rpc.call.bind(rpc);
  rpc.call = async (address, api, request, timeoutMs) => {
    const answer = await call(address, api, request, timeoutMs);
    if (api.apiKey === HEARTBEAT.apiKey) count.answered += 1;
    return answer;
  };
  return count;
}

test('a recovery that a metadata leader decided before it was deposed never begins', async () => {
  const scenario = await Scenario.startSpread(9);
  const { cluster } = scenario;
  const deposed = scenario.metadataLeader();
  const [node, heir] = cluster.machines.filter((machine) => machine !== deposed);
  const ids = ledBy(scenario, node!);
  expect(ids).not.toEqual([]);
  // It does not hear the node. What it proposes from now on waits in its queue until it leads no more.
  cluster.network.cut(node!.address, deposed.address);
  await cluster.runUntil(() => !node!.parts!.session.isFresh, 3000);
  const { raft } = deposed.parts!;
  const propose = raft.propose.bind(raft);
  const queue: (() => void)[] = [];
  raft.propose = async (...proposal) => {
    await new Promise<void>((resolve) => queue.push(resolve));
    return await propose(...proposal);
  };
  await cluster.runUntil(() => queue.length > 0, 3000);
  void raft.transferLeadership(heir!.parts!.raft.status().id);
  await cluster.runUntil(() => node!.parts!.session.isFresh, 3000);
  for (const goOn of queue.splice(0)) goOn();
  await cluster.run(3000);
  expect(isTaken(scenario, ids)).toBe(false);
});

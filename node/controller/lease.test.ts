/** A lease ends before the segments of its node are taken from it, whoever leads the metadata meanwhile. */
import { describe, expect, test } from '@jest/globals';
import { assertDefined } from '../../base/assert.ts';
import type { SegmentId } from '../../base/units.ts';
import { MESSAGE_KIND } from '../../protocol/peer/envelope.ts';
import { HEARTBEAT } from '../../protocol/peer/requests.ts';
import type { Machine } from '../sim/simCluster.ts';
import { Scenario } from './testing/scenario.ts';

const LATE_MS = 300;

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

test('a node that is back goes on until it knows that it is replaced', async () => {
  const scenario = await Scenario.startSpread(9);
  const { cluster } = scenario;
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
  await cluster.runUntil(() => held.length > 0, 3000);
  node.process!.resume();
  await cluster.runUntil(() => node.parts!.session.isFresh, 1000);
  // From here on it hears late of what the metadata decide.
  const late = { slowKind: MESSAGE_KIND.RAFT, slowProbability: 1, slowMs: LATE_MS };
  cluster.network.faults = { ...cluster.network.faults, ...late, slowTo: node.address };
  for (const release of held.splice(0)) release();
  const statesAt = ({ parts }: Machine): readonly (string | undefined)[] =>
    ids.map((id) => parts!.metadata.metadata.segments.get(id)?.state);
  const isReplaced = (): boolean =>
    scenario.running().some((machine) => statesAt(machine).includes('SEALED'));
  await cluster.runUntil(isReplaced, 6000);
  expect(node.parts!.session.isFresh).toBe(true);
  expect(statesAt(node)).not.toContain('OPEN');
});

test('a leader that has proposed an end names none: it may have a successor', async () => {
  const scenario = await Scenario.start({});
  await scenario.write(3);
  const { segments, session } = scenario.leader().parts!;
  const segment = scenario.segment();
  const stateNow = () => segments.leaders().find((led) => led.segment === segment)?.state;
  expect(segments.namesEnd(segment)).toBe(true);
  segments.closeAll();
  await scenario.cluster.runUntil(() => stateNow() === 'Frozen', 1000);
  expect([session.isFresh, segments.namesEnd(segment)]).toEqual([true, false]);
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

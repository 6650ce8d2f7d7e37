/** An open segment whose leader cannot go on is never left at that: another node goes on (DESIGN W6). */
import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { nodeId, offset, segmentId } from '../../base/units.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { Machine } from '../sim/simCluster.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import { TestCluster, close, createTopic, place, plan, places } from '../state/testing/fixture.ts';
import { segmentsToRecover } from './failureDetector.ts';
import { mostUrgent } from './nodeReport.ts';
import { Sessions } from './sessions.ts';
import { OPEN_MS_MAX } from './leaderReport.ts';
import { heartbeatOf } from './testing/heartbeats.ts';
import { Scenario, values } from './testing/scenario.ts';

const REPLACED_MS_MAX = 2000;

function healthOf(machine: Machine): string {
  return machine.parts!.storage.health.state;
}

/** The disk of a machine has less than a new segment needs. */
function fill({ disk }: Machine): void {
  const capacityBytes = disk.faults.capacityBytes - disk.freeBytes() + 1024;
  disk.faults = { ...disk.faults, capacityBytes };
}

describe('a leader that cannot go on is replaced', () => {
  test('when one read of its log fails, while a member catches up', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(3);
    const leader = scenario.leader();
    const { segmentId: first } = scenario.segment();
    const late = scenario.followers()[0]!;
    scenario.cluster.kill(late);
    await scenario.write(5);
    const replica = leader.parts!.host.replica(first)!;
    const read = replica.read.bind(replica);
    replica.read = () => {
      replica.read = read;
      throw new WalrusError('DISK_FAILED', 'Cannot read: EIO');
    };
    scenario.cluster.start(late);
    await scenario.cluster.runUntil(() => scenario.segment().segmentId > first, 10_000);
    expect(healthOf(leader)).toBe('HEALTHY'); // nothing but the heartbeat tells of it
    await scenario.write(2);
    await scenario.cluster.run(3000);
    expect(scenario.read(scenario.leader())).toEqual(values(10));
  });

  test('when its log cannot be read at the close', async () => {
    const scenario = await Scenario.start({});
    await scenario.write(3);
    const leader = scenario.leader();
    const { segmentId: first } = scenario.segment();
    leader.parts!.host.replica(first)!.digestAt = () => {
      throw new WalrusError('DISK_FAILED', 'Cannot read: EIO');
    };
    leader.parts!.segments.closeAll();
    await scenario.cluster.runUntil(() => scenario.segment().segmentId > first, 10_000);
    await scenario.write(2);
  });

  test('when its disk is full by the time that it is to open the segment', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    await scenario.write(3);
    const next = scenario.cluster.machines[scenario.leader().nodeId % 3]!;
    fill(next); // between two heartbeats
    await scenario.write(3);
    expect(scenario.segment().leader.nodeId).not.toBe(next.nodeId);
    await scenario.write(10);
  });

  test('a full disk is given its time to get room first', async () => {
    const scenario = await Scenario.start({ maxSegmentEntries: 5 });
    await scenario.write(3);
    const next = scenario.cluster.machines[scenario.leader().nodeId % 3]!;
    const { faults } = next.disk;
    fill(next);
    const writing = scenario.write(3);
    await scenario.cluster.runUntil(() => scenario.segment().leader.nodeId === next.nodeId, 3000);
    const { segmentId: second } = scenario.segment();
    await scenario.cluster.run(OPEN_MS_MAX / 2);
    next.disk.faults = faults;
    await writing;
    await scenario.cluster.run(REPLACED_MS_MAX);
    expect(scenario.segment().segmentId).toBe(second);
  });
});

describe('segmentsToRecover()', () => {
  /** A partition whose last `empty` leaders could not begin, and what is recovered of it after a while. */
  function isDue(empty: number, ageMs: number): boolean {
    const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)));
    let last = 1;
    for (; last <= empty + 1; last += 1) {
      const ensemble = cluster.segment(last).ensemble;
      const next = plan(last + 1, 1, 2, 3);
      const endOffset = offset(last === 1 ? 100 : Number(cluster.segment(last).baseOffset));
      cluster.ok({ ...close(last), endOffset, replicas: ensemble, next });
    }
    const unledSegmentIds = [segmentId(last)];
    const sessions = new Sessions(new ManualClock(), {
      sessionTimeoutMs: REPLACED_MS_MAX,
      silentTimeoutMs: REPLACED_MS_MAX,
    });
    for (const id of [1, 2, 3]) sessions.expect(nodeId(id));
    sessions.heard(heartbeatOf(place(1), { unledSegmentIds }), cluster.state);
    const nowMs = cluster.segment(last).openedAtMs + ageMs;
    const due = segmentsToRecover(cluster.state, sessions, () => true, nowMs);
    return due.some((segment) => segment.segmentId === last);
  }

  test('takes what a node cannot lead, less and less often as long as nobody can', () => {
    expect(isDue(0, 0)).toBe(true);
    expect([isDue(1, 999), isDue(1, 1000)]).toEqual([false, true]);
    expect([isDue(3, 3999), isDue(3, 4000)]).toEqual([false, true]);
    expect([isDue(20, 63_999), isDue(20, 64_000)]).toEqual([false, true]);
    expect(isDue(20, -1)).toBe(true); // a clock that was put back does not stop it
  });
});

test('a heartbeat names damage of open segments first, however much there is', () => {
  const cluster = new TestCluster(3).ok(createTopic('t', plan(1, 1, 2, 3)), close(1));
  expect(cluster.segment(2).ensemble.map(({ nodeId }) => place(nodeId))).toEqual(places(2, 3, 1));
  const sealed = Array.from({ length: 2 * DAMAGED_IDS_MAX }, (_, at) => segmentId(at + 1000));
  const named = mostUrgent([segmentId(1), ...sealed, segmentId(2)], cluster.state);
  expect(named).toHaveLength(DAMAGED_IDS_MAX);
  expect(named.slice(0, 2)).toEqual([2, 1]);
});

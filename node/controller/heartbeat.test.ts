import { expect, test } from '@jest/globals';
import { nodeId } from '../../base/units.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import { MutableMetadata } from '../state/mutableMetadata.ts';
import { place } from '../state/testing/fixture.ts';
import { Heartbeat } from './heartbeat.ts';
import { heartbeatOf } from './testing/heartbeats.ts';
import type { MetadataService, PeerRpc } from './types.ts';

const INTERVAL_MS = 200;

/** A node whose metadata leader the test names; only `answers` answer. */
function start(answers: readonly string[]) {
  const scheduler = new Scheduler();
  const clock = new SimClock(scheduler, new SimProcess(), { offsetMs: 0 });
  const world = { leaderAddress: 'two:1' as string | null, calls: [] as string[] };
  const answer = { isRegistered: true, aliveNodeIds: [nodeId(3)], damagedCopies: [] };
  const rpc: PeerRpc = {
    call: (address) => {
      world.calls.push(address);
      const isAnswered = answers.includes(address);
      return (isAnswered ? Promise.resolve(answer) : new Promise(() => undefined)) as never;
    },
    handle: () => undefined,
  };
  const metadata: MetadataService = {
    metadata: new MutableMetadata(),
    isLeader: false,
    get leaderAddress() {
      return world.leaderAddress;
    },
    leaderNodeId: null,
    propose: () => new Promise(() => undefined),
    barrier: () => Promise.resolve(),
    onApplied: () => undefined,
    onLeadership: () => undefined,
  };
  const heartbeat = new Heartbeat({
    clock,
    logger: { log: () => undefined },
    rpc,
    metadata,
    intervalMs: INTERVAL_MS,
    leaseMs: 800,
    describe: () => heartbeatOf(place(3)),
    onRefused: () => undefined,
  });
  heartbeat.start();
  return { scheduler, world, heartbeat };
}

test('a heartbeat that the dead leader never answers does not keep back the one to its successor', async () => {
  const { scheduler, world, heartbeat } = start(['one:1']);
  await scheduler.run(INTERVAL_MS / 2);
  expect([world.calls, heartbeat.isFresh]).toEqual([['two:1'], false]);
  world.leaderAddress = 'one:1';
  await scheduler.run(1.5 * INTERVAL_MS);
  expect([world.calls, heartbeat.isFresh]).toEqual([['two:1', 'one:1'], true]);
});

test('to one leader there is one heartbeat under way', async () => {
  const { scheduler, world } = start([]);
  await scheduler.run(3 * INTERVAL_MS);
  expect(world.calls).toEqual(['two:1']);
});

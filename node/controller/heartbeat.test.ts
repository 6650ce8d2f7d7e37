import { expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { logIndex, nodeId } from '../../base/units.ts';
import type { HeartbeatResponse } from '../../protocol/peer/requests.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import { MutableMetadata } from '../state/mutableMetadata.ts';
import { place } from '../state/testing/fixture.ts';
import { Heartbeat } from './heartbeat.ts';
import { heartbeatOf } from './testing/heartbeats.ts';
import type { MetadataService, PeerRpc } from './types.ts';

const INTERVAL_MS = 200;
const LEASE_MS = 800;

/** A node whose metadata leader the test names; only `answers` answer. */
function start(answers: readonly string[]) {
  const scheduler = new Scheduler();
  const clock = new SimClock(scheduler, new SimProcess(), { offsetMs: 0 });
  const world = {
    leaderAddress: 'two:1' as string | null,
    calls: [] as string[],
    /** Of the leader as it answers; grows with each answer when `isBusy`. */
    leaderIndex: 9,
    isBusy: false,
    /** This node has applied all that the leader has. */
    isCaughtUp: true,
    waiting: [] as { readonly index: number; readonly resolve: () => void }[],
  };
  const answer = (): HeartbeatResponse => {
    if (world.isBusy) world.leaderIndex += 1;
    return {
      isRegistered: true,
      aliveNodeIds: [nodeId(2), nodeId(3)],
      drainingNodeIds: [nodeId(2)],
      damagedCopies: [],
      appliedIndex: logIndex(world.leaderIndex),
    };
  };
  const rpc: PeerRpc = {
    call: (address) => {
      world.calls.push(address);
      const isAnswered = answers.includes(address);
      return (isAnswered ? Promise.resolve(answer()) : new Promise(() => undefined)) as never;
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
    asLeader: () => () => new Promise(() => undefined),
    barrier: () => Promise.resolve(),
    applied: (index, timeoutMs) => {
      return new Promise((resolve, reject) => {
        if (world.isCaughtUp) resolve();
        else world.waiting.push({ index, resolve });
        clock.setTimer(timeoutMs, () => reject(new WalrusError('TIMED_OUT', 'Not applied yet')));
      });
    },
    onApplied: () => undefined,
    onLeadership: () => undefined,
  };
  const heartbeat = new Heartbeat({
    clock,
    logger: { log: () => undefined },
    rpc,
    metadata,
    intervalMs: INTERVAL_MS,
    leaseMs: LEASE_MS,
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

test('its answer says who is alive, and who of them stays', async () => {
  const { scheduler, heartbeat } = start(['two:1']);
  await scheduler.run(INTERVAL_MS / 2);
  expect([...heartbeat.aliveNodeIds]).toEqual([2, 3]);
  expect([...heartbeat.stayingNodeIds]).toEqual([3]);
});

test('to one leader there is one heartbeat under way', async () => {
  const { scheduler, world } = start([]);
  await scheduler.run(3 * INTERVAL_MS);
  expect(world.calls).toEqual(['two:1']);
});

test('a lease that has lapsed comes back only with the metadata that the leader had', async () => {
  const { scheduler, world, heartbeat } = start(['two:1']);
  const run = (forMs: number): Promise<void> => scheduler.run(scheduler.nowMs + forMs);
  const apply = async (): Promise<void> => {
    for (const { resolve } of world.waiting.splice(0)) resolve();
    await run(1);
  };
  world.isCaughtUp = false;
  await run(INTERVAL_MS / 2);
  expect(heartbeat.isFresh).toBe(false); // the first one, too
  await apply();
  expect(heartbeat.isFresh).toBe(true);
  await run(2 * LEASE_MS); // renewed without a gap: nothing is waited for
  expect([heartbeat.isFresh, world.waiting.length]).toEqual([true, 0]);
  world.leaderAddress = null; // nobody to beat to
  await run(LEASE_MS + INTERVAL_MS);
  expect(heartbeat.isFresh).toBe(false);
  world.leaderAddress = 'two:1';
  await run(2 * INTERVAL_MS);
  expect([heartbeat.isFresh, world.waiting.length > 0]).toEqual([false, true]);
  await apply();
  expect(heartbeat.isFresh).toBe(true);
});

test('a lease that comes back too late is none', async () => {
  const { scheduler, world, heartbeat } = start(['two:1']);
  world.isCaughtUp = false;
  await scheduler.run(1);
  world.leaderAddress = null;
  await scheduler.run(LEASE_MS);
  for (const { resolve } of world.waiting.splice(0)) resolve();
  await scheduler.run(LEASE_MS + 1);
  expect(heartbeat.isFresh).toBe(false);
});

test('a lapsed lease comes back however long the metadata take, while heartbeats are answered', async () => {
  const { scheduler, world, heartbeat } = start(['two:1']);
  world.isCaughtUp = false;
  world.isBusy = true; // so that what is applied is always behind what the newest answer tells of
  await scheduler.run(3.5 * LEASE_MS);
  expect([heartbeat.isFresh, world.leaderIndex]).toEqual([false, 9 + 14]);
  for (const { index, resolve } of world.waiting) if (index <= 9 + 5) resolve();
  await scheduler.run(3.5 * LEASE_MS + 1);
  expect(heartbeat.isFresh).toBe(true);
});

test('answers with a gap between them do not wait for the first one', async () => {
  const { scheduler, world, heartbeat } = start(['two:1']);
  world.isCaughtUp = false;
  world.isBusy = true;
  await scheduler.run(1);
  world.leaderAddress = null;
  await scheduler.run(2 * LEASE_MS);
  world.leaderAddress = 'two:1';
  await scheduler.run(2 * LEASE_MS + 2 * INTERVAL_MS);
  for (const { index, resolve } of world.waiting) if (index <= 9) resolve();
  await scheduler.run(2 * LEASE_MS + 2 * INTERVAL_MS + 1);
  expect([heartbeat.isFresh, world.leaderIndex > 9]).toEqual([false, true]);
  for (const { resolve } of world.waiting) resolve();
  await scheduler.run(2 * LEASE_MS + 2 * INTERVAL_MS + 2);
  expect(heartbeat.isFresh).toBe(true);
});

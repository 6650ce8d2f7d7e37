import { describe, expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { HEARTBEAT } from '../../protocol/peer/requests.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import { HEARTBEAT_ROUND_MS } from './controller.ts';
import { PacedBarrier } from './pacedBarrier.ts';
import { Scenario } from './testing/scenario.ts';

const INTERVAL_MS = 20;

function start() {
  const clock = new ManualClock();
  const begunMs: number[] = [];
  const barrier = (): Promise<void> => {
    begunMs.push(clock.monotonicMs());
    if (begunMs.length > 3) return Promise.reject(new WalrusError('METADATA_UNAVAILABLE', 'none'));
    return Promise.resolve();
  };
  return { clock, begunMs, paced: new PacedBarrier({ clock, intervalMs: INTERVAL_MS, barrier }) };
}

describe('PacedBarrier', () => {
  test('lets whoever comes alone begin at once, and has the others share the next one', async () => {
    const { clock, begunMs, paced } = start();
    const startMs = clock.monotonicMs();
    await paced.wait();
    const others = Promise.all([paced.wait(), paced.wait(), paced.wait()]);
    clock.step();
    await others;
    expect(begunMs.map((atMs) => atMs - startMs)).toEqual([0, INTERVAL_MS]);
  });

  test('gives none of the barriers that began before it was asked', async () => {
    const { clock, begunMs, paced } = start();
    void paced.wait();
    const first = paced.wait();
    clock.step();
    const second = paced.wait(); // while the one that they waited for is under way
    await first;
    expect(begunMs).toHaveLength(2);
    clock.step();
    await second;
    expect(begunMs).toHaveLength(3);
  });

  test('goes on after one that failed', async () => {
    const { clock, begunMs, paced } = start();
    for (let count = 0; count < 5; count += 1) {
      const waiting = paced.wait();
      clock.step();
      await waiting.catch(() => undefined);
    }
    expect(begunMs).toHaveLength(5);
  });
});

test('the heartbeats of a hundred nodes share their read rounds', async () => {
  const scenario = await Scenario.start({});
  const { parts, address } = scenario.metadataLeader();
  const { raft, rpc } = parts!;
  const readBarrier = raft.readBarrier.bind(raft);
  let rounds = 0;
  raft.readBarrier = () => {
    rounds += 1;
    return readBarrier();
  };
  const beat = { ...parts!.controller.sessions.beatOf(parts!.self.nodeId)! };
  let answered = 0;
  for (let sent = 0; sent < 500; sent += 1) {
    void rpc.call(address, HEARTBEAT, beat, 1000).then(() => (answered += 1));
    await scenario.cluster.run(2);
  }
  await scenario.cluster.run(100);
  expect(answered).toBe(500);
  expect(rounds).toBeLessThanOrEqual(1100 / HEARTBEAT_ROUND_MS);
});

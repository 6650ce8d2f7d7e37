import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import { LeaderElection, assertHeld } from './lease.ts';
import type { Term } from './lease.ts';
import { FakeApiServer } from './testing/fakeApiServer.ts';
import { FakeClient } from './testing/fakeClient.ts';

interface Candidate {
  readonly election: LeaderElection;
  readonly client: FakeClient;
  readonly process: SimProcess;
  readonly terms: Term[];
  endings: number;
}

let scheduler: Scheduler;
let server: FakeApiServer;

function candidate(identity: string): Candidate {
  const process = new SimProcess();
  const client = new FakeClient({ server, scheduler, process, user: identity });
  const terms: Term[] = [];
  const election = new LeaderElection({
    ...{ api: client, random: new SeededRandom(1), logger: SILENT, identity },
    clock: new SimClock(scheduler, process, { offsetMs: 0 }),
    ...{ namespace: 'system', name: 'lease' },
    onStarted: (term) => terms.push(term),
    onStopped: () => {
      started.endings += 1;
    },
  });
  const started: Candidate = { election, client, process, terms, endings: 0 };
  election.start();
  return started;
}

function holder(): string {
  const { holderIdentity } = server.find('Lease', 'system', 'lease')?.['spec'] as {
    holderIdentity: string;
  };
  return holderIdentity;
}

async function run(durationMs: number): Promise<void> {
  await scheduler.run(scheduler.nowMs + durationMs);
}

/** Two never lead at the same time, looked at every half second. */
async function runExclusively(durationMs: number, all: readonly Candidate[]): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 500) {
    await run(500);
    expect(all.filter(({ election }) => election.isLeading).length).toBeLessThanOrEqual(1);
  }
}

beforeEach(() => {
  scheduler = new Scheduler();
  server = new FakeApiServer(() => scheduler.nowMs);
});

describe('a leader election', () => {
  test('of two who try at once one leads, renews, and the other waits', async () => {
    const all = [candidate('a'), candidate('b')];
    await runExclusively(60_000, all);
    const leading = all.filter(({ election }) => election.isLeading);
    expect(leading).toHaveLength(1);
    expect(all.map(({ terms }) => terms.length).sort()).toEqual([0, 1]);
    expect(leading[0]?.endings).toBe(0);
  });

  test('who cannot renew stops before anybody else may begin', async () => {
    const a = candidate('a');
    await run(1000);
    const b = candidate('b');
    await run(1000);
    a.client.isCut = true;
    await runExclusively(10_500, [a, b]);
    expect([a.election.isLeading, a.endings, b.election.isLeading]).toEqual([false, 1, false]);
    await runExclusively(10_000, [a, b]);
    expect([b.election.isLeading, holder()]).toEqual([true, 'b']);
    a.client.isCut = false;
    await runExclusively(30_000, [a, b]);
    expect([a.election.isLeading, a.terms.length]).toEqual([false, 1]);
  });

  test('who hung knows it by the time, before any timer has told it', async () => {
    const a = candidate('a');
    await run(1000);
    const [term] = a.terms;
    a.process.pause();
    await run(11_000);
    expect(term?.isHeld).toBe(false);
    expect(() => assertHeld(term as Term)).toThrow('does not hold the lease');
  });

  test('a term that has ended is never held again, also when the same process leads again', async () => {
    const a = candidate('a');
    await run(1000);
    a.client.isCut = true;
    await run(12_000);
    a.client.isCut = false;
    await run(5000);
    expect(a.election.isLeading).toBe(true);
    expect(a.terms.map(({ isHeld }) => isHeld)).toEqual([false, true]);
    expect(a.terms.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });

  test('who finds another in the lease stops at once', async () => {
    const a = candidate('a');
    await run(1000);
    const spec = { holderIdentity: 'z', leaseDurationSeconds: 15 };
    server.put({ kind: 'Lease', metadata: { namespace: 'system', name: 'lease' }, spec });
    await run(3000);
    expect([a.election.isLeading, a.endings]).toEqual([false, 1]);
  });

  test('gives the lease back when it stops, so that another begins at once', async () => {
    const a = candidate('a');
    await run(1000);
    const b = candidate('b');
    await run(1000);
    const stopped = a.election.stop();
    await run(100);
    await stopped;
    expect([a.terms[0]?.isHeld, holder()]).toEqual([false, '']);
    await run(3000);
    expect([b.election.isLeading, holder()]).toEqual([true, 'b']);
  });

  test('a killed leader is followed once its lease has expired, not earlier', async () => {
    const a = candidate('a');
    await run(1000);
    const b = candidate('b');
    await run(3000);
    a.process.kill();
    await run(10_000);
    expect(b.election.isLeading).toBe(false);
    await run(10_000);
    expect(b.election.isLeading).toBe(true);
  });

  test('goes on trying while the API server does not answer', async () => {
    const a = candidate('a');
    a.client.isCut = true;
    await run(60_000);
    a.client.isCut = false;
    await run(5000);
    expect(a.election.isLeading).toBe(true);
  });
});

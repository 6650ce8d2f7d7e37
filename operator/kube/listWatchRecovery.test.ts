/** List and watch against an API server that forgets, falls silent, or ends what it has begun. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { SILENT } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import type { KubeApi } from './api.ts';
import { ListWatch } from './listWatch.ts';
import { kindOf } from './paths.ts';
import { FakeApiServer } from './testing/fakeApiServer.ts';
import { FakeClient } from './testing/fakeClient.ts';

const MINUTE_MS = 60_000;

let scheduler: Scheduler;
let server: FakeApiServer;
let client: FakeClient;

beforeEach(() => {
  scheduler = new Scheduler();
  server = new FakeApiServer(() => scheduler.nowMs);
  client = new FakeClient({ server, scheduler, process: new SimProcess(), user: 'a' });
});

function watchOf(api: KubeApi = client): ListWatch {
  const watch = new ListWatch({
    ...{ api, random: new SeededRandom(1), logger: SILENT, namespace: null },
    clock: new SimClock(scheduler, new SimProcess(), { offsetMs: 0 }),
    kind: kindOf('Pod'),
    labelSelector: 'app=walrus',
    onChange: () => undefined,
  });
  void watch.run();
  return watch;
}

function put(name: string, phase = 'Pending'): void {
  const metadata = { namespace: 'ocean', name, labels: { app: 'walrus' } };
  server.put({ kind: 'Pod', metadata: metadata, status: { phase } });
}

function verbs(): readonly string[] {
  return server.asked.map(({ verb }) => verb);
}

async function run(durationMs: number): Promise<void> {
  await scheduler.run(scheduler.nowMs + durationMs);
}

function names(watch: ListWatch): readonly string[] {
  return [...watch.objects.values()].map(({ metadata }) => metadata.name).sort();
}

describe('a list and watch', () => {
  test('lists anew when the server has forgotten where it was', async () => {
    put('a');
    const watch = watchOf();
    await run(1000);
    client.isCut = true;
    put('b');
    server.remove('Pod', 'ocean', 'a');
    server.compact();
    await run(MINUTE_MS);
    client.isCut = false;
    await run(MINUTE_MS);
    expect(names(watch)).toEqual(['b']);
  });

  test('bookmarks keep its place, so that others changing much costs no new list', async () => {
    put('a');
    const watch = watchOf();
    await run(1000);
    for (let i = 0; i < 5; i += 1) {
      const metadata = { namespace: 'ocean', name: `other-${i}` };
      server.put({ kind: 'Service', metadata, spec: {} });
    }
    await run(3 * MINUTE_MS);
    server.compact();
    await run(20 * MINUTE_MS);
    put('b');
    await run(1000);
    expect(names(watch)).toEqual(['a', 'b']);
    expect(verbs().filter((verb) => verb === 'list')).toHaveLength(1);
    expect(verbs().filter((verb) => verb === 'watch').length).toBeGreaterThan(2);
  });

  test('a connection that has died without a word is found out by its silence', async () => {
    const watch = watchOf();
    await run(1000);
    client.deafen();
    put('a');
    await run(2 * MINUTE_MS);
    expect(names(watch)).toEqual([]);
    await run(MINUTE_MS);
    expect(names(watch)).toEqual(['a']);
  });

  test('what loses its label goes, what gets it comes', async () => {
    put('a');
    const watch = watchOf();
    await run(1000);
    const metadata = { namespace: 'ocean', name: 'a' };
    server.put({ kind: 'Pod', metadata: { ...metadata, labels: {} } as never });
    put('b');
    await run(1000);
    expect(names(watch)).toEqual(['b']);
  });

  test('watches that are ended at once are taken up less and less often', async () => {
    let watches = 0;
    const api: KubeApi = {
      request: (request) => client.request(request),
      watch: () => {
        watches += 1;
        return (async function* () {})();
      },
    };
    watchOf(api);
    await run(10 * MINUTE_MS);
    expect(watches).toBeGreaterThan(10);
    expect(watches).toBeLessThan(60);
  });
});

import { afterEach, describe, expect, test } from '@jest/globals';
import type { Clock } from '../../base/clock.ts';
import { SILENT } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { KubeError } from './api.ts';
import type { Json, KubeApi, KubeRequest } from './api.ts';
import { ListWatch } from './listWatch.ts';
import type { ListWatchOptions } from './listWatch.ts';
import { kindOf } from './paths.ts';

function pod(name: string, resourceVersion: string): Json {
  return { metadata: { namespace: 'ocean', name, uid: name, resourceVersion } };
}

type WatchStep = Json | Error;

/** Answers lists and watches as it is told, one after the other; a watch that has said all stays open. */
class FakeApi implements KubeApi {
  readonly asked: string[] = [];
  readonly lists: (Json | Error)[] = [];
  readonly watches: (readonly WatchStep[])[] = [];

  request({ query }: KubeRequest): Promise<Json> {
    this.asked.push(`list ${query?.['continue'] ?? ''}`.trim());
    const next = this.lists.shift();
    if (next === undefined || next instanceof Error) {
      return Promise.reject(next ?? new Error('no list was expected'));
    }
    return Promise.resolve(next);
  }

  async *watch(
    _path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): AsyncIterable<Json> {
    this.asked.push(`watch from ${query['resourceVersion']}`);
    for (const step of this.watches.shift() ?? []) {
      if (step instanceof Error) throw step;
      yield step;
    }
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    throw new KubeError(0, 'NoAnswer', 'the watch was aborted');
  }
}

/** Timers fire only when they are told to. */
class ManualClock implements Clock {
  readonly timers: { delayMs: number; callback: () => void; isCancelled: boolean }[] = [];

  monotonicMs(): number {
    return 0;
  }

  wallMs(): number {
    return 0;
  }

  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { delayMs, callback, isCancelled: false };
    this.timers.push(timer);
    return {
      cancel: () => {
        timer.isCancelled = true;
      },
    };
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  /** Fires what waits now. */
  fire(isWanted: (delayMs: number) => boolean): void {
    for (const timer of this.timers.splice(0)) {
      if (!timer.isCancelled && isWanted(timer.delayMs)) timer.callback();
      else if (!timer.isCancelled) this.timers.push(timer);
    }
  }
}

const SILENCE_MS = 150_000;
let running: ListWatch | null = null;

afterEach(() => running?.stop());

function start(
  api: FakeApi,
  options: Partial<ListWatchOptions> = {},
): { watch: ListWatch; clock: ManualClock; changes: string[] } {
  const clock = new ManualClock();
  const changes: string[] = [];
  const watch = new ListWatch({
    api,
    clock,
    random: new SeededRandom(1),
    logger: SILENT,
    kind: kindOf('Pod'),
    namespace: null,
    onChange: ({ metadata: { name, resourceVersion } }) =>
      changes.push(`${name}@${resourceVersion}`),
    ...options,
  });
  running = watch;
  void watch.run();
  return { watch, clock, changes };
}

/** Lets everything that waits for nothing but its turn go on. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

function page(items: readonly Json[], resourceVersion: string, next?: string): Json {
  return { metadata: { resourceVersion, ...(next && { continue: next }) }, items };
}

describe('a list and watch', () => {
  test('lists in pages, then follows; items of a list have their kind', async () => {
    const api = new FakeApi();
    api.lists.push(page([pod('a', '1')], '5', 'more'), page([pod('b', '2')], '5'));
    api.watches.push([
      { type: 'MODIFIED', object: pod('a', '6') },
      { type: 'BOOKMARK', object: pod('', '9') },
      { type: 'DELETED', object: pod('b', '10') },
    ]);
    const { watch, changes } = start(api);
    await settled();
    expect(watch.isSynced).toBe(true);
    expect([...watch.objects.keys()]).toEqual(['ocean/a']);
    expect(changes).toEqual(['a@1', 'b@2', 'a@6', 'b@10']);
    expect(api.asked).toEqual(['list', 'list more', 'watch from 5']);
  });

  test('the items of a list have their kind, as those of a watch do', async () => {
    const api = new FakeApi();
    api.lists.push(page([pod('a', '1')], '5'));
    const { watch } = start(api);
    await settled();
    expect(watch.objects.get('ocean/a')).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
  });

  test('goes on after a broken watch where it was, with a back-off', async () => {
    const api = new FakeApi();
    api.lists.push(page([], '5'));
    api.watches.push(
      [{ type: 'ADDED', object: pod('a', '7') }, new KubeError(0, 'NoAnswer', 'reset')],
      [{ type: 'ADDED', object: pod('b', '8') }],
    );
    const { watch, clock } = start(api);
    await settled();
    expect(api.asked).toEqual(['list', 'watch from 5']);
    clock.fire((delayMs) => delayMs < SILENCE_MS);
    await settled();
    expect(api.asked).toEqual(['list', 'watch from 5', 'watch from 7']);
    expect([...watch.objects.keys()]).toEqual(['ocean/a', 'ocean/b']);
  });

  test('an expired watch begins with a new list, and what went meanwhile is told', async () => {
    const api = new FakeApi();
    api.lists.push(page([pod('a', '1'), pod('b', '2')], '5'), page([pod('b', '2')], '50'));
    const expired = { code: 410, reason: 'Expired', message: 'too old' };
    api.watches.push([{ type: 'ERROR', object: expired }]);
    const { watch, clock, changes } = start(api);
    await settled();
    clock.fire((delayMs) => delayMs < SILENCE_MS);
    await settled();
    expect(api.asked).toEqual(['list', 'watch from 5', 'list', 'watch from 50']);
    expect([...watch.objects.keys()]).toEqual(['ocean/b']);
    expect(changes).toEqual(['a@1', 'b@2', 'a@1']);
  });

  test('a silent watch is taken for dead', async () => {
    const api = new FakeApi();
    api.lists.push(page([], '5'));
    const { clock } = start(api);
    await settled();
    clock.fire((delayMs) => delayMs === SILENCE_MS);
    await settled();
    clock.fire((delayMs) => delayMs < SILENCE_MS);
    await settled();
    expect(api.asked).toEqual(['list', 'watch from 5', 'watch from 5']);
  });

  test('keeps trying while the API server is down, less and less often', async () => {
    const api = new FakeApi();
    const down = new KubeError(0, 'NoAnswer', 'connection refused');
    api.lists.push(down, down, down, down, page([pod('a', '1')], '5'));
    const { watch, clock } = start(api);
    const delays: number[] = [];
    for (let i = 0; i < 4; i++) {
      await settled();
      delays.push(
        ...clock.timers.filter((timer) => !timer.isCancelled).map(({ delayMs }) => delayMs),
      );
      clock.fire(() => true);
    }
    await settled();
    expect(watch.isSynced).toBe(true);
    expect(delays).toHaveLength(4);
    expect(delays[3]).toBeGreaterThan((delays[0] ?? 0) * 2);
  });

  test('of an API that may be missing goes on without it, and notices when it comes and goes', async () => {
    const api = new FakeApi();
    const missing = new KubeError(404, 'NotFound', 'the server could not find it');
    api.lists.push(missing, missing, page([pod('a', '1')], '5'), missing, missing);
    api.watches.push([missing]);
    const served: (string | null)[] = [];
    const { watch, clock, changes } = start(api, {
      isOptional: true,
      onServedChange: () => served.push(watch.absence),
    });
    await settled();
    expect([watch.isSynced, watch.absence]).toEqual([false, null]); // asked once more
    clock.fire(() => true);
    await settled();
    expect(watch.isSynced).toBe(true);
    expect(watch.absence).toContain('has no Pod');
    clock.fire(() => true);
    await settled();
    expect(served).toHaveLength(2); // it has come; its watch is refused
    clock.fire(() => true);
    await settled();
    expect(changes).toEqual(['a@1', 'a@1']); // there, and gone with its API
    expect(served).toEqual([expect.stringContaining('has no Pod'), null, watch.absence]);
    expect(watch.objects.size).toBe(0);
  });

  test('of an optional API that is forbidden says why', async () => {
    const api = new FakeApi();
    const forbidden = new KubeError(403, 'Forbidden', 'no such permission');
    api.lists.push(forbidden, forbidden);
    const { watch, clock } = start(api, { isOptional: true });
    await settled();
    clock.fire(() => true);
    await settled();
    expect(watch.absence).toBe('no such permission');
    expect(watch.isSynced).toBe(true);
  });
});

import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import { WorkQueue } from './workQueue.ts';

const PASS_MS = 100;

/** A queue whose passes take 100 ms each, and what it did. */
class Bench {
  readonly scheduler = new Scheduler();
  readonly begun: { readonly key: string; readonly atMs: number }[] = [];
  readonly failures: unknown[] = [];
  readonly queue: WorkQueue;
  /** Keys whose passes fail. */
  readonly failing = new Set<string>();
  atOnce = 0;
  mostAtOnce = 0;
  /** A key was worked on by two at the same time. */
  isTorn = false;
  again: number | null = null;
  readonly #active = new Set<string>();

  constructor(workers = 2) {
    const clock = new SimClock(this.scheduler, new SimProcess(), { offsetMs: 0 });
    this.queue = new WorkQueue({
      ...{ clock, random: new SeededRandom(1), workers },
      work: (key) => this.#work(key),
      onFailure: (_key, error) => this.failures.push(error),
    });
  }

  times(key: string): readonly number[] {
    return this.begun.filter((pass) => pass.key === key).map(({ atMs }) => atMs);
  }

  async #work(key: string): Promise<number | null> {
    this.isTorn ||= this.#active.has(key);
    this.#active.add(key);
    this.begun.push({ key, atMs: this.scheduler.nowMs });
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    await new Promise<void>((resolve) => this.scheduler.schedule(PASS_MS, resolve));
    this.atOnce -= 1;
    this.#active.delete(key);
    if (this.failing.has(key)) throw new Error('it fails');
    return this.again;
  }
}

describe('a work queue', () => {
  test('works on a key once however often it is added, and once more when it came meanwhile', async () => {
    const bench = new Bench();
    for (let i = 0; i < 5; i += 1) bench.queue.add('a');
    bench.scheduler.schedule(50, () => {
      for (let i = 0; i < 5; i += 1) bench.queue.add('a');
    });
    await bench.scheduler.run(1000);
    expect(bench.times('a')).toEqual([0, 100]);
    expect(bench.isTorn).toBe(false);
  });

  test('works on as many keys at once as it has workers, each by one', async () => {
    const bench = new Bench(2);
    for (const key of ['a', 'b', 'c', 'd', 'e']) bench.queue.add(key);
    expect(bench.queue.depth).toBe(3);
    await bench.scheduler.run(1000);
    expect(bench.begun.map(({ atMs }) => atMs)).toEqual([0, 0, 100, 100, 200]);
    expect([bench.mostAtOnce, bench.isTorn, bench.queue.depth]).toEqual([2, false, 0]);
  });

  test('waits longer after each failure, up to a minute, and begins anew after a success', async () => {
    const bench = new Bench();
    bench.failing.add('a');
    bench.queue.add('a');
    await bench.scheduler.run(600_000);
    const times = bench.times('a');
    const waits = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0) - PASS_MS);
    for (const [index, waitMs] of waits.entries()) {
      const most = Math.min(60_000, 500 * 2 ** index);
      expect(waitMs).toBeGreaterThanOrEqual(most / 2);
      expect(waitMs).toBeLessThanOrEqual(most);
    }
    expect(bench.failures).toHaveLength(times.length);
    bench.failing.clear();
    await bench.scheduler.run(700_000);
    bench.failing.add('a');
    const before = bench.times('a').length;
    bench.queue.add('a');
    await bench.scheduler.run(701_000);
    expect(bench.times('a').length).toBeGreaterThan(before + 1);
  });

  test('comes again after what a pass asks for, or earlier when something else does', async () => {
    const bench = new Bench();
    bench.again = 1000;
    bench.queue.add('a');
    await bench.scheduler.run(2500);
    expect(bench.times('a')).toEqual([0, 1100, 2200]);
    bench.queue.addAfter('a', 50);
    await bench.scheduler.run(2600);
    expect(bench.times('a')).toEqual([0, 1100, 2200, 2550]);
  });

  test('keeps nothing of a key that is forgotten', async () => {
    const bench = new Bench();
    bench.queue.addAfter('a', 100);
    bench.queue.forget('a');
    await bench.scheduler.run(1000);
    expect(bench.begun).toEqual([]);
  });

  test('stops when what is worked on has ended, and takes nothing more', async () => {
    const bench = new Bench(1);
    bench.queue.add('a');
    bench.queue.add('b');
    let isStopped = false;
    void bench.queue.stop().then(() => {
      isStopped = true;
    });
    await bench.scheduler.run(50);
    expect(isStopped).toBe(false);
    await bench.scheduler.run(1000);
    bench.queue.add('c');
    await bench.scheduler.run(2000);
    expect(isStopped).toBe(true);
    expect(bench.begun).toHaveLength(1);
  });
});

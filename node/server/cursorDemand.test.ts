import { expect, test } from '@jest/globals';
import { WalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import { CursorDemand } from './cursorDemand.ts';
import type { Look } from './cursorDemand.ts';
import { ManualClock } from './testing/manualClock.ts';

const REQUEST_TIMEOUT_MS = 100;
const UNREACHED = new WalrusError('CONNECTION_FAILED', 'nobody answers');

class World {
  readonly clock = new ManualClock();
  readonly answers: string[] = [];
  /** How many were asked for by each look. */
  readonly counts: number[] = [];
  /** Whose connection has gone. */
  readonly gone = new Set<string>();
  /** What nobody took. */
  readonly givenBack: number[] = [];
  isIdle = false;
  #looks: ((look: Look) => void)[] = [];
  #pauses: (() => void)[] = [];
  readonly demand = new CursorDemand({
    clock: this.clock,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    look: (count) => {
      this.counts.push(count);
      return new Promise((resolve) => this.#looks.push(resolve));
    },
    pause: () => new Promise((resolve) => this.#pauses.push(resolve)),
    onIdle: () => {
      this.isIdle = true;
    },
  });

  ask(name: string): void {
    this.demand.add({
      isWanted: () => !this.gone.has(name),
      done: (error, handed) => {
        this.answers.push(`${name} ${error?.code ?? handed?.offset ?? 'end'}`);
      },
    });
  }

  /** The look that is under way finds this. */
  async find(offsets: readonly number[], rest: Partial<Look> = {}): Promise<void> {
    const handed = offsets.map((at) => ({
      partition: 0,
      offset: offset(at),
      value: new Uint8Array(0),
      settle: () => void this.givenBack.push(at),
    }));
    this.#looks.shift()?.({ handed, isEnd: false, failure: null, ...rest });
    await new Promise((resolve) => setImmediate(resolve));
  }

  async resume(): Promise<void> {
    this.#pauses.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('one look serves all who wait by then, in their order', async () => {
  const world = new World();
  world.ask('a');
  for (const name of ['b', 'c', 'd']) world.ask(name);
  await world.find([5]);
  await world.find([6, 7], { isEnd: true });
  expect(world.counts).toEqual([1, 3]);
  expect(world.answers).toEqual(['a 5', 'd end', 'b 6', 'c 7']);
  expect(world.isIdle).toBe(true);
});

test('who got nothing although there is more is served by the next look, before others', async () => {
  const world = new World();
  for (const name of ['a', 'b', 'c']) world.ask(name);
  await world.find([0]);
  await world.find([1]);
  world.ask('d');
  await world.find([2]);
  await world.find([3], { isEnd: true });
  expect(world.answers).toEqual(['a 0', 'b 1', 'c 2', 'd 3']);
});

test('a cursor that cannot be asked is asked again until the time is over', async () => {
  const world = new World();
  world.ask('a');
  await world.find([], { failure: UNREACHED });
  world.ask('b');
  world.clock.advance(REQUEST_TIMEOUT_MS / 2);
  await world.resume();
  await world.find([0], { failure: UNREACHED });
  world.clock.advance(REQUEST_TIMEOUT_MS);
  await world.resume();
  await world.find([], { failure: UNREACHED });
  expect(world.answers).toEqual(['a 0', 'b CONNECTION_FAILED']);
  expect(world.counts).toEqual([1, 2, 1]);
});

test('what cannot be mended is told at once', async () => {
  const world = new World();
  world.ask('a');
  await world.find([], { failure: new WalrusError('TOPIC_NOT_FOUND', 'gone') });
  expect([world.answers, world.isIdle]).toEqual([['a TOPIC_NOT_FOUND'], true]);
});

test('who has gone leaves his record to the next; what nobody wants is given back', async () => {
  const world = new World();
  for (const name of ['a', 'b', 'c', 'd']) world.ask(name);
  await world.find([5]);
  world.gone.add('b');
  await world.find([6, 7, 8]);
  expect(world.answers).toEqual(['a 5', 'b end', 'c 6', 'd 7']);
  expect(world.givenBack).toEqual([8]);
  world.ask('e');
  world.gone.add('e');
  await world.find([8]);
  expect([world.givenBack, world.isIdle]).toEqual([[8, 8], true]);
});

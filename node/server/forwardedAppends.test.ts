import { describe, expect, test } from '@jest/globals';
import type { WalrusError } from '../../base/errors.ts';
import { segmentId } from '../../base/units.ts';
import { ForwardedAppends } from './forwardedAppends.ts';
import type { Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** A topic t whose segment the test moves on, and timers that it fires. */
function world() {
  let current = 1;
  let applied: (change: object) => void = () => undefined;
  const timers = new Set<() => void>();
  const metadata = { onApplied: (listener: typeof applied) => (applied = listener) };
  const setTimer = (_delayMs: number, callback: () => void) => {
    timers.add(callback);
    return { cancel: () => timers.delete(callback) };
  };
  // Doubles: ForwardedAppends asks nothing else of its context and the router.
  const context = { parts: { metadata }, clock: { setTimer } } as unknown as ServerContext;
  const leadership = () => ({ segment: { segmentId: segmentId(current) } });
  const subject = new ForwardedAppends(context, { leadership } as unknown as Router);
  const errors: WalrusError[] = [];
  const forget = subject.watch({ topic: 't', partition: 0 }, segmentId(1), (error) => {
    errors.push(error);
  });
  return {
    errors,
    forget,
    timers,
    moveOn: () => (current += 1),
    apply: (topic: string) => applied({ isRestored: false, topics: new Set([topic]) }),
    fire: () => {
      for (const timer of [...timers]) timer();
    },
  };
}

describe('ForwardedAppends', () => {
  test('gives up an answer a moment after the partition has another segment', () => {
    const { apply, moveOn, fire, errors, timers } = world();
    moveOn();
    apply('t');
    apply('t');
    expect([timers.size, errors.length]).toEqual([1, 0]);
    fire();
    expect(errors.map(({ code }) => code)).toEqual(['TIMED_OUT']);
  });

  test('goes on waiting while the segment is the same, and after changes of other topics', () => {
    const { apply, moveOn, timers } = world();
    apply('t');
    moveOn();
    apply('other');
    expect(timers.size).toBe(0);
  });

  test('leaves an answered one alone', () => {
    const { apply, moveOn, forget, timers } = world();
    moveOn();
    apply('t');
    forget();
    apply('t');
    expect(timers.size).toBe(0);
  });
});

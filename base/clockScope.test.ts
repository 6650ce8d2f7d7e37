import { expect, test } from '@jest/globals';
import { ManualClock } from '../node/server/testing/manualClock.ts';
import { ClockScope } from './clockScope.ts';

test('ClockScope passes timers on, and counts those that are pending', () => {
  const clock = new ManualClock();
  const scope = new ClockScope(clock);
  const fired: string[] = [];
  scope.setTimer(10, () => fired.push('first'));
  const cancelled = scope.setTimer(20, () => fired.push('cancelled'));
  expect([scope.timerCount, scope.monotonicMs()]).toEqual([2, clock.monotonicMs()]);
  clock.advance(10);
  cancelled.cancel();
  clock.advance(10);
  expect([fired, scope.timerCount]).toEqual([['first'], 0]);
});

test('a ClockScope that has ended cancels its timers and sets none any more', () => {
  const clock = new ManualClock();
  const scope = new ClockScope(clock);
  const fired: string[] = [];
  scope.setTimer(10, () => fired.push('armed before'));
  scope.defer(() => fired.push('deferred before'));
  scope.end();
  scope.setTimer(0, () => fired.push('armed after')).cancel();
  scope.setTimer(10, () => fired.push('armed after'));
  scope.defer(() => fired.push('deferred after'));
  clock.advance(100);
  expect([fired, scope.timerCount]).toEqual([[], 0]);
});

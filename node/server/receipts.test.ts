/** When a record that was written to a client counts as delivered, and when it is given back. */
import { describe, expect, test } from '@jest/globals';
import { offset } from '../../base/units.ts';
import type { Handed } from './handed.ts';
import { Receipts, WHOLE_MS } from './receipts.ts';
import { ManualClock } from './testing/manualClock.ts';

interface World {
  readonly clock: ManualClock;
  readonly receipts: Receipts;
  /** The fate of each record, by its number. */
  readonly fates: Map<number, boolean>;
  /** Writes one reply for each of these records. */
  readonly write: (...records: readonly number[]) => () => void;
}

function world(): World {
  const clock = new ManualClock();
  const receipts = new Receipts(clock);
  const fates = new Map<number, boolean>();
  const handed = (at: number): Handed => ({
    partition: 0,
    offset: offset(at),
    value: new Uint8Array(0),
    settle: (wasDelivered) => {
      expect(fates.has(at)).toBe(false);
      fates.set(at, wasDelivered);
    },
  });
  const write = (...records: readonly number[]): (() => void) =>
    receipts.wrote(records.length, records.map(handed)) ?? (() => undefined);
  return { clock, receipts, fates, write };
}

describe('Receipts', () => {
  test('the next command of a client that sends one after the other shows that it has read', () => {
    const { receipts, fates, write } = world();
    receipts.came(1);
    write(0)();
    expect(fates.size).toBe(0);
    receipts.came(1);
    expect(Object.fromEntries(fates)).toEqual({ 0: true });
    receipts.closed(false);
  });

  test('a client that keeps several unanswered has read what is that far behind', () => {
    const { receipts, fates, write } = world();
    receipts.came(3);
    write(0)();
    write(1)();
    receipts.came(2); // in answer to both: three are unanswered again
    expect(fates.size).toBe(2);
    write(2)();
    receipts.came(0);
    expect([...fates.keys()]).toEqual([0, 1]);
    receipts.closed(false);
    expect(Object.fromEntries(fates)).toEqual({ 0: true, 1: true, 2: false });
  });

  test('commands that were sent before the replies prove nothing', () => {
    const { receipts, fates, write } = world();
    receipts.came(100);
    write(...Array.from({ length: 100 }, (_, i) => i))();
    receipts.came(50);
    expect(fates.size).toBe(0);
    receipts.closed(false);
    expect([...fates.values()].every((wasDelivered) => !wasDelivered)).toBe(true);
    expect(fates.size).toBe(100);
  });

  test('a connection that stays whole for long enough after the reply left is proof', () => {
    const { clock, receipts, fates, write } = world();
    receipts.came(2);
    const released = write(0);
    const later = write(1);
    clock.advance(10 * WHOLE_MS);
    expect(fates.size).toBe(0); // still in this process
    released();
    clock.advance(WHOLE_MS / 2);
    later();
    clock.advance(WHOLE_MS / 2);
    expect(Object.fromEntries(fates)).toEqual({ 0: true });
    receipts.closed(false);
    expect(Object.fromEntries(fates)).toEqual({ 0: true, 1: false });
    expect(clock.timerCount).toBe(0);
  });

  test('an end in order is proof of what was sent', () => {
    const { receipts, fates, write } = world();
    receipts.came(2);
    write(0)();
    write(1);
    receipts.closed(true);
    expect(Object.fromEntries(fates)).toEqual({ 0: true, 1: false });
  });
});

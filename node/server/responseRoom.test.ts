/** What the responses of one connection may take, and who waits for whom. */
import { describe, expect, test } from '@jest/globals';
import { ResponseRoom } from './responseRoom.ts';
import type { Reservation } from './responseRoom.ts';

const LEAST = { leastBytes: 10, wantedBytes: 40 };

function roomOf(limitBytes: number): { room: ResponseRoom; unsent: { bytes: number } } {
  const unsent = { bytes: 0 };
  const unsentBytes = (): number => unsent.bytes;
  return { room: new ResponseRoom({ limitBytes, requestBytes: () => 0, unsentBytes }), unsent };
}

/** What has been given so far; null where it waits. */
async function given(promises: readonly Promise<number>[]): Promise<(number | null)[]> {
  const settled = promises.map((): number | null => null);
  for (const [index, promise] of promises.entries()) {
    void promise.then((bytes) => (settled[index] = bytes));
  }
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
  return settled;
}

function takeAll(room: ResponseRoom, count: number): [Reservation[], Promise<number>[]] {
  const reservations = Array.from({ length: count }, () => room.reservation());
  return [reservations, reservations.map((reservation) => reservation.take(LEAST))];
}

describe('ResponseRoom', () => {
  test('gives what there is, then makes wait, and never more than the limit', async () => {
    const { room } = roomOf(100);
    const [[first, second], taken] = takeAll(room, 5);
    expect(await given(taken)).toEqual([40, 40, 20, null, null]);
    expect(room.takenBytes).toBe(100);
    first?.keep(5); // the response is smaller than it might have been
    expect(await given(taken)).toEqual([40, 40, 20, 35, null]);
    second?.end();
    expect(await given(taken)).toEqual([40, 40, 20, 35, 40]);
    expect(room.takenBytes).toBe(100);
  });

  test('counts what is not sent', async () => {
    const { room, unsent } = roomOf(100);
    unsent.bytes = 95;
    const [, taken] = takeAll(room, 1);
    expect(await given(taken)).toEqual([null]);
    unsent.bytes = 80;
    room.changed();
    expect(await given(taken)).toEqual([20]);
  });

  test('gives one response the least that it needs when nothing else is held', async () => {
    const { room } = roomOf(5);
    const [[first], taken] = takeAll(room, 2);
    expect(await given(taken)).toEqual([10, null]);
    first?.end();
    expect(await given(taken)).toEqual([10, 10]);
  });

  test('shares take half at most, and hold nobody up but other shares', async () => {
    const { room } = roomOf(80);
    const shares = Array.from({ length: 4 }, () => room.reservation().takeShare(LEAST));
    expect(await given(shares)).toEqual([20, 10, 10, null]);
    const [, taken] = takeAll(room, 1);
    expect(await given(taken)).toEqual([40]);
  });

  test('lets everybody go when the connection is gone', async () => {
    const { room } = roomOf(40);
    const [[first], taken] = takeAll(room, 2);
    let count = 0;
    const forget = first?.onWaitsEnd(() => (count += 100));
    first?.onWaitsEnd(() => (count += 1));
    forget?.();
    room.close();
    expect(await given(taken)).toEqual([40, 0]);
    expect(await first?.take(LEAST)).toBe(0);
    expect(count).toBe(1);
  });

  test('lets nobody wait any longer that can be answered with less', () => {
    const { room } = roomOf(40);
    const reservation = room.reservation();
    let count = 0;
    reservation.onWaitsEnd(() => (count += 1));
    expect(reservation.mayWait).toBe(true);
    room.endWaits();
    reservation.onWaitsEnd(() => (count += 1)); // it would wait for ever
    expect([reservation.mayWait, reservation.isOpen, count]).toEqual([false, true, 2]);
  });
});

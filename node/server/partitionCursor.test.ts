import { describe, expect, test } from '@jest/globals';
import { offset } from '../../base/units.ts';
import { setBaseOffset } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import { CONFIRM_MS_MAX, PartitionCursor } from './partitionCursor.ts';
import { ManualClock } from './testing/manualClock.ts';

/** A log of batches of three records, values being their offsets. */
function cursorOver(recordsCount: number): { cursor: PartitionCursor; clock: ManualClock } {
  const clock = new ManualClock();
  const cursor = new PartitionCursor({
    clock,
    position: offset(0),
    onSafe: () => undefined,
    readElsewhere: () => Promise.reject(new Error('not needed here')),
    readHere: (from) => {
      if (from >= recordsCount) {
        return { type: 'End', segment: null as never, committedOffset: offset(recordsCount) };
      }
      const base = from - (from % 3);
      const builder = new RecordBatchBuilder({ maxBytes: 1000 });
      for (let at = base; at < base + 3; at += 1) builder.appendValue(Uint8Array.of(at), 1);
      const bytes = builder.finish();
      setBaseOffset(bytes, 0, offset(base));
      return { type: 'Batches', read: { bytes, nextOffset: offset(base + 3) } };
    },
  });
  return { cursor, clock };
}

function take(cursor: PartitionCursor): number | string {
  let result: number | string = 'none';
  cursor.take((error, taken) => {
    if (error !== null) result = error.code;
    else if (taken !== null) {
      expect(taken.value).toEqual(Uint8Array.of(taken.offset));
      result = taken.offset;
    } else result = 'EMPTY';
  });
  return result;
}

describe('PartitionCursor', () => {
  test('hands out each record once, across batches, then says that it is at the end', () => {
    const { cursor } = cursorOver(6);
    const taken = Array.from({ length: 7 }, () => take(cursor));
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 'EMPTY']);
  });

  test('its safe position never passes a record that is not confirmed', () => {
    const { cursor } = cursorOver(6);
    for (let i = 0; i < 4; i += 1) take(cursor);
    for (const at of [1, 3]) cursor.settle(offset(at), true);
    expect(cursor.safePosition).toBe(0);
    cursor.settle(offset(0), true);
    expect(cursor.safePosition).toBe(2);
    cursor.settle(offset(2), false);
    expect(cursor.safePosition).toBe(2);
    expect(take(cursor)).toBe(2);
    cursor.settle(offset(2), true);
    expect(cursor.safePosition).toBe(4);
  });

  test('hands out again what nobody confirms in time, lowest first', () => {
    const { cursor, clock } = cursorOver(6);
    for (let i = 0; i < 3; i += 1) take(cursor);
    cursor.settle(offset(1), true);
    clock.advance(CONFIRM_MS_MAX);
    expect([take(cursor), take(cursor), take(cursor)]).toEqual([0, 2, 3]);
  });

  test('hands out nothing while it closes, and says when all has arrived', () => {
    const { cursor } = cursorOver(6);
    take(cursor);
    let isQuiet = false;
    cursor.close(() => {
      isQuiet = true;
    });
    expect([isQuiet, take(cursor)]).toEqual([false, 'NOT_LEADER']);
    cursor.settle(offset(0), true);
    expect([isQuiet, cursor.safePosition]).toEqual([true, 1]);
  });
});

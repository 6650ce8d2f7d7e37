import { describe, expect, test } from '@jest/globals';
import { nodeId, offset } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import { setBaseOffset } from '../../protocol/recordBatch.ts';
import { RecordBatchBuilder } from '../../protocol/recordBatchBuilder.ts';
import { CONFIRM_MS_MAX, PartitionCursor } from './partitionCursor.ts';
import { ManualClock } from './testing/manualClock.ts';
import type { TakeCall } from './underWay.ts';

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

const HERE = nodeId(1);
const [OTHER, THIRD] = [nodeId(2), nodeId(3)];

/** Takes one record. */
function take(cursor: PartitionCursor, taker = HERE): number | string {
  const [result = 'none'] = takeSome(cursor, 1, taker);
  return result;
}

/** What a request is given, in an array that may be filled later. */
function takeSome(
  cursor: PartitionCursor,
  count: number,
  taker: NodeId,
  isWanted = () => true,
): (number | string)[] {
  const result: (number | string)[] = [];
  cursor.take({
    taker,
    count,
    isWanted,
    done: ({ taken, isEnd, error }) => {
      for (const { offset: at, value } of taken) {
        expect(value).toEqual(Uint8Array.of(at));
        result.push(at);
      }
      if (error !== null) result.push(error.code);
      else if (isEnd) result.push('EMPTY');
    },
  });
  return result;
}

/** A request of another node for some records. */
function ask(cursor: PartitionCursor, call: TakeCall, count = 2): (number | string)[] {
  if (!cursor.resume(OTHER, call)) return ['overtaken'];
  return takeSome(cursor, count, OTHER, () => cursor.isCurrent(OTHER, call));
}

const call = (sequence: number, received: number, bootEpoch = 1): TakeCall => ({
  bootEpoch,
  sequence,
  received,
});

describe('PartitionCursor', () => {
  test('hands out each record once, across batches, then says that it is at the end', () => {
    const { cursor } = cursorOver(6);
    const taken = Array.from({ length: 7 }, () => take(cursor));
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 'EMPTY']);
  });

  test('its safe position never passes a record that is not confirmed', () => {
    const { cursor } = cursorOver(6);
    for (let i = 0; i < 4; i += 1) take(cursor);
    for (const at of [1, 3]) cursor.settle(offset(at), true, HERE);
    expect(cursor.safePosition).toBe(0);
    cursor.settle(offset(0), true, HERE);
    expect(cursor.safePosition).toBe(2);
    cursor.settle(offset(2), false, HERE);
    expect(cursor.safePosition).toBe(2);
    expect(take(cursor)).toBe(2);
    cursor.settle(offset(2), true, HERE);
    expect(cursor.safePosition).toBe(4);
  });

  test('hands out again what nobody confirms in time, lowest first', () => {
    const { cursor, clock } = cursorOver(6);
    for (let i = 0; i < 3; i += 1) take(cursor);
    cursor.settle(offset(1), true, HERE);
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
    cursor.settle(offset(0), true, HERE);
    expect([isQuiet, cursor.safePosition]).toEqual([true, 1]);
  });
});

describe('PartitionCursor, asked by several nodes,', () => {
  test('hands nothing newer to another one before what is under way has arrived', () => {
    const { cursor } = cursorOver(6);
    expect(ask(cursor, call(1, 0))).toEqual([0, 1]);
    expect([cursor.isFree(OTHER), cursor.isFree(HERE)]).toEqual([true, false]);
    const mine = takeSome(cursor, 1, HERE);
    const third = takeSome(cursor, 1, THIRD);
    expect(cursor.isFree(OTHER)).toBe(false); // others were there before
    cursor.settle(offset(1), true, HERE); // not his
    cursor.settle(offset(0), true, OTHER);
    expect([mine, third]).toEqual([[], []]);
    cursor.settle(offset(1), false, OTHER);
    expect([mine, third]).toEqual([[1], []]);
    cursor.settle(offset(1), true, HERE);
    expect(third).toEqual([2]);
  });

  test('gives up what a node never confirms, and hands it to the next one, first', () => {
    const { cursor, clock } = cursorOver(6);
    expect(ask(cursor, call(1, 0))).toEqual([0, 1]);
    const mine = takeSome(cursor, 3, HERE);
    clock.advance(CONFIRM_MS_MAX - 1);
    expect(mine).toEqual([]);
    clock.advance(1);
    expect(mine).toEqual([0, 1, 2]);
    cursor.settle(offset(0), false, OTHER); // too late
    expect(cursor.safePosition).toBe(0);
    for (const at of mine) cursor.settle(offset(Number(at)), true, HERE);
    expect(cursor.safePosition).toBe(3);
  });

  test('begins with what the answer held that was lost', () => {
    const { cursor } = cursorOver(9);
    expect(ask(cursor, call(1, 0))).toEqual([0, 1]);
    expect(ask(cursor, call(2, 1))).toEqual([2, 3]); // 0 and 1 came, and are on their way to clients
    cursor.settle(offset(0), true, OTHER);
    expect(ask(cursor, call(3, 1), 3)).toEqual([2, 3, 4]);
    expect(ask(cursor, call(5, 3))).toEqual([5, 6]);
    expect(cursor.safePosition).toBe(1);
  });

  test('begins with all that a process held which has ended', () => {
    const { cursor } = cursorOver(9);
    expect(ask(cursor, call(7, 0))).toEqual([0, 1]);
    expect(ask(cursor, call(8, 7))).toEqual([2, 3]);
    expect(ask(cursor, call(1, 0, 2), 3)).toEqual([0, 1, 2]);
    expect(ask(cursor, call(9, 8))).toEqual(['overtaken']);
  });

  test('hands nothing to a request that a later one of its node has overtaken', () => {
    const { cursor } = cursorOver(6);
    expect(take(cursor)).toBe(0);
    const first = ask(cursor, call(1, 0));
    const second = ask(cursor, call(2, 0));
    expect(ask(cursor, call(1, 0))).toEqual(['overtaken']);
    cursor.settle(offset(0), true, HERE);
    expect([first, second]).toEqual([[], [1, 2]]); // and no word about the end
  });
});

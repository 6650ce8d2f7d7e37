import { describe, expect, test } from '@jest/globals';
import { decodeUtf8, encodeUtf8 } from '../../base/bytes.ts';
import { isWalrusError } from '../../base/errors.ts';
import { between, chance, pick, SeededRandom } from '../../base/random.ts';
import { MIB, offset } from '../../base/units.ts';
import { NO_FAULTS, SimDisk, type SimDiskFaults } from '../sim/simDisk.ts';
import { openEmbedded } from './embedded.ts';
import { makeBatch } from './testing/batches.ts';
import { ManualClock } from './testing/manualClock.ts';

function make(sync: 'always' | 'none' = 'always', faults: Partial<SimDiskFaults> = NO_FAULTS) {
  const clock = new ManualClock();
  const random = new SeededRandom(1);
  const disk = new SimDisk({ random, clock, faults });
  return { clock, disk, open: () => openEmbedded({ disk, clock, random, sync }) };
}

describe('EmbeddedStore', () => {
  test('stores records by topic, shares one promise a turn, and finds them again', async () => {
    const { clock, disk, open } = make();
    const store = open();
    const first = store.topic('a').append(encodeUtf8('one'));
    expect(store.topic('b').append(encodeUtf8('two'))).toBe(first);
    expect(store.topic('a').push(encodeUtf8('three'))).toBe(1);
    expect(store.topic('a').pushBatch(makeBatch(0, { text: 'four', count: 2 }))).toBe(2);
    expect([store.topic('a').nextOffset, store.topic('a').durableOffset]).toEqual([4, 0]);
    clock.run();
    await first;
    disk.crash();
    clock.clear();
    const again = open();
    const texts = (name: string, from = 0) =>
      [...again.topic(name).records(offset(from))].map((r) => [r.offset, decodeUtf8(r.value!)]);
    expect(again.topicNames()).toEqual(['a', 'b']);
    expect(texts('a', 1)).toEqual([
      [1, 'three'],
      [2, 'four'],
      [3, 'four'],
    ]);
    expect(texts('b')).toEqual([[0, 'two']]);
    const deleted = again.topic('a');
    deleted.push(encodeUtf8('never stored'));
    again.deleteTopic('a');
    clock.run();
    expect(again.topicNames()).toEqual(['b']);
    expect(() => deleted.push(encodeUtf8('five'))).toThrow('The topic "a" has been deleted');
    expect(() => deleted.read(0, 1)).toThrow('The topic "a" has been deleted');
    expect([again.topic('a').nextOffset, [...again.topic('a').records()]]).toEqual([0, []]);
  });

  test('keeps keys, headers and times; a batch has one time where none is given', async () => {
    const { clock, open } = make();
    const topic = open().topic('t');
    const nowMs = Math.floor(clock.wallMs());
    const key = encodeUtf8('k');
    const headers = [{ key: 'trace', value: encodeUtf8('7') }];
    topic.push(encodeUtf8('plain'));
    topic.pushRecord({ key, value: null, headers, timestampMs: nowMs + 5 });
    const done = topic.appendRecord({ value: encodeUtf8('x'.repeat(70_000)) });
    clock.run();
    await done;
    const records = [...topic.records()].map((r) => ({ ...r, value: r.value?.length ?? null }));
    expect(records).toEqual([
      { offset: 0, timestampMs: nowMs, key: null, value: 5, headers: [] },
      { offset: 1, timestampMs: nowMs + 5, key, value: null, headers },
      { offset: 2, timestampMs: nowMs, key: null, value: 70_000, headers: [] },
    ]);
    expect([topic.offsetAt(nowMs + 1), topic.offsetAt(nowMs + 6)]).toEqual([0, null]);
  });

  test('keeps records of all sizes apart, whatever the size of the batch', () => {
    const { clock, open } = make('none');
    const store = open();
    const random = new SeededRandom(7);
    const topics = ['a', 'b'].map((name) => ({ topic: store.topic(name), values: [] as number[] }));
    for (let i = 0; i < 4000; i += 1) {
      const { topic, values } = pick(random, topics);
      const size = chance(random, 0.02) ? between(random, 0, 200_000) : between(random, 0, 300);
      expect(topic.push(new Uint8Array(size).fill(size))).toBe(values.length);
      values.push(size);
      if (chance(random, 0.05)) clock.run();
    }
    clock.run();
    for (const { topic, values } of topics) {
      const read = [...topic.records()].map(({ value }) => {
        expect(value!.every((byte) => byte === value!.length % 256)).toBe(true);
        return value!.length;
      });
      expect(read).toEqual(values);
    }
  });

  test('refuses what is too large or comes after the close', async () => {
    const { clock, open } = make();
    const store = open();
    const topic = store.topic('t');
    expect(() => topic.push(new Uint8Array(2 * MIB + 1))).toThrow('at most 2097152');
    expect(() => store.topic('')).toThrow('its name has 0 bytes');
    const last = topic.append(encodeUtf8('last'));
    const closed = store.close();
    expect(() => topic.push(encodeUtf8('late'))).toThrow('The store is closed');
    clock.run();
    await Promise.all([closed, last, store.close()]);
    expect(() => topic.push(encodeUtf8('late'))).toThrow('The store is closed');
    await expect(store.flushed()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(decodeUtf8([...open().topic('t').records()][0]!.value!)).toBe('last');
  });

  test('closes on a full disk, and says what was not stored', async () => {
    const { clock, disk, open } = make();
    const store = open();
    const topic = store.topic('t');
    const first = topic.append(encodeUtf8('one'));
    clock.run();
    await first;
    disk.faults = { ...NO_FAULTS, capacityBytes: disk.usedBytes() };
    const outcomes = Array.from({ length: 12 }, () =>
      topic.append(new Uint8Array(MIB)).then(
        () => 'stored',
        (error: unknown) => (isWalrusError(error) ? error.code : error),
      ),
    );
    const closed = store.close();
    for (let step = 0; step < 20; step += 1) clock.step();
    await closed;
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['DISK_FULL']));
    expect(() => [...topic.records()]).toThrow('The store is closed');
    disk.faults = NO_FAULTS;
    // What was rejected may be there all the same; what was confirmed must be.
    const [record] = open().topic('t').records();
    expect(decodeUtf8(record!.value!)).toBe('one');
  });

  test('goes on without a pause when nothing is synced, and bounds what waits when it is', () => {
    const value = new Uint8Array(1000).fill(7);
    const unsynced = make('none').open().topic('t');
    for (let i = 0; i < 40_000; i += 1) unsynced.push(value);
    expect(unsynced.nextOffset).toBe(40_000);
    const synced = make().open().topic('t');
    const fill = () => {
      for (let i = 0; i < 60_000; i += 1) synced.push(value);
    };
    expect(fill).toThrow('too much waits for the disk');
  });

  test('rejects the promise when the disk is full, and reuses the offsets', async () => {
    const { clock, disk, open } = make('always', { ...NO_FAULTS, capacityBytes: 20 * MIB });
    const store = open();
    const topic = store.topic('t');
    const value = new Uint8Array(MIB);
    let failure: unknown = null;
    let count = 0;
    while (failure === null) {
      const done = topic.append(value);
      clock.run();
      await done.then(
        () => (count += 1),
        (error: unknown) => (failure = error),
      );
    }
    expect(failure).toMatchObject({ code: 'DISK_FULL' });
    expect([topic.nextOffset, [...topic.records()].length]).toEqual([count, count]);
    disk.faults = { ...NO_FAULTS, capacityBytes: 200 * MIB };
    const done = topic.append(value);
    clock.run();
    await done;
    expect(topic.durableOffset).toBe(count + 1);
  });
});

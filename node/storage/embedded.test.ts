import { describe, expect, test } from '@jest/globals';
import { decodeUtf8, encodeUtf8 } from '../../base/bytes.ts';
import { SeededRandom } from '../../base/random.ts';
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
    again.deleteTopic('a');
    clock.run();
    expect(again.topicNames()).toEqual(['b']);
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

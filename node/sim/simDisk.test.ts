import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { MIB } from '../../base/units.ts';
import { ManualClock } from '../storage/testing/manualClock.ts';
import { NO_FAULTS, SimDisk, type SimDiskFaults } from './simDisk.ts';

function make(faults: Partial<SimDiskFaults> = {}, seed = 1) {
  const clock = new ManualClock();
  const disk = new SimDisk({ random: new SeededRandom(seed), clock, faults });
  return { clock, disk };
}

function content(disk: SimDisk, path: string): Uint8Array {
  const file = disk.open(path);
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  return bytes;
}

describe('SimDisk', () => {
  test('keeps what was synced through every crash', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const { disk } = make({}, seed);
      const file = disk.create('d/a');
      file.write(new Uint8Array(3000).fill(1), 100);
      file.sync();
      disk.syncDirectory('d');
      file.write(new Uint8Array(3000).fill(2), 100);
      disk.crash();
      const bytes = content(disk, 'd/a');
      expect(bytes.length).toBe(3100);
      expect(bytes.subarray(100).every((b) => b === 1 || b === 2)).toBe(true);
      expect(() => file.sizeBytes()).toThrow('its process has crashed');
    }
  });

  test('keeps, loses and tears unsynced writes, and lets later ones survive earlier ones', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed += 1) {
      const { disk } = make({}, seed);
      const file = disk.create('a');
      file.write(new Uint8Array(4096), 0);
      file.sync();
      disk.syncDirectory('');
      file.write(new Uint8Array(2048).fill(1), 0);
      file.write(new Uint8Array(2048).fill(2), 2048);
      disk.crash();
      const bytes = content(disk, 'a');
      const count = (half: Uint8Array) => half.filter((b) => b !== 0).length;
      const first = count(bytes.subarray(0, 2048));
      const second = count(bytes.subarray(2048));
      if (first === 2048 && second === 2048) seen.add('kept');
      if (first === 0 && second === 0) seen.add('lost');
      if (first === 0 && second === 2048) seen.add('reordered');
      if (first > 0 && first < 2048) seen.add('torn');
      if (first % 512 > 0) seen.add('torn sector');
    }
    expect([...seen].sort()).toEqual(['kept', 'lost', 'reordered', 'torn', 'torn sector']);
  });

  test('makes names durable with the directory only', () => {
    let lost = 0;
    for (let seed = 0; seed < 40; seed += 1) {
      const { disk } = make({}, seed);
      disk.create('old').sync();
      disk.syncDirectory('');
      disk.create('new').sync();
      disk.rename('new', 'old');
      disk.crash();
      expect(disk.exists('old')).toBe(true);
      if (disk.exists('new')) lost += 1;
      disk.syncDirectory('');
      disk.crash();
      expect(disk.exists('old')).toBe(true);
    }
    expect(lost).toBeGreaterThan(0);
  });

  test('covers an asynchronous sync only what was written before it began', () => {
    const { disk, clock } = make({ lostWriteProbability: 1 });
    const file = disk.create('a');
    disk.syncDirectory('');
    file.write(new Uint8Array([1]), 0);
    const events: string[] = [];
    file.syncAsync((error) => events.push(`synced ${error?.message ?? ''}`));
    file.write(new Uint8Array([2]), 1);
    expect(events).toEqual([]);
    clock.run();
    expect(events).toEqual(['synced ']);
    expect(content(disk, 'a')).toEqual(new Uint8Array([1, 2]));
    file.syncAsync(() => events.push('never'));
    disk.crash();
    clock.run();
    expect(events).toEqual(['synced ']);
    expect(content(disk, 'a')).toEqual(new Uint8Array([1]));
  });

  test('fails every sync after the first failure, and short writes store a prefix', () => {
    const { disk } = make(NO_FAULTS);
    const file = disk.create('a');
    disk.faults = { ...disk.faults, syncFailureProbability: 1 };
    expect(() => file.sync()).toThrow('input/output error');
    disk.faults = { ...disk.faults, syncFailureProbability: 0 };
    expect(() => file.sync()).toThrow('input/output error');
    disk.heal();
    file.sync();
    disk.failWrites();
    expect(() => file.write(new Uint8Array(100), 0)).toThrow('of 100 bytes were written');
    expect(file.sizeBytes()).toBeLessThan(100);
  });

  test('refuses growth when full, and tells how much is free', () => {
    const { disk } = make({ ...NO_FAULTS, capacityBytes: 1000 });
    const file = disk.create('a');
    file.write(new Uint8Array(900), 0);
    expect(() => file.write(new Uint8Array(200), 900)).toThrow('the disk is full');
    file.write(new Uint8Array(200), 0);
    expect(disk.freeBytes()).toBe(100);
  });

  test('holds a lock until release or crash', () => {
    const { disk } = make();
    const lock = disk.lock('lock');
    expect(() => disk.lock('lock')).toThrow('Cannot lock');
    lock.release();
    disk.lock('lock');
    disk.crash();
    disk.lock('lock');
  });

  test('rots bits, is emptied and is rolled back', () => {
    const { disk } = make(NO_FAULTS);
    const file = disk.create('a');
    file.write(new Uint8Array(10).fill(7), 0);
    file.sync();
    disk.syncDirectory('');
    const image = disk.snapshotState();
    disk.rot('a', 3);
    expect(content(disk, 'a').filter((b) => b !== 7).length).toBe(1);
    expect(disk.rotRandom()).not.toBeNull();
    disk.wipe();
    expect(disk.list('')).toEqual([]);
    disk.restoreState(image);
    expect(content(disk, 'a')).toEqual(new Uint8Array(10).fill(7));
  });

  test('stores zeros without memory and lists directories', () => {
    const { disk } = make(NO_FAULTS);
    disk.makeDirectory('x/y');
    const file = disk.create('x/y/zeros');
    const zeros = new Uint8Array(MIB);
    for (let at = 0; at < 64; at += 1) file.write(zeros, at * MIB);
    file.sync();
    expect(disk.usedBytes()).toBe(64 * MIB);
    expect(disk.rotRandom()).toBeNull();
    expect([disk.list('x'), disk.list('x/y'), disk.list('none')]).toEqual([['y'], ['zeros'], []]);
  });

  test('reads back what was written, whatever was synced between', () => {
    const random = new SeededRandom(5);
    const { disk } = make(NO_FAULTS);
    const file = disk.create('a');
    disk.syncDirectory('');
    const mirror = new Uint8Array(20_000);
    for (let step = 0; step < 500; step += 1) {
      const position = random.uint32() % 15_000;
      const bytes = new Uint8Array(random.uint32() % 5000).fill(random.uint32() % 3);
      file.write(bytes, position);
      mirror.set(bytes, position);
      if (random.uint32() % 4 === 0) file.sync();
    }
    expect(content(disk, 'a')).toEqual(mirror.subarray(0, file.sizeBytes()));
    disk.crash();
    const size = disk.open('a').sizeBytes();
    expect(content(disk, 'a')).toEqual(mirror.subarray(0, size));
  });
});

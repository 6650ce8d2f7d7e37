import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../base/bytes.ts';
import { SeededRandom } from '../../base/random.ts';
import { MIB, nodeId, offset, segmentId } from '../../base/units.ts';
import { NO_FAULTS, SimDisk } from '../sim/simDisk.ts';
import { openStorage } from './engine.ts';
import { formatDisk } from './formatDisk.ts';
import { makeBatch } from './testing/batches.ts';
import { ManualClock } from './testing/manualClock.ts';
import { CLUSTER, LEADER, StorageWorld, TOKEN } from './testing/storageWorld.ts';
import type { ReplicaTail } from './types.ts';

/** Faster than toEqual for many bytes. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const ALL = Number.MAX_SAFE_INTEGER;

describe('Engine', () => {
  test('gives back what was appended, before and after a restart', async () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(7, 100);
    const batches = [
      makeBatch(100, { count: 3 }),
      makeBatch(103),
      makeBatch(104, { bytes: 70_000 }),
    ];
    const durable: number[] = [];
    replica.onDurable((tail) => durable.push(tail));
    for (const batch of batches) replica.append(batch, LEADER);
    expect([replica.tail, replica.durableTail]).toEqual([105, 100]);
    expect(same(replica.read(offset(100), offset(ALL), MIB).bytes, concatBytes(batches))).toBe(
      true,
    );
    world.clock.run();
    expect([durable, replica.durableTail, world.engine.pendingBytes]).toEqual([[105], 105, 0]);
    const digests = [100, 103, 104, 105].map((end) => replica.digestAt(offset(end)));
    expect(new Set(digests).size).toBe(4);
    expect(replica.digestAt(offset(101))).toBeNull();
    const closed = world.engine.close();
    world.clock.run();
    await closed;
    world.open();
    const again = world.replica(7);
    expect(same(again.read(offset(100), offset(ALL), MIB).bytes, concatBytes(batches))).toBe(true);
    expect([100, 103, 104, 105].map((end) => again.digestAt(offset(end)))).toEqual(digests);
    expect([again.tail, again.durableTail, again.damage]).toEqual([105, 105, null]);
    expect(world.engine.identity.bootEpoch).toBe(1);
  });

  test('reads whole batches: from inside one, up to a limit, at least one', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    const batches: Uint8Array[] = [];
    for (let i = 0; i < 3000; i += 1) {
      batches.push(makeBatch(2 * i, { count: 2, bytes: 10 + ((i * 37) % 500) }));
      replica.append(batches[i]!, LEADER);
    }
    const read = (from: number, limit: number, maxBytes: number) =>
      replica.read(offset(from), offset(limit), maxBytes);
    expect(read(11, ALL, 1)).toEqual({ bytes: batches[5], nextOffset: 12 });
    expect(read(4, 9, MIB)).toEqual({
      bytes: concatBytes(batches.slice(2, 4)),
      nextOffset: 8,
    });
    expect(read(6000, ALL, MIB)).toEqual({ bytes: new Uint8Array(0), nextOffset: 6000 });
    expect(read(50, 10, MIB)).toEqual({ bytes: new Uint8Array(0), nextOffset: 50 });
    expect(() => read(6001, ALL, MIB)).toThrow(
      'Cannot read offset 6001 of segment 1: it has 0..6000',
    );
    const parts: Uint8Array[] = [];
    for (let at = 0; at < 6000;) {
      const result = read(at, ALL, 100_000);
      expect(result.bytes.length).toBeLessThanOrEqual(100_000);
      parts.push(result.bytes);
      at = result.nextOffset;
    }
    expect(same(concatBytes(parts), concatBytes(batches))).toBe(true);
  });

  test('refuses what does not fit: token, fence, gap, damage, size; accepts a repeat', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    const first = makeBatch(0, { count: 2 });
    const second = makeBatch(2);
    replica.append(first, LEADER);
    replica.append(second, LEADER);
    expect(replica.append(first, LEADER)).toBe(2);
    expect(replica.append(second, LEADER)).toBe(3);
    const code = (act: () => unknown) => {
      try {
        act();
      } catch (error) {
        return (error as { code?: string }).code;
      }
      return 'none';
    };
    const broken = makeBatch(3);
    broken[70] = (broken[70] ?? 0) ^ 1;
    const large = makeBatch(3, { bytes: 5 * MIB });
    const token = 'cd'.repeat(16);
    expect([
      code(() => replica.append(makeBatch(4), LEADER)),
      code(() => replica.append(makeBatch(2, { text: 'another' }), LEADER)),
      code(() => replica.append(makeBatch(3), { token, epoch: 0 })),
      code(() => replica.append(makeBatch(3), { token: TOKEN, epoch: 1 })),
      code(() => replica.append(broken, LEADER)),
      code(() => replica.append(large, LEADER)),
    ]).toEqual([
      'OUT_OF_ORDER_APPEND',
      'OUT_OF_ORDER_APPEND',
      'WRONG_TOKEN',
      'FENCED',
      'CORRUPT_BATCH',
      'TOO_LARGE',
    ]);
    const answers: (ReplicaTail | null)[] = [];
    replica.fence(5, (_error, tail) => answers.push(tail));
    expect(code(() => replica.append(makeBatch(3), LEADER))).toBe('FENCED');
    world.clock.run();
    expect(answers).toEqual([{ tail: 3, digest: replica.digestAt(offset(3)) }]);
    world.crash();
    expect(world.replica(1).fenceEpoch).toBe(5);
    expect(world.replica(1).append(makeBatch(3), { token: TOKEN, epoch: 5 })).toBe(4);
    const errors: (string | undefined)[] = [];
    world.replica(1).fence(4, (error) => errors.push(error?.code));
    world.clock.run();
    world.replica(1).fence(5, (error) => errors.push(error?.code));
    world.clock.run();
    expect(errors).toEqual(['FENCED', undefined]);
  });

  test('finds a batch by time', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    const times: number[] = [];
    const random = new SeededRandom(3);
    for (let i = 0; i < 2000; i += 1) {
      times.push(1000 + 10 * i - (random.uint32() % 200));
      replica.append(makeBatch(i, { timestampMs: times[i]!, bytes: 200 }), LEADER);
    }
    for (const at of [0, 1000, 5003, 12_345, 20_000, 20_990, 30_000]) {
      const expected = times.findIndex((time) => time >= at);
      expect(replica.findByTime(at)).toBe(expected < 0 ? null : expected);
    }
  });

  test('turns read-only for good at a failed sync or write, and goes on reading', () => {
    for (const failing of ['failSyncs', 'failWrites'] as const) {
      const world = new StorageWorld(1, NO_FAULTS);
      const replica = world.create(1);
      replica.append(makeBatch(0), LEADER);
      world.clock.run();
      const states: string[] = [];
      world.engine.onHealthChange((health) => states.push(health.state));
      world.disk[failing]();
      replica.append(makeBatch(1), LEADER);
      const errors: (string | undefined)[] = [];
      world.engine.flush((error) => errors.push(error?.code));
      replica.fence(3, (error) => errors.push(error?.code));
      world.clock.run();
      expect([states, errors]).toEqual([['READ_ONLY'], ['DISK_FAILED', 'DISK_FAILED']]);
      world.disk.heal();
      const fenced = { token: TOKEN, epoch: 3 };
      expect(() => replica.append(makeBatch(2), fenced)).toThrow('read-only from now on');
      expect(() => world.create(2)).toThrow('read-only from now on');
      expect([replica.durableTail, world.engine.health.state]).toEqual([1, 'READ_ONLY']);
      expect(replica.read(offset(0), offset(1), MIB).bytes).toEqual(makeBatch(0));
    }
  });

  test('refuses appends on a full disk, keeps what it has, and goes on when there is space', () => {
    const world = new StorageWorld(1, { ...NO_FAULTS, capacityBytes: 52 * MIB });
    const batch = (i: number) => makeBatch(i, { bytes: 900_000, text: `n${i}` });
    world.create(1);
    let count = 0;
    const fill = () => {
      for (; ; count += 1) {
        world.replica(1).append(batch(count), LEADER);
        world.clock.run();
      }
    };
    expect(fill).toThrow('Cannot store more: the disk is full');
    expect(count).toBeGreaterThan(8);
    world.create(2);
    expect(() => world.replica(2).append(makeBatch(0, { bytes: 3 * MIB }), LEADER)).toThrow('full');
    expect(world.replica(1).fenceEpoch).toBe(0);
    const check = () => {
      for (let i = 0; i < count; i += 1) {
        expect(same(world.replica(1).read(offset(i), offset(ALL), 1).bytes, batch(i))).toBe(true);
      }
    };
    check();
    world.clock.run();
    world.crash();
    check();
    world.engine.deleteReplica(segmentId(2));
    world.disk.faults = { ...world.disk.faults, capacityBytes: 80 * MIB };
    world.replica(1).append(batch(count), LEADER);
    count += 1;
    world.clock.run();
    check();
    world.engine.deleteReplica(segmentId(1));
    world.clock.run();
    expect(world.engine.usage().usedBytes).toBe(0);
  });

  test('a disk that cannot say how much is free has failed, and what it has is still read', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    world.create(1).append(makeBatch(0), LEADER);
    world.clock.run();
    world.disk.freeBytes = () => {
      throw new Error('ENOENT: no such file or directory');
    };
    expect(world.engine.usage().freeBytes).toBe(0);
    expect(world.engine.health.state).toBe('HEALTHY'); // who asks for figures changes nothing
    expect(world.engine.checkDisk()).toEqual({
      state: 'READ_ONLY',
      error: expect.objectContaining({ code: 'DISK_FAILED' }),
    });
    expect(() => world.replica(1).append(makeBatch(1), LEADER)).toThrow('ENOENT');
    expect(same(world.replica(1).read(offset(0), offset(ALL), 1).bytes, makeBatch(0))).toBe(true);
  });

  test('keeps accepted appends when the file system fills up below it, until there is space', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    for (let i = 0; i < 10; i += 1) replica.append(makeBatch(i, { bytes: 900_000 }), LEADER);
    world.disk.faults = { ...world.disk.faults, capacityBytes: 9 * MIB };
    for (let i = 0; i < 10; i += 1) world.clock.step();
    expect(replica.durableTail).toBeLessThan(10);
    expect(world.engine.health.state).toBe('HEALTHY');
    expect(() => replica.append(makeBatch(10), LEADER)).toThrow('full');
    world.disk.faults = { ...world.disk.faults, capacityBytes: 900 * MIB };
    world.clock.run();
    expect(replica.durableTail).toBe(10);
    expect(replica.append(makeBatch(10), LEADER)).toBe(11);
  });

  test('bounds what waits for the disk', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    const fill = () => {
      for (let i = 0; i < 100; i += 1) replica.append(makeBatch(i, { bytes: MIB }), LEADER);
    };
    expect(fill).toThrow('bytes wait for the disk');
    world.clock.run();
    replica.append(makeBatch(replica.tail), LEADER);
  });

  test('refuses a directory that is in use, foreign, emptied, unformatted or formatted already', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const { disk, clock, random } = world;
    expect(() => openStorage({ disk, clock, random })).toThrow('Cannot lock');
    disk.kill();
    const open = (expected: object) => openStorage({ disk, clock, random, expected });
    expect(() => open({ nodeId: nodeId(2) })).toThrow('it belongs to node 1, not to node 2');
    expect(() => open({ clusterId: 'dd'.repeat(16) })).toThrow('it belongs to cluster c1');
    const again = { disk, random, clusterId: CLUSTER, nodeId: nodeId(1) };
    expect(() => formatDisk(again)).toThrow('Cannot format the data directory: it holds arena-');
    disk.wipe();
    expect(() => openStorage({ disk, clock, random })).toThrow('it has not been formatted');
  });

  test('takes little when fresh, and idle replicas take no block', () => {
    const clock = new ManualClock();
    const random = new SeededRandom(1);
    const disk = new SimDisk({ random, clock, faults: NO_FAULTS });
    formatDisk({ disk, random, clusterId: CLUSTER, nodeId: nodeId(1) });
    const engine = openStorage({ disk, clock, random });
    expect(disk.usedBytes()).toBeLessThan(16 * MIB);
    for (let id = 1; id <= 10_000; id += 1) {
      const producerSnapshot = new Uint8Array(0);
      engine.createReplica({
        segmentId: segmentId(id),
        token: TOKEN,
        baseOffset: offset(0),
        producerSnapshot,
      });
    }
    clock.run();
    expect(disk.usedBytes()).toBeLessThan(16 * MIB);
    for (const replica of engine.replicas()) replica.append(makeBatch(0, { bytes: 100 }), LEADER);
    clock.run();
    expect(engine.replicas().every((replica) => replica.durableTail === 1)).toBe(true);
    expect(disk.usedBytes()).toBeLessThan(300 * MIB);
  });
});

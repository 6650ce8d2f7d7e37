/** A damaged replica is copied anew: whole and verified, or not at all, wherever the power fails. */
import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../base/bytes.ts';
import { isWalrusError } from '../../base/errors.ts';
import { MIB, offset, segmentId } from '../../base/units.ts';
import { splitBatches } from '../../protocol/recordBatch.ts';
import { CRASH_ONLY, NO_FAULTS } from '../sim/simDisk.ts';
import { BLOCK_DATA_START } from './blockHeader.ts';
import { arenaPath } from './geometry.ts';
import { makeBatch } from './testing/batches.ts';
import { LEADER, StorageWorld } from './testing/storageWorld.ts';
import type { ReplicaTail } from './types.ts';

const ID = segmentId(1);
const COUNT = 40;
/** Several blocks of it: 16 KiB, 128 KiB and the beginning of a third. */
const BATCHES = Array.from({ length: COUNT }, (_, at) => makeBatch(at, { bytes: 5000 }));
const WHOLE = concatBytes(BATCHES);
/** Inside the body of the first batch. */
const BODY = BLOCK_DATA_START + 40 + 100;

/** A durable replica at rest, whose first batch is damaged; found by a read. */
function damagedWorld(position = BODY): { world: StorageWorld; sealed: ReplicaTail } {
  const world = new StorageWorld(1, NO_FAULTS);
  world.create(1);
  for (const batch of BATCHES.slice(0, 1)) world.replica(1).append(batch, LEADER);
  world.clock.run();
  // Their frames say that the first one is durable.
  for (const batch of BATCHES.slice(1)) world.replica(1).append(batch, LEADER);
  world.clock.run();
  const sealed = { tail: offset(COUNT), digest: world.replica(1).digestAt(offset(COUNT)) ?? '' };
  world.disk.rot(arenaPath(0), position);
  expect(() => world.replica(1).scrub(offset(0), MIB)).toThrow('is damaged');
  return { world, sealed };
}

function rebuild(world: StorageWorld, batches: readonly Uint8Array[]) {
  const copy = world.engine.beginRebuild(ID);
  for (const batch of batches) copy.append(batch);
  return copy;
}

function readWhole(world: StorageWorld): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = offset(0); at < COUNT;) {
    const { bytes, nextOffset } = world.replica(1).read(at, offset(COUNT), MIB);
    if (nextOffset === at) throw new Error(`Nothing at ${at}`);
    parts.push(bytes.slice());
    at = nextOffset;
  }
  return concatBytes(parts);
}

function isWhole(world: StorageWorld): boolean {
  return Buffer.compare(readWhole(world), WHOLE) === 0;
}

describe('Rebuild', () => {
  test('takes the place of the damaged copy, whose blocks become free, and outlives a restart', () => {
    const { world, sealed } = damagedWorld();
    const found: number[] = [];
    world.engine.onDamage((id) => found.push(id));
    expect(world.engine.damaged()).toEqual([1]);
    const usedBytes = world.engine.usage().usedBytes;
    const copy = rebuild(world, BATCHES);
    expect(world.engine.usage().usedBytes).toBe(2 * usedBytes);
    const errors: unknown[] = [];
    copy.finish(sealed, (error) => errors.push(error));
    expect(world.replica(1).damage).not.toBeNull();
    world.clock.run();
    expect([errors, world.replica(1).damage, world.engine.damaged()]).toEqual([[null], null, []]);
    expect(world.engine.usage().usedBytes).toBe(usedBytes);
    expect(isWhole(world)).toBe(true);
    expect(world.replica(1).digestAt(sealed.tail)).toBe(sealed.digest);
    world.crash();
    expect([world.replica(1).damage, world.engine.usage().usedBytes]).toEqual([null, usedBytes]);
    expect(isWhole(world)).toBe(true);
    expect(found).toEqual([]);
  });

  test('keeps the fence that the damaged copy has', () => {
    const { world, sealed } = damagedWorld();
    const copy = rebuild(world, BATCHES);
    world.replica(1).fence(7, () => undefined);
    copy.finish(sealed, () => undefined);
    world.clock.run();
    expect(world.replica(1).fenceEpoch).toBe(7);
    expect(world.crash().replicas()[0]?.fenceEpoch).toBe(7);
  });

  test('refuses what is not the sealed copy, and leaves the damaged one', () => {
    const { world, sealed } = damagedWorld();
    const other = makeBatch(COUNT - 1, { text: 'another', bytes: 5000 });
    const wrong = rebuild(world, [...BATCHES.slice(0, -1), other]);
    expect(() => wrong.finish(sealed, () => undefined)).toThrow('Cannot repair segment 1');
    const short = rebuild(world, BATCHES.slice(0, -1));
    expect(() => short.finish(sealed, () => undefined)).toThrow('at 39, sealed is');
    const torn = BATCHES[0]!.slice();
    torn[100] = (torn[100] ?? 0) ^ 1;
    const copy = world.engine.beginRebuild(ID);
    expect(() => copy.append(torn)).toThrow('Cannot copy segment 1: a batch');
    expect(() => copy.append(BATCHES[1]!)).toThrow('Cannot copy offset 1');
    expect(world.replica(1).damage).not.toBeNull();
    copy.abandon();
    world.clock.run();
    expect(() => copy.append(BATCHES[0]!)).toThrow('was given up');
  });

  test('ends with its replica, and frees what it took', () => {
    const { world, sealed } = damagedWorld();
    const copy = rebuild(world, BATCHES);
    const errors: (string | undefined)[] = [];
    copy.finish(sealed, (error) => errors.push(error?.code));
    world.engine.deleteReplica(ID);
    world.clock.run();
    expect(errors).toEqual(['SEGMENT_NOT_FOUND']);
    expect([world.engine.usage().usedBytes, world.engine.damaged()]).toEqual([0, []]);
    expect(() => world.engine.beginRebuild(ID)).toThrow('has no replica');
  });

  test('leaves the damaged copy or the whole one, wherever the power fails', () => {
    const outcomes = { damaged: 0, whole: 0 };
    for (let seed = 0; seed < 30; seed += 1) {
      const { world, sealed } = damagedWorld(seed % 2 === 0 ? BODY : BLOCK_DATA_START + 20);
      world.disk.faults = CRASH_ONLY;
      const copy = rebuild(world, BATCHES.slice(0, 20));
      for (let step = 0; step < seed % 5; step += 1) world.clock.step();
      for (const batch of BATCHES.slice(20)) copy.append(batch);
      copy.finish(sealed, () => undefined);
      for (let step = 0; step < seed % 12; step += 1) world.clock.step();
      world.crash();
      // Other replicas may get the blocks of a copy that came to nothing.
      world.create(2);
      for (const batch of BATCHES) world.replica(2).append(batch, LEADER);
      world.clock.run();
      try {
        expect(isWhole(world)).toBe(true);
        outcomes.whole += 1;
      } catch (error) {
        if (!isWalrusError(error, 'CORRUPT_SEGMENT', 'OFFSET_OUT_OF_RANGE')) throw error;
        outcomes.damaged += 1;
        expect(world.replica(1).damage?.message).toContain('Segment 1 is damaged');
        rebuild(world, BATCHES).finish(sealed, () => undefined);
        world.clock.run();
        expect(isWhole(world)).toBe(true);
      }
      expect(world.crash().damaged()).toEqual([]);
    }
    expect(Math.min(outcomes.damaged, outcomes.whole)).toBeGreaterThan(2);
  });

  test('outlives a catalog that is rewritten before and after it', () => {
    const { world, sealed } = damagedWorld();
    const copy = rebuild(world, BATCHES);
    const fill = (from: number): void => {
      for (let id = from; id < from + 4; id += 1) {
        world.engine.createReplica({
          segmentId: segmentId(id),
          token: 'ab'.repeat(16),
          baseOffset: offset(0),
          producerSnapshot: new Uint8Array(MIB - 4096).fill(1),
        });
        world.clock.run();
      }
    };
    fill(10);
    copy.finish(sealed, () => undefined);
    fill(20);
    world.clock.run();
    world.crash();
    expect([world.replica(1).damage, isWhole(world)]).toEqual([null, true]);
  });
});

describe('scrub()', () => {
  test('finds damage in every block header, frame header and body, slice by slice', () => {
    const positions = [10, BLOCK_DATA_START + 5, BODY, BODY + 5000];
    for (const position of positions) {
      const world = new StorageWorld(1, NO_FAULTS);
      world.create(1);
      for (const batch of BATCHES) world.replica(1).append(batch, LEADER);
      world.clock.run();
      const pass = (): void => {
        for (let at = offset(0); at < COUNT; at = world.replica(1).scrub(at, 10_000).nextOffset);
      };
      pass();
      // The second block is the first of the next chunk.
      world.disk.rot(arenaPath(0), (position % 2) * 4 * MIB + position);
      try {
        pass();
      } catch (error) {
        if (!isWalrusError(error, 'CORRUPT_SEGMENT')) throw error;
      }
      expect(world.replica(1).damage?.message).toContain('Segment 1 is damaged');
      expect(world.engine.damaged()).toEqual([1]);
    }
  });

  test('gives what it has read, so that the next slice begins behind it', () => {
    const { world } = damagedWorld();
    const { bytes, nextOffset } = world.replica(1).scrub(offset(1), 10_000);
    expect(splitBatches(bytes)).toHaveLength(nextOffset - 1);
  });
});

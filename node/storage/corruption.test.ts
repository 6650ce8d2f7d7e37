/** Damages every byte of every structure, one at a time: it is named or harmless, and never served. */
import { SeededRandom } from '../../base/random.ts';
import { describe, expect, test } from '@jest/globals';
import { isWalrusError } from '../../base/errors.ts';
import { crc32c } from '../../base/crc32c.ts';
import { offset } from '../../base/units.ts';
import { NO_FAULTS, type SimDiskState } from '../sim/simDisk.ts';
import { openStorage } from './engine.ts';
import { CATALOG_PATH } from './catalog.ts';
import { SUPERBLOCK_PATH } from './superblock.ts';
import { frameBytes } from './frame.ts';
import { arenaPath } from './geometry.ts';
import { makeBatch } from './testing/batches.ts';
import { LEADER, StorageWorld } from './testing/storageWorld.ts';

const ALL = offset(Number.MAX_SAFE_INTEGER);
const BATCHES = [0, 1, 2].map((at) => makeBatch(at, { text: `batch ${at}` }));

/** A disk with one replica of three durable batches, at rest: marks are written. */
async function atRest(): Promise<{ world: StorageWorld; image: SimDiskState }> {
  const world = new StorageWorld(1, NO_FAULTS);
  world.create(1);
  for (const batch of BATCHES) {
    world.replica(1).append(batch, LEADER);
    world.clock.run();
  }
  world.replica(1).fence(4, () => undefined);
  world.clock.run();
  const closed = world.engine.close();
  world.clock.run();
  await closed;
  world.disk.crash();
  return { world, image: world.disk.snapshotState() };
}

/** A killed process: the first batch is durable, the others are written and not synced. */
function inFlight(): { readonly world: StorageWorld } {
  const world = new StorageWorld(1, NO_FAULTS);
  world.create(1);
  const [first, second, third] = BATCHES;
  if (!first || !second || !third) throw new Error('There are three batches');
  world.replica(1).append(first, LEADER);
  while (world.replica(1).durableTail < 1) world.clock.step();
  world.replica(1).append(second, LEADER);
  world.replica(1).append(third, LEADER);
  const { writes } = world.disk.counts;
  while (world.disk.counts.writes === writes) world.clock.step();
  expect(world.replica(1).durableTail).toBe(1);
  world.disk.kill();
  world.clock.clear();
  return { world };
}

type Outcome = 'harmless' | 'damaged replica' | 'refused';

/** Opens the disk and reads all of it; throws when something wrong or something less is given out. */
function tryAll(world: StorageWorld): Outcome {
  const { disk, clock } = world;
  let engine;
  try {
    engine = openStorage({ disk, clock, random: new SeededRandom(1) });
  } catch (error) {
    if (isWalrusError(error)) return 'refused';
    throw error;
  }
  world.engine = engine;
  const replica = world.replica(1);
  let at = offset(0);
  try {
    while (at < 3) {
      const { bytes, nextOffset } = replica.read(at, ALL, 1);
      if (nextOffset === at) throw new Error(`Nothing at offset ${at}, and no damage`);
      if (Buffer.compare(bytes, BATCHES[at] ?? bytes.subarray(1)) !== 0) {
        throw new Error(`Wrong bytes at offset ${at}`);
      }
      at = nextOffset;
    }
  } catch (error) {
    if (!isWalrusError(error, 'CORRUPT_SEGMENT')) throw error;
    expect(error.message).toMatch(/Segment 1 is damaged at offset \d.*arena-00000, position \d+/);
    expect(replica.damage).not.toBeNull();
    return 'damaged replica';
  }
  expect([replica.damage, replica.fenceEpoch]).toEqual([null, 4]);
  return 'harmless';
}

async function damageEach(path: string, from: number, to: number): Promise<Outcome[]> {
  const { world, image } = await atRest();
  const outcomes: Outcome[] = [];
  for (let position = from; position < to; position += 1) {
    world.disk.restoreState(image);
    world.clock.clear();
    world.disk.rot(path, position);
    try {
      outcomes.push(tryAll(world));
    } catch (error) {
      throw new Error(`${path} byte ${position}: ${String(error)}`, { cause: error });
    }
  }
  return outcomes;
}

function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

describe('one damaged byte', () => {
  test('in a superblock is harmless: the other one serves', async () => {
    expect(tally(await damageEach(SUPERBLOCK_PATH, 0, 96))).toEqual({ harmless: 96 });
    expect(tally(await damageEach(SUPERBLOCK_PATH, 4096, 4192))).toEqual({ harmless: 96 });
  });

  test('a torn superblock never loses a boot that went on', () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const world = new StorageWorld(seed);
      for (let boot = 2; boot < 5; boot += 1) {
        world.disk.rot(SUPERBLOCK_PATH, 4096 * (seed % 2) + ((seed * 7) % 96));
        world.engine.noteRegistered();
        expect(world.crash().identity.bootEpoch).toBe(boot);
      }
    }
  });

  test('in both superblocks is damage, not emptiness', async () => {
    const { world } = await atRest();
    world.disk.rot(SUPERBLOCK_PATH, 40);
    world.disk.rot(SUPERBLOCK_PATH, 4096 + 50);
    expect(() => world.open()).toThrow('both superblocks are damaged');
  });

  test('in the catalog refuses the disk', async () => {
    // Mark, CREATE, ALLOCATE, mark, FENCE; behind them is a mark that proves them.
    const sizes = 32 + 72 + 56 + 32 + 40;
    expect(tally(await damageEach(CATALOG_PATH, 0, sizes))).toEqual({ refused: sizes });
    expect(tally(await damageEach(CATALOG_PATH, sizes, sizes + 32))).toEqual({ harmless: 32 });
  });

  test('in a block header damages the replica; in its mark or padding it is harmless', async () => {
    const path = arenaPath(0);
    expect(tally(await damageEach(path, 0, 48))).toEqual({ 'damaged replica': 48 });
    expect(tally(await damageEach(path, 84, 128))).toEqual({ harmless: 44 });
    expect(tally(await damageEach(path, 64, 84))).toEqual({ harmless: 20 });
  });

  test('in a frame or a batch damages the replica, wherever the byte is', async () => {
    const length = BATCHES[0]?.length ?? 0;
    const outcomes = await damageEach(arenaPath(0), 128, 128 + 3 * (((40 + length + 7) >> 3) << 3));
    const perFrame = outcomes.length / 3;
    outcomes.forEach((outcome, i) => {
      const isPadding = i % perFrame >= 40 + length;
      expect([i, outcome]).toEqual([i, isPadding ? 'harmless' : 'damaged replica']);
    });
  });

  test('in a digest that continues nothing ends the good part', () => {
    const { world } = inFlight();
    const file = world.disk.open(arenaPath(0));
    const bytes = new Uint8Array(101);
    const second = 128 + frameBytes(BATCHES[0]?.length ?? 0);
    file.read(bytes, second);
    const view = new DataView(bytes.buffer);
    view.setUint32(32, view.getUint32(32, true) ^ 1, true);
    view.setUint32(4, crc32c(bytes.subarray(8)), true);
    file.write(bytes, second);
    world.disk.kill();
    world.open();
    expect([world.replica(1).tail, world.replica(1).damage]).toEqual([1, null]);
  });

  test('in an unsynced group cuts it off for ever, also when a part is sent again', () => {
    const { world } = inFlight();
    const second = 128 + frameBytes(BATCHES[0]?.length ?? 0);
    world.disk.rot(arenaPath(0), second + 10);
    world.open();
    expect([world.replica(1).tail, world.replica(1).damage]).toEqual([1, null]);
    world.replica(1).append(BATCHES[1] ?? new Uint8Array(0), LEADER);
    world.clock.run();
    world.crash();
    // The third batch fits behind the second one again, but was never accepted by this life.
    expect(world.replica(1).tail).toBe(2);
  });

  test('is found while running, too, and named at the read', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    world.create(1);
    for (const batch of BATCHES) world.replica(1).append(batch, LEADER);
    world.clock.run();
    world.disk.rot(arenaPath(0), 128 + 40 + 65);
    expect(() => world.replica(1).read(offset(0), ALL, 1000)).toThrow('the checksum of the batch');
    expect(() => world.replica(1).append(makeBatch(3), LEADER)).toThrow('is damaged');
    const errors: (string | undefined)[] = [];
    world.replica(1).fence(1, (error) => errors.push(error?.code));
    world.clock.run();
    expect(errors).toEqual(['CORRUPT_SEGMENT']);
  });

  test('leaves what is before it, and that is known by its end and digest: the lowest damage counts', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    const batches = Array.from({ length: 50 }, (_, i) => makeBatch(i, { text: 'x', bytes: 100 }));
    const ends = [replica.soundTail()];
    for (const batch of batches) {
      replica.append(batch, LEADER);
      ends.push(replica.soundTail());
    }
    world.clock.run();
    const readAll = (): void => {
      for (let at = offset(0); at < replica.tail;) at = replica.read(at, ALL, 500).nextOffset;
    };
    for (const bad of [40, 7, 0]) {
      world.disk.rot(arenaPath(0), 128 + bad * frameBytes(batches[0]!.length) + 40 + 65);
      expect(readAll).toThrow('the checksum of the batch');
      expect([replica.soundTail(), world.engine.damaged()]).toEqual([ends[bad], [1]]);
    }
  });

  test('a missing arena or catalog is damage', async () => {
    const { world, image } = await atRest();
    world.disk.remove(arenaPath(0));
    world.disk.syncDirectory('storage');
    expect(world.open().replicas()[0]?.damage?.message).toContain('the arena file is missing');
    world.disk.restoreState(image);
    world.disk.remove(CATALOG_PATH);
    expect(() => world.open()).toThrow('the catalog storage/catalog is damaged (it is missing)');
  });
});

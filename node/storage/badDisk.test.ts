/** What a disk may do to a node that is not a crash: bad sectors, failed syncs, no space, and the start afterwards. */
import { describe, expect, test } from '@jest/globals';
import { concatBytes } from '../../base/bytes.ts';
import type { Disk } from '../../base/disk.ts';
import { isWalrusError, WalrusError, type ErrorCode } from '../../base/errors.ts';
import { KIB, MIB, offset, segmentId } from '../../base/units.ts';
import { NO_FAULTS } from '../sim/simDisk.ts';
import { BLOCK_DATA_START, MARK_START } from './blockHeader.ts';
import { CATALOG_PATH } from './catalog.ts';
import { SUPERBLOCK_PATH } from './superblock.ts';
import { frameBytes } from './frame.ts';
import { arenaPath, STORAGE_DIRECTORY } from './geometry.ts';
import { makeBatch } from './testing/batches.ts';
import { LEADER, StorageWorld } from './testing/storageWorld.ts';

const ALL = offset(Number.MAX_SAFE_INTEGER);
/** Of the page cache. */
const PAGE_BYTES = 4 * KIB;

/** What the disk does to files whose path contains a text. */
interface Trouble {
  path: string;
  open: ErrorCode | null;
  read: ErrorCode | null;
  write: ErrorCode | null;
}

/** A world whose disk can be told to refuse reads and writes of some files. */
function troubled(): { readonly world: StorageWorld; readonly trouble: Trouble } {
  const world = new StorageWorld(1, NO_FAULTS);
  const trouble: Trouble = { path: 'arena-', open: null, read: null, write: null };
  const { disk } = world;
  for (const name of ['open', 'create'] as const) {
    const original: Disk['open'] = disk[name].bind(disk);
    disk[name] = (path) => {
      const check = (code: ErrorCode | null): void => {
        if (code !== null && path.includes(trouble.path)) throw new WalrusError(code, 'refused');
      };
      if (name === 'open') check(trouble.open);
      const file = original(path);
      const { read, write } = { read: file.read.bind(file), write: file.write.bind(file) };
      file.read = (into, at) => {
        check(trouble.read);
        return read(into, at);
      };
      file.write = (bytes, at) => {
        check(trouble.write);
        write(bytes, at);
      };
      return file;
    };
  }
  world.crash();
  return { world, trouble };
}

/** The code that a call throws; null when it does not. */
function codeOf(call: () => unknown): ErrorCode | null {
  try {
    call();
  } catch (error) {
    if (isWalrusError(error)) return error.code;
    throw error;
  }
  return null;
}

function steps(world: StorageWorld, count: number): void {
  for (let i = 0; i < count; i += 1) world.clock.step();
}

/** What a fence of a segment comes to. */
function fenced(world: StorageWorld, id: number, epoch: number): () => unknown {
  let outcome: unknown = 'waits';
  world.replica(id).fence(epoch, (error, tail) => (outcome = error?.code ?? tail?.tail));
  return () => outcome;
}

function restart(world: StorageWorld): void {
  world.disk.kill();
  world.clock.clear();
  world.open();
}

describe('A sector that cannot be read', () => {
  function withBatches(): ReturnType<typeof troubled> {
    const made = troubled();
    for (const id of [1, 2]) {
      made.world.create(id);
      for (let i = 0; i < 3; i += 1) made.world.replica(id).append(makeBatch(i), LEADER);
    }
    made.world.clock.run();
    return made;
  }

  test.each(['read', 'digestAt', 'scrub'] as const)('is damage of the replica: %s', (how) => {
    const { world, trouble } = withBatches();
    const told: number[] = [];
    world.engine.onDamage((id) => told.push(id));
    trouble.read = 'DISK_FAILED';
    const replica = world.replica(1);
    const calls = {
      read: () => replica.read(offset(0), ALL, MIB),
      digestAt: () => replica.digestAt(offset(2)),
      scrub: () => replica.scrub(offset(0), MIB),
    };
    expect(codeOf(calls[how])).toBe('CORRUPT_SEGMENT');
    trouble.read = null;
    expect([told, world.engine.damaged()]).toEqual([[1], [1]]);
    const outcome = fenced(world, 1, 1);
    world.clock.run();
    expect([outcome(), world.engine.health.state]).toEqual(['CORRUPT_SEGMENT', 'HEALTHY']);
  });

  test('is damage at a start, too, and the node serves what it can', () => {
    const { world, trouble } = withBatches();
    world.disk.kill();
    world.clock.clear();
    trouble.read = 'DISK_FAILED';
    world.open();
    trouble.read = null;
    expect(world.engine.damaged()).toEqual([1, 2]);
    world.create(3);
    expect(world.replica(3).append(makeBatch(0), LEADER)).toBe(1);
    restart(world);
    expect(world.engine.damaged()).toEqual([]);
  });

  test('of the catalog, or of both superblocks, ends the start and is named', () => {
    const { world, trouble } = withBatches();
    world.disk.kill();
    world.clock.clear();
    trouble.read = 'DISK_FAILED';
    for (const path of [CATALOG_PATH, SUPERBLOCK_PATH]) {
      trouble.path = path;
      expect(() => world.open()).toThrow(/be read.*refused.*replace/);
    }
  });
});

describe('An arena that is not there', () => {
  test('since this process may not open it ends the start', () => {
    const { world } = troubled();
    world.create(1).append(makeBatch(0), LEADER);
    world.clock.run();
    world.disk.kill();
    world.clock.clear();
    const open: Disk['open'] = world.disk.open.bind(world.disk);
    world.disk.open = (path) => {
      if (path !== arenaPath(0)) return open(path);
      const details = { errno: 'EMFILE' };
      throw new WalrusError('DISK_FAILED', 'too many open files', { details });
    };
    expect(() => world.open()).toThrow('too many open files');
  });

  type Loss = 'cannot be opened' | 'is missing';

  /** A node whose first arena held two segments; started again without it. */
  function without(loss: Loss): ReturnType<typeof troubled> {
    const made = troubled();
    const { world, trouble } = made;
    for (const id of [1, 2]) world.create(id).append(makeBatch(0), LEADER);
    world.clock.run();
    world.disk.kill();
    world.clock.clear();
    trouble.path = arenaPath(0);
    if (loss === 'cannot be opened') {
      trouble.open = 'DISK_FAILED';
    } else {
      world.disk.remove(arenaPath(0));
      world.disk.syncDirectory(STORAGE_DIRECTORY);
    }
    world.open();
    return made;
  }

  test.each<Loss>(['cannot be opened', 'is missing'])(
    'since it %s is damage of what it held; the node serves the rest, and takes new segments',
    (loss) => {
      const { world } = without(loss);
      expect(world.engine.damaged()).toEqual([1, 2]);
      expect(world.replica(1).damage).toMatchObject({
        code: 'CORRUPT_SEGMENT',
        message: expect.stringContaining(`the arena file ${loss}`),
        details: { file: arenaPath(0), offset: 0 },
      });
      const outcome = fenced(world, 1, 1);
      world.create(3).append(makeBatch(0), LEADER);
      world.clock.run();
      expect([outcome(), world.replica(3).durableTail]).toEqual(['CORRUPT_SEGMENT', 1]);
      restart(world);
      expect([world.engine.damaged(), world.replica(3).tail]).toEqual([[1, 2], 1]);
    },
  );

  test.each<Loss>(['cannot be opened', 'is missing'])(
    'since it %s gives no blocks to others when what it held is deleted',
    (loss) => {
      const { world } = without(loss);
      for (const id of [1, 2]) world.engine.deleteReplica(segmentId(id));
      world.clock.run();
      expect(world.engine.usage().usedBytes).toBe(0);
      for (const id of [3, 4]) world.create(id).append(makeBatch(0), LEADER);
      world.clock.run();
      expect([world.replica(3).durableTail, world.replica(4).durableTail]).toEqual([1, 1]);
    },
  );

  test('and can be opened again has what it had', () => {
    const { world, trouble } = without('cannot be opened');
    trouble.open = null;
    restart(world);
    expect([world.engine.damaged(), world.replica(1).tail]).toEqual([[], 1]);
  });
});

describe('A disk without space', () => {
  test('can still give what is only staged, and that is no damage', () => {
    const { world, trouble } = troubled();
    const replica = world.create(1);
    replica.append(makeBatch(0), LEADER);
    world.clock.run();
    replica.append(makeBatch(1), LEADER);
    trouble.write = 'DISK_FULL';
    expect(replica.read(offset(1), ALL, MIB).bytes).toEqual(makeBatch(1));
    expect([replica.damage, replica.durableTail]).toEqual([null, 1]);
    trouble.write = null;
    steps(world, 2000);
    expect([replica.damage, replica.durableTail]).toEqual([null, 2]);
    expect(replica.read(offset(1), ALL, MIB).bytes).toEqual(makeBatch(1));
  });

  test('does the same when it is read-only', () => {
    const { world } = troubled();
    const replica = world.create(1);
    replica.append(makeBatch(0), LEADER);
    world.disk.failWrites();
    world.clock.run();
    expect(replica.read(offset(0), ALL, MIB).bytes).toEqual(makeBatch(0));
    expect([replica.damage, replica.durableTail]).toEqual([null, 0]);
  });

  test('makes fences, deletions and creations of others durable', () => {
    const { world, trouble } = troubled();
    for (const id of [1, 2, 3]) world.create(id).append(makeBatch(0), LEADER);
    world.clock.run();
    const used = world.engine.usage().usedBytes;
    trouble.write = 'DISK_FULL';
    world.replica(1).append(makeBatch(1), LEADER);
    steps(world, 20);
    const [one, other] = [fenced(world, 1, 3), fenced(world, 2, 3)];
    world.engine.deleteReplica(segmentId(3));
    let deleted: unknown = 'waits';
    world.engine.flushCatalog((error) => (deleted = error?.code ?? 'durable'));
    let flushed = 'waits';
    world.engine.flush(() => (flushed = 'durable'));
    steps(world, 200);
    expect([one(), other(), deleted, flushed]).toEqual(['waits', 1, 'durable', 'waits']);
    expect(world.engine.usage().usedBytes).toBeLessThan(used);
    trouble.write = null;
    steps(world, 2000);
    expect([one(), flushed, world.replica(1).durableTail]).toEqual([2, 'durable', 2]);
  });
});

describe('A sync that has failed', () => {
  /** One durable batch, and one whose sync failed; then the process is started again. */
  function restarted(): StorageWorld {
    const world = new StorageWorld(1, NO_FAULTS);
    world.create(1).append(makeBatch(0), LEADER);
    world.clock.run();
    world.disk.failSyncs();
    world.replica(1).append(makeBatch(1), LEADER);
    world.create(2);
    const outcome = fenced(world, 1, 7);
    world.clock.run();
    expect([outcome(), world.engine.health.state]).toEqual(['DISK_FAILED', 'READ_ONLY']);
    world.disk.heal();
    restart(world);
    return world;
  }

  test('is not undone by a restart: what counts then survives a loss of power', () => {
    const world = restarted();
    const known = [world.replica(1).durableTail, world.replica(1).fenceEpoch];
    expect(known).toEqual([2, 7]);
    world.crash();
    expect([world.replica(1).durableTail, world.replica(1).fenceEpoch]).toEqual(known);
    expect([world.engine.damaged(), world.replica(2).tail]).toEqual([[], 0]);
  });

  /**
   * Dies while a group is in flight that begins at a place of a file, and loses its beginning on the disk. The next start cuts
   * off what is behind, and the sync of that fails: it is in the page cache only. The start after it is well.
   */
  function cutOffInVain(world: StorageWorld, path: string, placeOf: () => number): void {
    const { disk, clock } = world;
    const { writes } = disk.counts;
    while (disk.counts.writes === writes) clock.step();
    disk.kill();
    clock.clear();
    const file = disk.open(path);
    file.write(new Uint8Array(8), placeOf());
    file.sync();
    const beginSync = disk.beginSync.bind(disk);
    disk.beginSync = (what) => {
      if (what === path) throw new WalrusError('DISK_FAILED', 'input/output error');
      beginSync(what);
    };
    expect(() => world.open()).toThrow('input/output error');
    disk.beginSync = beginSync;
    restart(world);
  }

  test.each([
    ['never by itself', 'value B', ['value A', 'value B']],
    ['only behind all that it was sent behind', 'value b', ['value A', 'value b', 'value c']],
  ])('may bring an erased frame back, which counts %s', (_, second, expected) => {
    // The second frame ends with a page: a page is written whole, and would erase the third one for good.
    let bytes = 0;
    const batchOf = (at: number, text: string): Uint8Array =>
      makeBatch(at, at === 1 ? { text, bytes } : { text });
    const place = BLOCK_DATA_START + frameBytes(batchOf(0, 'value A').length);
    while ((place + frameBytes(batchOf(1, '').length)) % PAGE_BYTES > 0) bytes += 1;
    const world = new StorageWorld(1, NO_FAULTS);
    const replica = world.create(1);
    replica.append(batchOf(0, 'value A'), LEADER);
    world.clock.run();
    replica.append(batchOf(1, 'value b'), LEADER);
    replica.append(batchOf(2, 'value c'), LEADER);
    cutOffInVain(world, arenaPath(0), () => place);
    expect([world.replica(1).tail, world.engine.damaged()]).toEqual([1, []]);
    world.replica(1).append(batchOf(1, second), LEADER);
    world.clock.run();
    world.crash();
    const wanted = expected.map((text, index) => batchOf(index, text));
    expect(world.replica(1).read(offset(0), ALL, MIB).bytes).toEqual(concatBytes(wanted));
    expect(world.engine.damaged()).toEqual([]);
  });

  test('brings no erased record of the catalog back: it is erased again', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const catalog = (): Uint8Array => {
      const file = world.disk.open(CATALOG_PATH);
      const bytes = new Uint8Array(file.sizeBytes());
      file.read(bytes, 0);
      return bytes;
    };
    // Larger than a page, which is written whole, and would erase what follows.
    const createLarge = (id: number): void => {
      const producerSnapshot = new Uint8Array(2 * PAGE_BYTES);
      const at = { segmentId: segmentId(id), token: LEADER.token, baseOffset: offset(0) };
      world.engine.createReplica({ ...at, producerSnapshot });
    };
    world.create(1);
    world.clock.run();
    const before = catalog();
    createLarge(2);
    world.replica(1).fence(7, () => undefined);
    cutOffInVain(world, CATALOG_PATH, () => {
      const at = catalog().findIndex((byte, index) => byte !== before[index]);
      return at - (at % 8);
    });
    expect(world.engine.replicas().map(({ segmentId: id }) => id)).toEqual([1]);
    createLarge(3); // as long as the record that was lost
    let isDurable = false;
    world.engine.flushCatalog(() => (isDurable = true));
    while (!isDurable) world.clock.step();
    world.crash();
    expect(world.engine.replicas().map(({ segmentId: id }) => id)).toEqual([1, 3]);
    expect(world.replica(1).fenceEpoch).toBe(0);
  });

  test('is met by a sync aside and by that of the group, both', () => {
    const world = new StorageWorld(1, NO_FAULTS);
    const [path] = world.disk.paths().filter((name) => name.includes('arena-'));
    const [group, aside] = [world.disk.open(path!), world.disk.open(path!)];
    world.disk.failSyncs();
    expect(codeOf(() => aside.sync())).toBe('DISK_FAILED');
    world.disk.heal();
    expect(codeOf(() => group.sync())).toBe('DISK_FAILED');
    expect([codeOf(() => group.sync()), codeOf(() => aside.sync())]).toEqual([null, null]);
  });
});

test('A new arena whose name cannot be made durable turns the disk read-only, and the next start takes it over', () => {
  const world = new StorageWorld(1, NO_FAULTS);
  world.create(1);
  world.clock.run();
  for (const path of world.disk.paths().filter((name) => name.includes('arena-')))
    world.disk.remove(path);
  world.disk.syncDirectory(STORAGE_DIRECTORY);
  world.disk.faults = { ...NO_FAULTS, capacityBytes: 0 }; // no chunk is prepared at start
  restart(world);
  world.disk.faults = NO_FAULTS;
  world.disk.failSyncs();
  expect(codeOf(() => world.replica(1).append(makeBatch(0), LEADER))).toBe('DISK_FAILED');
  expect(world.engine.health.state).toBe('READ_ONLY');
  world.disk.heal();
  restart(world);
  expect(world.replica(1).append(makeBatch(0), LEADER)).toBe(1);
  world.clock.run();
  expect(world.replica(1).durableTail).toBe(1);
});

test('A mark that is due late is not written into the blocks of a deleted replica', () => {
  const world = new StorageWorld(1, NO_FAULTS);
  world.create(1).append(makeBatch(0), LEADER);
  const { writes } = world.disk.counts;
  while (world.disk.counts.writes === writes) world.clock.step();
  expect(world.replica(1).durableTail).toBe(0); // its group is in flight
  world.engine.deleteReplica(segmentId(1));
  const [path] = world.disk.paths().filter((name) => name.includes('arena-'));
  world.clock.run();
  const mark = new Uint8Array(BLOCK_DATA_START - MARK_START);
  world.disk.open(path!).read(mark, MARK_START);
  expect(mark.every((byte) => byte === 0)).toBe(true);
});

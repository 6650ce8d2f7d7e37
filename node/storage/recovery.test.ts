/** Random operations and crashes on a disk with all crash faults, against a model of what was promised. */
import { describe, expect, test } from '@jest/globals';
import { between, chance, pick, SeededRandom } from '../../base/random.ts';
import { MIB, offset, segmentId } from '../../base/units.ts';
import { baseOffsetOf, batchSizeOf, recordsCountOf } from '../../protocol/recordBatch.ts';
import { makeBatch } from './testing/batches.ts';
import { StorageWorld, TOKEN } from './testing/storageWorld.ts';

interface ModelReplica {
  readonly baseOffset: number;
  /** Every batch that was ever accepted in this life of the segment and not cut off. */
  batches: Uint8Array[];
  durableTail: number;
  fence: number;
  durableFence: number;
  isCreateDurable: boolean;
  isDeleted: boolean;
  isDeleteDurable: boolean;
}

const ALL = offset(Number.MAX_SAFE_INTEGER);

class Model {
  readonly world: StorageWorld;
  readonly random: SeededRandom;
  readonly replicas = new Map<number, ModelReplica>();
  nextId = 1;
  stamp = 0;
  /** Distinguishes callbacks of a process that has died. */
  life = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.world = new StorageWorld(seed * 7 + 1);
  }

  live(): [number, ModelReplica][] {
    return [...this.replicas].filter(([, replica]) => !replica.isDeleted);
  }

  step(): void {
    const roll = between(this.random, 0, 99);
    const live = this.live();
    if (live.length === 0 || roll < 6) this.create();
    else if (roll < 60) this.append(...pick(this.random, live));
    else if (roll < 66) this.fence(...pick(this.random, live));
    else if (roll < 70) this.delete(...pick(this.random, live));
    else if (roll < 96) this.run();
    else this.crash();
  }

  run(): void {
    const steps = between(this.random, 1, 6);
    for (let i = 0; i < steps; i += 1) this.world.clock.step();
  }

  create(): void {
    if (this.live().length >= 6) return;
    const id = this.nextId++;
    const baseOffset = between(this.random, 0, 1000);
    const model: ModelReplica = {
      baseOffset,
      batches: [],
      durableTail: baseOffset,
      fence: 0,
      durableFence: 0,
      isCreateDurable: false,
      isDeleted: false,
      isDeleteDurable: false,
    };
    this.replicas.set(id, model);
    this.world.create(id, baseOffset);
    this.listen(id, model);
    this.onFlushed(() => (model.isCreateDurable = true));
  }

  listen(id: number, model: ModelReplica): void {
    const { life } = this;
    this.world.replica(id).onDurable((tail) => {
      if (life === this.life) model.durableTail = tail;
    });
  }

  onFlushed(then: () => void): void {
    const { life } = this;
    this.world.engine.flush((error) => {
      if (error === null && life === this.life) then();
    });
  }

  append(id: number, model: ModelReplica): void {
    const replica = this.world.replica(id);
    const burst = between(this.random, 1, 5);
    for (let i = 0; i < burst; i += 1) {
      this.stamp += 1;
      const count = between(this.random, 1, 4);
      const bytes = chance(this.random, 0.1) ? between(this.random, 3000, 90_000) : 40;
      const text = `${id} ${this.stamp} `;
      const batch = makeBatch(replica.tail, { count, bytes, text });
      replica.append(batch, { token: TOKEN, epoch: model.fence });
      model.batches.push(batch);
    }
  }

  fence(id: number, model: ModelReplica): void {
    model.fence += between(this.random, 1, 3);
    const epoch = model.fence;
    const { life } = this;
    const expected = this.world.replica(id).tail;
    this.world.replica(id).fence(epoch, (error, tail) => {
      if (life !== this.life || model.isDeleted) return;
      expect([error, tail?.tail]).toEqual([null, expected]);
      model.durableFence = Math.max(model.durableFence, epoch);
    });
  }

  delete(id: number, model: ModelReplica): void {
    model.isDeleted = true;
    this.world.engine.deleteReplica(segmentId(id));
    this.onFlushed(() => (model.isDeleteDurable = true));
  }

  crash(): void {
    this.life += 1;
    this.world.crash();
    this.check();
  }

  check(): void {
    for (const [id, model] of this.replicas) {
      const replica = this.world.engine.replica(segmentId(id));
      if (model.isDeleteDurable || !replica) {
        expect([id, replica]).toEqual([id, undefined]);
        expect(model.isCreateDurable && !model.isDeleted).toBe(false);
        this.replicas.delete(id);
        continue;
      }
      // A deletion that was not durable may be undone: then the replica is whole again.
      model.isDeleted = false;
      model.isCreateDurable = true;
      this.checkReplica(id, model);
      this.listen(id, model);
    }
  }

  checkReplica(id: number, model: ModelReplica): void {
    const replica = this.world.replica(id);
    expect([id, replica.damage]).toEqual([id, null]);
    expect(replica.tail).toBeGreaterThanOrEqual(model.durableTail);
    expect(replica.fenceEpoch).toBeGreaterThanOrEqual(model.durableFence);
    expect(replica.fenceEpoch).toBeLessThanOrEqual(model.fence);
    model.fence = replica.fenceEpoch;
    model.durableFence = replica.fenceEpoch;
    const kept: Uint8Array[] = [];
    let at: number = replica.baseOffset;
    while (at < replica.tail) {
      const { bytes, nextOffset } = replica.read(offset(at), ALL, 64 * 1024);
      for (let from = 0; from < bytes.length; from += batchSizeOf(bytes, from)) {
        const batch = model.batches[kept.length];
        const got = bytes.subarray(from, from + batchSizeOf(bytes, from));
        if (!batch || Buffer.compare(batch, got) !== 0) {
          throw new Error(`Segment ${id} has another batch at offset ${baseOffsetOf(got)}`);
        }
        kept.push(batch);
        at += recordsCountOf(got);
      }
      expect(nextOffset).toBe(at);
    }
    expect(at).toBe(replica.tail);
    expect(replica.durableTail).toBe(replica.tail);
    model.batches = kept;
    model.durableTail = replica.tail;
  }
}

describe('recovery', () => {
  test('keeps every promise through crashes at any point', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const model = new Model(seed);
      try {
        for (let step = 0; step < 200; step += 1) model.step();
        model.crash();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });

  test('cuts off torn bodies of a log of which nothing was ever synced', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const world = new StorageWorld(seed, { tornWriteProbability: 1, tornSectorProbability: 0 });
      world.create(1);
      for (let i = 0; i < 3; i += 1) {
        world.replica(1).append(makeBatch(i, { bytes: 900 }), { token: TOKEN, epoch: 0 });
      }
      world.clock.step(); // written; the sync is in flight
      world.crash();
      const replica = world.engine.replica(segmentId(1));
      if (!replica) continue; // the catalog's entry was torn, too
      const { bytes, nextOffset } = replica.read(offset(0), ALL, MIB);
      expect([replica.damage, nextOffset]).toEqual([null, replica.tail]);
      expect(bytes.length).toBe(replica.tail * makeBatch(0, { bytes: 900 }).length);
    }
  });

  test('never takes the bytes of a recycled block for new ones', () => {
    const world = new StorageWorld(3, { lostWriteProbability: 1 });
    world.create(1);
    for (let i = 0; i < 50; i += 1) {
      world.replica(1).append(makeBatch(i, { text: 'old', bytes: 50 }), { token: TOKEN, epoch: 0 });
    }
    world.clock.run();
    world.engine.deleteReplica(segmentId(1));
    world.clock.run();
    world.create(2);
    const first = makeBatch(0, { text: 'new', bytes: 50 });
    world.replica(2).append(first, { token: TOKEN, epoch: 0 });
    world.clock.run();
    world.crash();
    const replica = world.replica(2);
    expect([replica.tail, replica.damage]).toEqual([1, null]);
    expect(Buffer.compare(replica.read(offset(0), ALL, MIB).bytes, first)).toBe(0);
  });
});

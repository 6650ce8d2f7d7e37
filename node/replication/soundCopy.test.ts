import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ErrorCode } from '../../base/errors.ts';
import { offset, segmentId } from '../../base/units.ts';
import { NO_FAULTS } from '../sim/simDisk.ts';
import { frameBytes } from '../storage/frame.ts';
import { arenaPath } from '../storage/geometry.ts';
import { makeBatch } from '../storage/testing/batches.ts';
import { LEADER, StorageWorld } from '../storage/testing/storageWorld.ts';
import type { Replica, ReplicaTail } from '../storage/types.ts';
import { readSound } from './soundCopy.ts';

const BATCHES = Array.from({ length: 50 }, (_, i) => makeBatch(i, { text: 'x', bytes: 100 }));
const END = offset(BATCHES.length);

let world: StorageWorld;
let replica: Replica;
/** Of the first N batches. */
let ends: ReplicaTail[];
let answers: (ErrorCode | ReplicaTail | null)[];

beforeEach(() => {
  world = new StorageWorld(1, NO_FAULTS);
  replica = world.create(1);
  ends = [replica.soundTail()];
  for (const batch of BATCHES) {
    replica.append(batch, LEADER);
    ends.push(replica.soundTail());
  }
  world.clock.run();
  answers = [];
});

function damage(batch: number): void {
  world.disk.rot(arenaPath(0), 128 + batch * frameBytes(BATCHES[0]!.length) + 40 + 65);
}

function begin(): void {
  readSound(replica, world.clock, (error, tail) => answers.push(error?.code ?? tail));
}

describe('readSound()', () => {
  test.each([[[]], [[40]], [[40, 7]], [[40, 7, 30]], [[0]]])(
    'of a copy with damage in %j ends before the first one, though only the last is known',
    (damaged) => {
      for (const batch of damaged) damage(batch);
      const last = Math.max(...damaged);
      if (damaged.length > 0) {
        expect(() => replica.read(offset(last), END, 500)).toThrow('the checksum of the batch');
      }
      begin();
      world.clock.run();
      expect(answers).toEqual([ends[Math.min(END, ...damaged)]]);
    },
  );

  test('of a copy that is deleted meanwhile says that it is gone', () => {
    begin();
    world.engine.deleteReplica(segmentId(1));
    world.clock.run();
    expect(answers).toEqual(['SEGMENT_NOT_FOUND']);
  });
});

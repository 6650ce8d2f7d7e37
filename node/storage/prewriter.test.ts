import { expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { KIB, MIB } from '../../base/units.ts';
import { NO_FAULTS, SimDisk } from '../sim/simDisk.ts';
import { ArenaSet } from './arenaSet.ts';
import { BlockAllocator } from './blockAllocator.ts';
import { CHUNK_BYTES, FRESH_CHUNKS, STORAGE_DIRECTORY } from './geometry.ts';
import { Prewriter } from './prewriter.ts';
import { ManualClock } from './testing/manualClock.ts';

test('Prewriter waits while large groups stream, and prepares chunks once they are over', () => {
  const clock = new ManualClock();
  const disk = new SimDisk({ random: new SeededRandom(1), clock, faults: NO_FAULTS });
  disk.makeDirectory(STORAGE_DIRECTORY);
  const arenas = new ArenaSet(disk);
  const allocator = new BlockAllocator(arenas, []);
  let pendingBytes = MIB;
  const prewriter = new Prewriter({
    arenas,
    allocator,
    clock,
    pendingBytes: () => pendingBytes,
    onFailure: (error) => {
      throw error;
    },
  });
  prewriter.wake();
  for (let i = 0; i < 100; i += 1) clock.step();
  expect([arenas.allocatedBytes, allocator.freeChunkCount]).toEqual([0, 0]);

  pendingBytes = 64 * KIB;
  clock.run();
  expect(allocator.freeChunkCount).toBe(FRESH_CHUNKS);
  expect(arenas.allocatedBytes).toBe(FRESH_CHUNKS * CHUNK_BYTES);
});

/** A storage engine on a simulated disk, which tests crash, fill and damage. */
import { SeededRandom } from '../../../base/random.ts';
import { nodeId, offset, segmentId } from '../../../base/units.ts';
import { SimDisk, type SimDiskFaults } from '../../sim/simDisk.ts';
import { openStorage, type Engine } from '../engine.ts';
import { formatDisk } from '../formatDisk.ts';
import type { Replica } from '../types.ts';
import { ManualClock } from './manualClock.ts';

export const TOKEN = 'ab'.repeat(16);
export const CLUSTER = 'c1'.repeat(16);
export const LEADER = { token: TOKEN, epoch: 0 };

export class StorageWorld {
  readonly random: SeededRandom;
  readonly clock = new ManualClock();
  readonly disk: SimDisk;
  engine: Engine;

  constructor(seed = 1, faults: Partial<SimDiskFaults> = {}) {
    this.random = new SeededRandom(seed);
    const { random, clock } = this;
    this.disk = new SimDisk({ random: random.fork(), clock, faults });
    formatDisk({ disk: this.disk, random, clusterId: CLUSTER, nodeId: nodeId(1) });
    this.engine = this.open();
  }

  open(): Engine {
    this.engine = openStorage({ disk: this.disk, clock: this.clock, random: this.random });
    return this.engine;
  }

  /** Power is lost, and the node starts again. */
  crash(): Engine {
    this.disk.crash();
    this.clock.clear();
    return this.open();
  }

  create(id: number, baseOffset = 0): Replica {
    return this.engine.createReplica({
      segmentId: segmentId(id),
      token: TOKEN,
      baseOffset: offset(baseOffset),
      producerSnapshot: new Uint8Array(0),
    });
  }

  replica(id: number): Replica {
    const replica = this.engine.replica(segmentId(id));
    if (!replica) throw new Error(`There is no replica of segment ${id}`);
    return replica;
  }
}

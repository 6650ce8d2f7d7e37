/** Who counts up at a start, and who tries again (DESIGN I2, ADR 0101), with the metadata's rule beside the disk. */
import { describe, expect, test } from '@jest/globals';
import { SeededRandom } from '../../base/random.ts';
import { logIndex, nodeId } from '../../base/units.ts';
import { NO_FAULTS, SimDisk } from '../sim/simDisk.ts';
import { applyCommand } from '../state/apply.ts';
import { MutableMetadata } from '../state/mutableMetadata.ts';
import { CONFIG, registration } from '../state/testing/fixture.ts';
import { openStorage, type Engine } from './engine.ts';
import { formatDisk } from './formatDisk.ts';
import { SUPERBLOCK_PATH } from './superblock.ts';
import { ManualClock } from './testing/manualClock.ts';

class Boots {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly disk: SimDisk;
  readonly metadata = new MutableMetadata();
  #index = 0;

  constructor(seed: number, faults: ConstructorParameters<typeof SimDisk>[0]['faults'] = {}) {
    this.random = new SeededRandom(seed);
    this.disk = new SimDisk({ random: this.random.fork(), clock: this.clock, faults });
    this.#apply({ type: 'Bootstrap', clusterId: 'c'.repeat(32), config: CONFIG });
    const { disk, random } = this;
    formatDisk({ disk, random, clusterId: 'c'.repeat(32), nodeId: nodeId(1) });
  }

  #apply(command: Parameters<typeof applyCommand>[2]): boolean {
    this.#index += 1;
    return applyCommand(this.metadata, logIndex(this.#index), command).ok;
  }

  /** A process starts and opens the disk. */
  open(): Engine {
    const { disk, clock, random } = this;
    return openStorage({ disk, clock, random });
  }

  /** Whether the metadata take the boot. */
  register({ identity }: Engine): boolean {
    const { nodeId: id, diskId, bootEpoch, bootNonce } = identity;
    return this.#apply(registration({ nodeId: id, diskId }, bootEpoch, bootNonce));
  }

  /** A whole start, as WalrusNode does it. */
  boot(): boolean {
    const engine = this.open();
    if (!this.register(engine)) return false;
    engine.noteRegistered();
    return true;
  }

  crash(): void {
    this.disk.crash();
    this.clock.clear();
  }
}

describe('a boot', () => {
  test('that is not known to be registered is tried again; else the next one begins', () => {
    const boots = new Boots(1, NO_FAULTS);
    const first = boots.open().identity;
    boots.crash();
    const engine = boots.open();
    expect(engine.identity).toMatchObject({ bootEpoch: 1, bootNonce: first.bootNonce });
    expect(engine.isRegistered).toBe(false);
    engine.noteRegistered();
    engine.noteRegistered();
    expect(engine.isRegistered).toBe(true);
    boots.crash();
    const next = boots.open().identity;
    expect(next.bootEpoch).toBe(2);
    expect(next.bootNonce).not.toBe(first.bootNonce);
  });

  test('of an intact disk is never refused, wherever and however often it crashes', () => {
    let lost = 0;
    for (let seed = 1; seed <= 30; seed += 1) {
      const boots = new Boots(seed);
      for (let start = 0; start < 6; start += 1) {
        const step = boots.random.uint32() % 5;
        let engine: Engine | null = null;
        if (step === 0) failWrites(boots, () => boots.open());
        else engine = boots.open();
        if (engine !== null && step > 1) expect(boots.register(engine)).toBe(true);
        if (engine !== null && step === 3) failWrites(boots, () => engine.noteRegistered());
        if (engine !== null && step > 3) engine.noteRegistered();
        if (engine?.isRegistered === false) lost += 1;
        boots.crash();
      }
      expect(boots.boot()).toBe(true);
    }
    expect(lost).toBeGreaterThan(10);
  });

  test('of a disk that was put back is refused, however often a supervisor starts it', () => {
    const boots = new Boots(1, NO_FAULTS);
    expect(boots.boot()).toBe(true);
    const image = boots.disk.snapshotState();
    boots.crash();
    expect(boots.boot()).toBe(true);
    boots.crash();
    boots.disk.restoreState(image);
    for (let attempt = 0; attempt < 5; attempt += 1) {
      // Before or after it has asked: a crash in between is no way around.
      if (attempt % 2 === 0) expect(boots.boot()).toBe(false);
      else boots.open();
      boots.crash();
    }
    expect(boots.boot()).toBe(false);
  });

  test('of one of two clones is refused: the nonce tells them apart', () => {
    const boots = new Boots(1, NO_FAULTS);
    expect(boots.boot()).toBe(true);
    const image = boots.disk.snapshotState();
    boots.crash();
    const one = boots.open();
    expect(boots.register(one)).toBe(true);
    boots.crash();
    boots.disk.restoreState(image);
    const other = boots.open();
    expect(other.identity.bootEpoch).toBe(one.identity.bootEpoch);
    expect(boots.register(other)).toBe(false);
  });

  test('has block epochs of its own, also when it is tried again', () => {
    const boots = new Boots(1, NO_FAULTS);
    const seen = new Set<number>();
    for (let start = 0; start < 4; start += 1) {
      const engine = boots.open();
      if (start === 2) engine.noteRegistered();
      const file = boots.disk.open(SUPERBLOCK_PATH);
      const bytes = new Uint8Array(8);
      file.read(bytes, 80);
      file.close();
      seen.add(bytes[0] ?? 0);
      boots.crash();
    }
    expect(seen.size).toBe(4);
  });
});

/** The process dies in the middle of its writes. */
function failWrites(boots: Boots, action: () => void): void {
  const { faults } = boots.disk;
  boots.disk.faults = { ...faults, shortWriteProbability: 0.5 };
  try {
    action();
  } catch {
    // What is left on the disk is looked at by the next start.
  }
  boots.disk.faults = faults;
}

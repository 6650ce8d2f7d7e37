import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '../../../base/crc32c.ts';
import { isWalrusError } from '../../../base/errors.ts';
import { between, randomHex, SeededRandom } from '../../../base/random.ts';
import { MemoryDisk } from '../testing/memoryDisk.ts';
import { idOf } from '../testing/simCluster.ts';
import type { ServerId } from '../types.ts';
import { nextBoot } from './boot.ts';
import type { Boot, OwnBoot } from './boot.ts';
import {
  BOOT_TABLE_HEADER_BYTES,
  BOOT_TABLE_SLOT_BYTES,
  BootTable,
  decodeBootTable,
  encodeBootTable,
  HEARD_COUNT_MAX,
} from './bootTable.ts';
import type { BootTableState } from './bootTable.ts';

const PATH = 'raft/boots';
const NONCE = 'a'.repeat(32);

const hex = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const epochs = fc.maxSafeNat();
const boots = fc.record({ epoch: epochs, nonce: hex });
const states: fc.Arbitrary<BootTableState> = fc.record({
  writes: epochs,
  own: fc.record({ epoch: epochs, nonce: hex, isAdmitted: fc.boolean() }),
  heard: fc
    .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 999 }).map(idOf), boots), {
      selector: ([id]) => id,
      maxLength: HEARD_COUNT_MAX,
    })
    .map((entries) => new Map<ServerId, Boot>(entries)),
});

function begin(disk: MemoryDisk, random = new SeededRandom(1)): BootTable {
  return BootTable.begin(disk, 'raft', (last) => nextBoot(last, () => randomHex(random, 16)));
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'no error';
  } catch (error) {
    if (!isWalrusError(error)) throw error;
    return error.code;
  }
}

/** What calls have returned from. */
interface Known {
  heard: number;
  own: OwnBoot;
}

/** One process life: nothing known is missing, and more becomes known. */
function live(table: BootTable, known: Known): void {
  expect(table.heard(idOf(2))?.epoch ?? 0).toBeGreaterThanOrEqual(known.heard);
  // An admitted boot is never tried again, and no boot is forgotten.
  expect(table.own.epoch).toBeGreaterThanOrEqual(known.own.epoch + (known.own.isAdmitted ? 1 : 0));
  known.own = table.own;
  for (let call = 0; call < 5; call += 1) {
    const epoch = (table.heard(idOf(2))?.epoch ?? 0) + 1;
    table.hear(idOf(2), { epoch, nonce: NONCE });
    known.heard = epoch;
  }
  table.noteAdmitted();
  known.own = table.own;
}

describe('the bytes of a table of boots', () => {
  test('round-trip, also with as many servers as are remembered', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decodeBootTable(encodeBootTable(state))).toEqual(state);
      }),
      { numRuns: 100 },
    );
    const id = (index: number): ServerId => `${index}`.padEnd(128, 'x') as ServerId;
    const heard = Array.from({ length: HEARD_COUNT_MAX }, (_, index) => {
      return [id(index), { epoch: index, nonce: NONCE }] as const;
    });
    const full = { writes: 1, own: { epoch: 1, nonce: NONCE, isAdmitted: true } };
    const bytes = encodeBootTable({ ...full, heard: new Map(heard) });
    expect(bytes.length).toBeLessThanOrEqual(BOOT_TABLE_SLOT_BYTES);
  });

  test('have the documented size', () => {
    const own = { epoch: 1, nonce: NONCE, isAdmitted: false };
    const empty = encodeBootTable({ writes: 1, own, heard: new Map() });
    expect(empty.length).toBe(BOOT_TABLE_HEADER_BYTES);
    const heading = `### Table of boots, \`boots\` (two slots of ${BOOT_TABLE_SLOT_BYTES} bytes; ${BOOT_TABLE_HEADER_BYTES} bytes, then the servers)`;
    expect(readFileSync('docs/disk-format.md', 'utf8')).toContain(heading);
  });

  test('with any changed byte are damage, never another table; another version is named', () => {
    const own = { epoch: 3, nonce: NONCE, isAdmitted: true };
    const heard = new Map([[idOf(2), { epoch: 4, nonce: NONCE }]]);
    const bytes = encodeBootTable({ writes: 7, own, heard });
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect([at, decodeBootTable(changed)]).toEqual([at, null]);
      expect(decodeBootTable(bytes.subarray(0, at))).toBeNull();
    }
    const newer = bytes.slice();
    const view = new DataView(newer.buffer);
    view.setUint32(12, 9, true);
    view.setUint32(8, crc32c(newer.subarray(12)), true);
    expect(() => decodeBootTable(newer)).toThrow('format version 9, this build knows 1');
  });
});

describe('BootTable', () => {
  test('begins with the first boot, repeats it until it is admitted, then counts up', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const first = begin(disk);
    expect(first.own).toMatchObject({ epoch: 1, isAdmitted: false });
    const again = begin(disk, new SeededRandom(2));
    expect(again.own).toEqual(first.own);
    again.noteAdmitted();
    again.noteAdmitted();
    expect(again.own.isAdmitted).toBe(true);
    const next = begin(disk, new SeededRandom(3));
    expect(next.own).toMatchObject({ epoch: 2, isAdmitted: false });
    expect(next.own.nonce).not.toBe(first.own.nonce);
  });

  test('has everything durable when a call returns, whatever is lost of the rest', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const table = begin(disk);
    table.hear(idOf(2), { epoch: 5, nonce: NONCE });
    disk.dropUnsynced();
    expect(begin(disk).heard(idOf(2))).toEqual({ epoch: 5, nonce: NONCE });
    begin(disk).noteAdmitted();
    disk.dropUnsynced();
    expect(begin(disk).own.epoch).toBe(2);
  });

  test('loses nothing that it has returned from, wherever it crashes', () => {
    let crashes = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = new SeededRandom(seed);
      const disk = new MemoryDisk(random.fork());
      const known: Known = { heard: 0, own: { epoch: 0, nonce: '', isAdmitted: false } };
      for (let life = 0; life < 5; life += 1) {
        disk.failAfter(between(random, 0, 30));
        crashes += codeOf(() => live(begin(disk, random.fork()), known)) === 'DISK_FAILED' ? 1 : 0;
        disk.failAfter(Number.MAX_SAFE_INTEGER / 2);
        disk.crash();
      }
      live(begin(disk, random.fork()), known);
    }
    expect(crashes).toBeGreaterThan(200);
  });

  test('goes on with the half that is whole, and names it when both are damaged', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const table = begin(disk);
    table.hear(idOf(2), { epoch: 5, nonce: NONCE });
    for (const slot of [0, 1]) {
      const copy = disk.copy();
      copy.flip(PATH, slot * BOOT_TABLE_SLOT_BYTES + 20);
      expect(begin(copy).heard(idOf(2))?.epoch).toBe(5);
    }
    disk.flip(PATH, 20);
    disk.flip(PATH, BOOT_TABLE_SLOT_BYTES + 20);
    expect(codeOf(() => begin(disk))).toBe('CORRUPT_SEGMENT');
  });

  test('that is missing beside a log is damage, not a new one', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    disk.create('raft/log-0000000000000001').close();
    expect(codeOf(() => begin(disk))).toBe('CORRUPT_SEGMENT');
    expect(() => begin(disk)).toThrow(/raft\/boots is missing beside a log.*--replace-disk/);
  });

  test('remembers so many servers, the newest ones', () => {
    const table = begin(new MemoryDisk(new SeededRandom(1)));
    for (let number = 1; number <= HEARD_COUNT_MAX; number += 1)
      table.hear(idOf(number), { epoch: 1, nonce: NONCE });
    table.hear(idOf(1), { epoch: 2, nonce: NONCE });
    table.hear(idOf(HEARD_COUNT_MAX + 1), { epoch: 1, nonce: NONCE });
    expect(table.heard(idOf(1))?.epoch).toBe(2);
    expect(table.heard(idOf(2))).toBeUndefined();
    expect(table.heard(idOf(3))?.epoch).toBe(1);
  });
});

import { describe, expect, test } from '@jest/globals';
import { crc32c } from '../../../base/crc32c.ts';
import type { Disk } from '../../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../../base/errors.ts';
import { between, chance, randomBytes, SeededRandom } from '../../../base/random.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { Entry } from '../entry.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import { MemoryDisk } from '../testing/memoryDisk.ts';
import { memberOf } from '../testing/simCluster.ts';
import type { HardState, ServerId } from '../types.ts';
import { encodeHeader, HEADER_BYTES, RECORD_HEADER_BYTES, readRecord, seedOf } from './format.ts';
import { RaftLog } from './raftLog.ts';

const DIRECTORY = 'raft';
const SEGMENT_BYTES = 2048;
const ME = '1/d' as ServerId;
const configuration = { voters: [memberOf(1)], learners: [] };

function open(disk: Disk): RaftLog {
  return new RaftLog({ disk, directory: DIRECTORY, segmentBytes: SEGMENT_BYTES });
}

function entry(entryTerm: number, payload: Uint8Array): Entry {
  return { term: term(entryTerm), type: 'Command', payload, configuration: null };
}

/** What a log should hold, kept beside it. */
class Model {
  hardState: HardState = { currentTerm: term(0), votedFor: null };
  base = { index: 0, term: 0 };
  entries: Entry[] = [];
  snapshot: SnapshotInfo | null = null;

  clone(): Model {
    return Object.assign(new Model(), this, { entries: [...this.entries] });
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  termAt(index: number): number {
    if (index === this.base.index) return this.base.term;
    return this.entries[index - this.base.index - 1]?.term ?? -1;
  }
}

/** The entries of a log by index, from an index on. */
function entriesOf(log: RaftLog, from: number): string[] {
  const first = Math.max(from, log.baseIndex) + 1;
  if (first > log.lastIndex) return [];
  return log
    .entries(logIndex(first), log.lastIndex)
    .map(({ term, payload }, i) => `${first + i}@${term}:${payload.join()}`);
}

function entriesOfModel(model: Model, from: number): string[] {
  return model.entries
    .map(({ term, payload }, i) => ({
      index: model.base.index + 1 + i,
      text: `${model.base.index + 1 + i}@${term}:${payload.join()}`,
    }))
    .filter(({ index }) => index > from)
    .map(({ text }) => text);
}

interface Change {
  readonly run: (log: RaftLog, model: Model) => void;
  /** Whether everything so far is durable once it has returned. */
  readonly isDurable: boolean;
}

function info(index: number, snapshotTerm: number, data: Uint8Array): SnapshotInfo {
  return {
    index: logIndex(index),
    term: term(snapshotTerm),
    configuration,
    configurationIndex: logIndex(1),
    sizeBytes: data.length,
    checksum: crc32c(data),
  };
}

/** Draws the next thing to do. */
function drawChange(random: SeededRandom, model: Model): Change {
  const dice = between(random, 0, 99);
  if (dice < 10 || model.hardState.currentTerm === 0) return drawHardState(random, model);
  if (dice < 70) return drawAppend(random, model);
  const isSync = dice < 88;
  if (isSync) return { isDurable: true, run: syncAndMark };
  const low = Math.max(model.base.index, model.snapshot?.index ?? 0);
  if (dice < 95 && model.lastIndex > low) return drawSnapshot(random, model, low);
  return drawInstall(random, model);
}

function drawHardState(random: SeededRandom, model: Model): Change {
  const hardState = {
    currentTerm: term(model.hardState.currentTerm + 1),
    votedFor: chance(random, 0.5) ? ME : null,
  };
  return {
    isDurable: true,
    run: (log, m) => {
      log.saveHardState(hardState);
      m.hardState = hardState;
    },
  };
}

function drawAppend(random: SeededRandom, model: Model): Change {
  const floor = Math.max(model.base.index, model.snapshot?.index ?? 0);
  const cut = chance(random, 0.15) ? between(random, floor, model.lastIndex) : model.lastIndex;
  const added = Array.from({ length: between(random, 1, 4) }, () =>
    entry(model.hardState.currentTerm, randomBytes(random, between(random, 0, 90))),
  );
  return {
    isDurable: false,
    run: (log, m) => {
      log.append(logIndex(cut), added);
      m.entries.length = cut - m.base.index;
      m.entries.push(...added);
    },
  };
}

function syncAndMark(log: RaftLog): void {
  log.sync();
  log.mark();
}

function drawSnapshot(random: SeededRandom, model: Model, low: number): Change {
  const data = randomBytes(random, 40);
  const index = between(random, low + 1, model.lastIndex);
  const compactTo = between(random, model.base.index, index);
  const compactTerm = model.termAt(compactTo);
  return {
    isDurable: true,
    run: (log, m) => {
      log.sync();
      const snapshot = info(index, m.termAt(index), data);
      log.saveSnapshot(snapshot, data);
      log.compactTo(logIndex(compactTo), new Set([snapshot.index]));
      m.snapshot = snapshot;
      m.entries = m.entries.slice(compactTo - m.base.index);
      m.base = { index: compactTo, term: compactTerm };
    },
  };
}

function drawInstall(random: SeededRandom, model: Model): Change {
  const data = randomBytes(random, 40);
  const index = model.lastIndex + between(random, 1, 5);
  const { currentTerm } = model.hardState;
  return {
    isDurable: true,
    run: (log, m) => {
      const snapshot = info(index, currentTerm, data);
      log.saveSnapshot(snapshot, data);
      log.restartAfter(snapshot);
      m.snapshot = snapshot;
      m.base = { index, term: currentTerm };
      m.entries = [];
    },
  };
}

/** Whether a recovered log is a state that lies between what was durable and what was written last. */
function matches(log: RaftLog, candidate: Model): boolean {
  const { hardState, snapshot } = log.recovered.persisted;
  const from = snapshot?.index ?? 0;
  return (
    hardState.currentTerm === candidate.hardState.currentTerm &&
    hardState.votedFor === candidate.hardState.votedFor &&
    (snapshot?.index ?? 0) === (candidate.snapshot?.index ?? 0) &&
    JSON.stringify(entriesOf(log, from)) === JSON.stringify(entriesOfModel(candidate, from))
  );
}

/** All entries of `shorter` are in `log`, and what the log has beyond them was written, too. */
function holdsDurable(log: RaftLog, durable: Model, written: ReadonlySet<string>): void {
  const { hardState, snapshot } = log.recovered.persisted;
  expect(hardState.currentTerm).toBeGreaterThanOrEqual(durable.hardState.currentTerm);
  expect(snapshot?.index ?? 0).toBeGreaterThanOrEqual(durable.snapshot?.index ?? 0);
  for (const text of entriesOf(log, snapshot?.index ?? 0))
    if (!written.has(text)) throw new Error(`${text} was never written`);
}

/** What was durable and was not replaced since is there. */
function holdsAll(log: RaftLog, durable: Model, written: Model): void {
  const from = log.recovered.persisted.snapshot?.index ?? 0;
  const have = entriesOf(log, from);
  const kept = new Set(entriesOfModel(written, from));
  for (const text of entriesOfModel(durable, from))
    if (kept.has(text)) expect(have).toContain(text);
}

/** Whether a damaged disk is refused by name; what it still gives must be right. */
function isNamed(disk: Disk, check: (log: RaftLog) => void): boolean {
  try {
    check(open(disk));
    return false;
  } catch (error) {
    if (!isWalrusError(error, 'CORRUPT_SEGMENT')) throw error;
    return true;
  }
}

describe('RaftLog', () => {
  test('finds again what it has made durable, over many random lives with torn writes', () => {
    let crashes = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const random = new SeededRandom(seed);
      const disk = new MemoryDisk(random.fork());
      let durable = new Model();
      let model = new Model();
      /** States since the last sync: recovery may find any of them, or a part of an append. */
      const written = new Set<string>();
      let log = open(disk);
      let hasTruncated = false;
      for (let i = 0; i < 120; i += 1) {
        const change = drawChange(random, model);
        const last = model.lastIndex;
        change.run(log, model);
        if (model.lastIndex < last) hasTruncated = true;
        for (const text of entriesOfModel(model, 0)) written.add(text);
        if (chance(random, 0.2)) log.prepareSpare();
        if (change.isDurable) {
          durable = model.clone();
          hasTruncated = false;
        }
        if (!chance(random, 0.05)) continue;
        crashes += 1;
        disk.crash();
        log = open(disk);
        holdsDurable(log, durable, written);
        if (!hasTruncated) holdsAll(log, durable, model);
        // The next life starts from what was found.
        model = modelOf(log);
        durable = model.clone();
        hasTruncated = false;
      }
      log.close();
    }
    expect(crashes).toBeGreaterThan(200);
  });

  test('recovers from a crash at every write, sync and rename of a scripted life', () => {
    const total = scriptedLife(new MemoryDisk(new SeededRandom(1))).operations;
    expect(total).toBeGreaterThan(60);
    for (let stopAt = 0; stopAt < total; stopAt += 1) {
      const disk = new MemoryDisk(new SeededRandom(stopAt));
      disk.failAfter(stopAt);
      const life = scriptedLife(disk);
      disk.failAfter(Number.MAX_SAFE_INTEGER);
      disk.crash();
      const log = open(disk);
      // What was durable is there, and what is there is one of the states that were written.
      const isKnown = life.states.slice(life.durableState).some((state) => matches(log, state));
      expect({ stopAt, isKnown: isKnown || life.isInAppend }).toEqual({ stopAt, isKnown: true });
      holdsDurable(log, life.states[life.durableState] ?? new Model(), life.written);
    }
  });

  test('a snapshot that is written in slices is there once it is kept; half of one is removed at the next start', async () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const log = open(disk);
    log.saveHardState({ currentTerm: term(3), votedFor: ME });
    log.append(logIndex(0), [entry(3, new Uint8Array(1)), entry(3, new Uint8Array(1))]);
    log.sync();
    const data = new Uint8Array(50).fill(7);
    const writer = log.beginSnapshot(configuration);
    writer.write(data.subarray(0, 20));
    const half = disk.copy();
    expect(open(half).recovered.snapshotData).toBeNull();
    expect(half.exists(writer.path)).toBe(false);
    writer.write(data.subarray(20));
    const error = await new Promise((resolve) => {
      log.finishSnapshot(writer, info(2, 3, data), resolve);
    });
    expect(error).toBeNull();
    log.keepSnapshot(writer, info(2, 3, data));
    expect(open(disk.copy()).recovered.snapshotData).toEqual(data);
  });

  test('a byte changed anywhere is named, or changes nothing that was durable', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const log = open(disk);
    log.saveHardState({ currentTerm: term(3), votedFor: ME });
    for (let i = 0; i < 8; i += 1) {
      log.append(logIndex(i), [entry(3, new Uint8Array([i, 2, 3]))]);
      log.sync();
      log.mark();
    }
    const data = new Uint8Array(50).fill(7);
    log.saveSnapshot(info(2, 3, data), data);
    const wanted = entriesOf(open(disk.copy()), 2);
    let named = 0;
    for (const path of disk.paths().filter((name) => !name.includes('spare'))) {
      for (let position = 0; position < disk.sizeOf(path); position += 1) {
        const copy = disk.copy();
        copy.flip(path, position);
        const hasNamed = isNamed(copy, (found) => {
          expect(found.recovered.persisted.hardState).toEqual({ currentTerm: 3, votedFor: ME });
          expect(entriesOf(found, 2)).toEqual(wanted);
          expect(found.recovered.snapshotData).toEqual(data);
        });
        if (hasNamed) named += 1;
      }
    }
    expect(named).toBeGreaterThan(800);
  });

  test('a missing segment, and a log whose snapshot is gone, are named', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const log = open(disk);
    for (let i = 0; i < 100; i += 1) log.append(logIndex(i), [entry(0, new Uint8Array(40))]);
    log.sync();
    const segments = disk.paths().filter((path) => path.includes('log-'));
    expect(segments.length).toBeGreaterThan(3);
    const gone = disk.copy();
    gone.remove(segments[1] ?? '');
    expect(() => open(gone)).toThrow(/is missing/);
    const headless = disk.copy();
    headless.remove(segments[0] ?? '');
    expect(() => open(headless)).toThrow(/the log begins after/);
  });

  test('refuses a header of another version, and a snapshot taken back', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    open(disk).close();
    const path = disk.paths().find((name) => name.includes('log-')) ?? '';
    const header = encodeHeader({
      sequence: 1,
      previousEnd: 0,
      currentTerm: term(0),
      votedFor: null,
      lastIndex: logIndex(0),
      lastTerm: term(0),
    });
    const view = new DataView(header.buffer);
    view.setUint32(12, 2, true);
    view.setUint32(8, crc32c(header.subarray(12)), true);
    disk.open(path).write(header, 0);
    expect(() => open(disk)).toThrow(/format version 2, this build knows 1/);
  });

  test('makes durable what a killed process left in the page cache, before anybody relies on it', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    open(disk).append(logIndex(0), [entry(0, new Uint8Array(4))]);
    expect(open(disk).lastIndex).toBe(1); // kill -9: the bytes are still there
    disk.dropUnsynced();
    expect(open(disk).lastIndex).toBe(1);
  });

  test('pieces of torn writes never become records once new ones lead up to them', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const first = open(disk);
    first.append(logIndex(0), [entry(0, new Uint8Array(8)), entry(0, new Uint8Array(8).fill(1))]);
    const path = disk.paths().find((name) => name.includes('log-')) ?? '';
    disk.flip(path, HEADER_BYTES + RECORD_HEADER_BYTES); // the first record is torn, the second is whole
    const second = open(disk);
    expect(second.lastIndex).toBe(0);
    second.append(logIndex(0), [entry(0, new Uint8Array(8).fill(9))]);
    second.sync();
    expect(open(disk).lastIndex).toBe(1);
  });

  test('writes one batch with one write, into files that do not grow', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const log = new RaftLog({ disk, directory: DIRECTORY });
    const writes = disk.writeCount;
    const sizes = disk.paths().map((path) => disk.sizeOf(path));
    log.append(
      logIndex(0),
      Array.from({ length: 100 }, () => entry(0, new Uint8Array(100))),
    );
    expect(disk.writeCount).toBe(writes + 1);
    expect(disk.paths().map((path) => disk.sizeOf(path))).toEqual(sizes);
  });

  test('uses retired segments again and never takes their records for new ones', () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    let log = open(disk);
    let files = 0;
    for (let i = 0; i < 400; i += 1) {
      log.append(logIndex(i), [entry(0, new Uint8Array(40).fill(i & 0xff))]);
      log.sync();
      if (i % 50 !== 49) continue;
      const data = new Uint8Array(8);
      log.saveSnapshot(info(i + 1, 0, data), data);
      log.compactTo(logIndex(i - 5), new Set());
      files = Math.max(files, disk.paths().length);
      log.close();
      log = open(disk);
      expect(log.lastIndex).toBe(i + 1);
    }
    expect(files).toBeLessThan(8);
    expect(disk.paths().filter((path) => path.includes('snapshot-'))).toHaveLength(1);
  });

  test('a failed sync is final', async () => {
    const disk = new MemoryDisk(new SeededRandom(1));
    const log = open(disk);
    log.append(logIndex(0), [entry(0, new Uint8Array(1))]);
    disk.failAfter(0);
    const error = await new Promise((resolve) => log.syncAsync(resolve));
    expect(error).toMatchObject({ code: 'DISK_FAILED' });
    disk.failAfter(Number.MAX_SAFE_INTEGER);
    expect(() => log.append(logIndex(1), [entry(0, new Uint8Array(1))])).toThrow(WalrusError);
    expect(() => log.sync()).toThrow(WalrusError);
  });

  test('the byte tables in the header comment are the sizes in the code', () => {
    expect([HEADER_BYTES, RECORD_HEADER_BYTES]).toEqual([512, 40]);
    expect(readRecord(new Uint8Array(100), 0, seedOf(1))).toBeNull();
  });
});

function modelOf(log: RaftLog): Model {
  const model = new Model();
  const { hardState, snapshot, baseIndex, baseTerm } = log.recovered.persisted;
  model.hardState = hardState;
  model.snapshot = snapshot;
  model.base = { index: baseIndex, term: baseTerm };
  if (log.lastIndex > log.baseIndex)
    model.entries = [...log.entries(logIndex(log.baseIndex + 1), log.lastIndex)];
  return model;
}

interface Life {
  readonly operations: number;
  readonly states: Model[];
  readonly durableState: number;
  readonly isInAppend: boolean;
  readonly written: Set<string>;
}

/** A life with all kinds of changes, until the disk fails. */
function scriptedLife(disk: MemoryDisk): Life {
  const random = new SeededRandom(99);
  const states: Model[] = [new Model()];
  const written = new Set<string>();
  let durableState = 0;
  let isInAppend = false;
  let model = new Model();
  try {
    const log = open(disk);
    for (let i = 0; i < 60; i += 1) {
      const change = drawChange(random, model);
      // The state that is being written counts as possible, also when the disk fails on the way.
      const next = model.clone();
      change.run(dryRun, next);
      states.push(next);
      for (const text of entriesOfModel(next, 0)) written.add(text);
      isInAppend = isInAppend || !change.isDurable;
      change.run(log, model.clone());
      model = next;
      if (!change.isDurable) continue;
      durableState = states.length - 1;
      isInAppend = false;
    }
  } catch (error) {
    if (!isWalrusError(error, 'DISK_FAILED')) throw error;
  }
  return { operations: disk.operationCount, states, durableState, isInAppend, written };
}

/** Takes calls and does nothing: to see what a change would make of a model. */
const dryRun = {
  saveHardState: () => undefined,
  append: () => undefined,
  sync: () => undefined,
  mark: () => undefined,
  saveSnapshot: () => undefined,
  compactTo: () => undefined,
  restartAfter: () => undefined,
} as unknown as RaftLog; // its fields are private: a class takes no double otherwise

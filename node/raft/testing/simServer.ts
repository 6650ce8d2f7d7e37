/**
 * One server of an in-process cluster: the core, a disk in memory that loses unsynced writes at a crash, and a
 * state machine that hashes the commands it applies.
 */
import { assert } from '../../../base/assert.ts';
import { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import type { Random } from '../../../base/random.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';
import type { Bugs } from '../bugs.ts';
import { ENTRY_OVERHEAD_BYTES } from '../entry.ts';
import type { Entry } from '../entry.ts';
import type { LogWrite } from '../events.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import { configurationAt, newRaft } from '../raft.ts';
import type { Raft, RaftOptions } from '../raft.ts';
import type { HardState, ServerId } from '../types.ts';

/** A log with its base, as it is on the disk or as the process sees it. */
export interface SimLog {
  baseIndex: LogIndex;
  baseTerm: Term;
  entries: Entry[];
}

export interface SimSnapshot {
  readonly info: SnapshotInfo;
  readonly data: Uint8Array;
}

/** What survives a crash. */
export interface SimDurable {
  hardState: HardState;
  log: SimLog;
  snapshot: SimSnapshot | null;
}

export interface SimServerOptions {
  readonly id: ServerId;
  readonly random: Random;
  readonly raftOptions: Partial<RaftOptions>;
  readonly bugs: Partial<Bugs>;
}

export function termOf(log: SimLog, index: number): number | null {
  if (index === log.baseIndex) return log.baseTerm;
  return log.entries[index - log.baseIndex - 1]?.term ?? null;
}

export function lastIndexOf(log: SimLog): number {
  return log.baseIndex + log.entries.length;
}

function overwrite(log: SimLog, write: LogWrite): void {
  assert(write.prevIndex >= log.baseIndex && write.prevIndex <= lastIndexOf(log), 'no gaps');
  log.entries.length = write.prevIndex - log.baseIndex;
  log.entries.push(...write.entries);
}

export class SimServer {
  readonly id: ServerId;
  readonly #options: SimServerOptions;
  readonly durable: SimDurable = {
    hardState: { currentTerm: term(0), votedFor: null },
    log: { baseIndex: logIndex(0), baseTerm: term(0), entries: [] },
    snapshot: null,
  };
  log: SimLog;
  /** Null while it is down. */
  raft: Raft | null = null;
  pendingWrites: LogWrite[] = [];
  pendingInstall: SnapshotInfo | null = null;
  /** Kept for transfers that are under way. */
  snapshots = new Map<number, SimSnapshot>();
  chunks: Uint8Array[] = [];
  stateHash = 0;
  stateIndex = 0;

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.id = options.id;
    this.log = { baseIndex: logIndex(0), baseTerm: term(0), entries: [] };
  }

  /** Gives a server that was never started its first entry. */
  bootstrap(entry: Entry): void {
    this.durable.hardState = { currentTerm: entry.term, votedFor: null };
    this.durable.log.entries = [entry];
  }

  start(): void {
    assert(this.raft === null, 'it is down');
    const { log, snapshot, hardState } = this.durable;
    this.log = { ...log, entries: [...log.entries] };
    this.snapshots.clear();
    this.stateHash = 0;
    this.stateIndex = 0;
    if (snapshot !== null) {
      this.snapshots.set(snapshot.info.index, snapshot);
      this.restore(snapshot);
    }
    const { raftOptions, ...rest } = this.#options;
    const entries = log.entries.map(({ term, payload, configuration }) => ({
      term,
      sizeBytes: payload.length + ENTRY_OVERHEAD_BYTES,
      configuration,
    }));
    this.raft = newRaft({
      ...rest,
      options: raftOptions,
      persisted: {
        hardState,
        snapshot: snapshot?.info ?? null,
        baseIndex: log.baseIndex,
        baseTerm: log.baseTerm,
        entries,
      },
    });
  }

  /** Stops at once; the first `survivingWrites` of the writes that were not synced are there later. */
  crash(survivingWrites: number): void {
    for (const write of this.pendingWrites.slice(0, survivingWrites))
      overwrite(this.durable.log, write);
    this.raft = null;
    this.pendingWrites = [];
    this.pendingInstall = null;
    this.chunks = [];
  }

  write(write: LogWrite): void {
    overwrite(this.log, write);
    this.pendingWrites.push(write);
  }

  /** Makes the oldest writes durable; returns the id of the last of them. */
  persist(count: number): number | null {
    let writeId: number | null = null;
    for (const write of this.pendingWrites.splice(0, count)) {
      overwrite(this.durable.log, write);
      writeId = write.writeId;
    }
    return writeId;
  }

  apply(index: LogIndex, entry: Entry): void {
    assert(index === this.stateIndex + 1, 'entries are applied in order');
    this.stateIndex = index;
    if (entry.type === 'Command') this.stateHash = crc32c(entry.payload, this.stateHash);
  }

  /** A durable snapshot of the state at the last applied entry. */
  takeSnapshot(): SnapshotInfo | null {
    const { raft } = this;
    const index = logIndex(this.stateIndex);
    if (raft === null || index === 0 || index <= (raft.snapshot?.index ?? 0)) return null;
    const snapshotTerm = termOf(this.log, index);
    assert(snapshotTerm !== null, 'an applied entry is in the log');
    const data = new ByteWriter().u32(this.stateHash).raw(new Uint8Array(8)).finish();
    const configuration = configurationAt(raft, index);
    const info: SnapshotInfo = {
      index,
      term: term(snapshotTerm),
      configuration: configuration.configuration,
      configurationIndex: configuration.index,
      sizeBytes: data.length,
      checksum: crc32c(data),
    };
    this.durable.snapshot = { info, data };
    this.snapshots.set(index, { info, data });
    return info;
  }

  compactTo(index: LogIndex): void {
    for (const log of [this.log, this.durable.log]) {
      const baseTerm = termOf(log, index);
      assert(baseTerm !== null, 'the log is compacted to an entry that is durable');
      log.entries = log.entries.slice(index - log.baseIndex);
      log.baseIndex = index;
      log.baseTerm = term(baseTerm);
    }
  }

  /** Makes the arrived snapshot durable and the state of this server. */
  install(snapshot: SimSnapshot): void {
    const { index, term } = snapshot.info;
    this.durable.snapshot = snapshot;
    this.durable.log = { baseIndex: index, baseTerm: term, entries: [] };
    this.log = { baseIndex: index, baseTerm: term, entries: [] };
    this.pendingWrites = this.pendingWrites.map((write) => ({
      ...write,
      prevIndex: index,
      entries: [],
    }));
    this.snapshots.set(index, snapshot);
    this.restore(snapshot);
  }

  restore({ info, data }: SimSnapshot): void {
    this.stateIndex = info.index;
    this.stateHash = new ByteReader(data, 'state').u32();
  }
}

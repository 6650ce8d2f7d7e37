/**
 * The durable half of Raft: hard state, entries and snapshots on a disk.
 *
 * Order of durability: the driver calls `append` (one write for all entries of a batch), then `syncAsync` (one
 * sync for all batches since the last one). `saveHardState` is durable when it returns. Entries since the base
 * are also kept in memory; the snapshot threshold bounds them. A failed write or sync is final: every later
 * call fails the same way, also that of the next process: what is not proven to have been synced is written again
 * at start (docs/adr/0160).
 *
 * Files in the directory: `log-<sequence>` (format.ts), `snapshot-<index>` (snapshotFile.ts), `spare-<n>`.
 */
import { assert, assertDefined } from '../../../base/assert.ts';
import { ByteWriter, encodeUtf8 } from '../../../base/bytes.ts';
import type { Disk, DiskFile } from '../../../base/disk.ts';
import { WalrusError } from '../../../base/errors.ts';
import { logIndex, MIB } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';
import { ENTRY_OVERHEAD_BYTES, ENTRY_TYPE_NUMBERS } from '../entry.ts';
import type { Entry } from '../entry.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { PersistedState } from '../raft.ts';
import type { Configuration, HardState } from '../types.ts';
import {
  encodeHeader,
  HEADER_BYTES,
  RECORD_TYPES,
  recordBytes,
  seedOf,
  writeRecord,
} from './format.ts';
import type { LogRecord } from './format.ts';
import { replay, segmentPath } from './recovery.ts';
import type { Replayed, SegmentFile } from './recovery.ts';
import { SnapshotFiles } from './snapshotFile.ts';
import type { SnapshotWriter } from './snapshotWriter.ts';
import { SpareFiles } from './spareFiles.ts';

export const DEFAULT_SEGMENT_BYTES = 4 * MIB;
const NO_PAYLOAD = new Uint8Array(0);

export interface RaftLogOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes?: number;
}

/** The segment that is written to. */
interface Current {
  readonly file: DiskFile;
  /** The same file for `syncAsync`: a descriptor is told of a failure once, and each of two syncs must be. */
  readonly aside: DiskFile;
  readonly segment: SegmentFile;
  readonly seed: number;
  /** Where the next record goes. */
  end: number;
  /** Everything below is durable. */
  syncedTo: number;
  /** What the newest record says is durable. */
  markedTo: number;
  /** Asynchronous syncs under way: `aside` stays open for them. */
  syncCount: number;
}

export class RaftLog {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #snapshots: SnapshotFiles;
  readonly #spares: SpareFiles;
  /** Those before the current one, oldest first. */
  #retired: SegmentFile[];
  #current: Current;
  #hardState: HardState;
  #baseIndex: LogIndex;
  #baseTerm: Term;
  #entries: Entry[];
  #failure: WalrusError | null = null;
  #isClosed = false;
  /** What was on the disk, for `newRaft` and the state machine. */
  readonly recovered: {
    readonly persisted: PersistedState;
    readonly snapshotData: Uint8Array | null;
  };

  /**
   * Opens the log of a directory, making an empty one where there is none. Torn writes are cut off, and what
   * is left is made durable.
   * @throws {WalrusError} CORRUPT_SEGMENT, UNSUPPORTED_VERSION, DISK_FULL, DISK_FAILED.
   */
  constructor({ disk, directory, segmentBytes = DEFAULT_SEGMENT_BYTES }: RaftLogOptions) {
    assert(segmentBytes >= 2 * HEADER_BYTES, 'A segment has room for more than its header');
    this.#disk = disk;
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    disk.makeDirectory(directory);
    this.#snapshots = new SnapshotFiles(disk, directory);
    this.#spares = new SpareFiles(disk, directory, segmentBytes);
    const newest = this.#snapshots.loadNewest();
    const found = replay(disk, directory, newest?.info ?? null);
    this.#hardState = found.hardState;
    this.#baseIndex = found.baseIndex;
    this.#baseTerm = found.baseTerm;
    this.#entries = found.entries;
    this.#retired = found.segments.slice(0, -1);
    this.#current = this.#reopen(found);
    if (found.needsRestart) this.#writeRestart();
    this.recovered = {
      persisted: {
        hardState: found.hardState,
        snapshot: newest?.info ?? null,
        baseIndex: found.baseIndex,
        baseTerm: found.baseTerm,
        entries: found.entries.map(({ term, payload, configuration }) => ({
          term,
          sizeBytes: payload.length + ENTRY_OVERHEAD_BYTES,
          configuration,
        })),
      },
      snapshotData: newest?.data ?? null,
    };
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  get lastIndex(): LogIndex {
    return logIndex(this.#baseIndex + this.#entries.length);
  }

  /** The entries `from..to`, both included. */
  entries(from: LogIndex, to: LogIndex): readonly Entry[] {
    assert(from > this.#baseIndex && to <= this.lastIndex, 'Entries are read where there are some');
    return this.#entries.slice(from - this.#baseIndex - 1, to - this.#baseIndex);
  }

  /** Opens the last segment for writing, or makes the first one. */
  #reopen({ segments, last }: Replayed): Current {
    const segment = segments.at(-1);
    if (segment === undefined || last === null) return this.#newSegment(1, 0);
    const file = this.#disk.open(segment.path);
    const { end, provenEnd } = last;
    // An earlier sync of it may have failed, and another one alone would succeed without writing anything. Behind the
    // end go zeros: pieces of torn writes must not be taken for records once new ones lead up to them.
    const unproven = new Uint8Array(file.sizeBytes() - provenEnd);
    file.read(unproven.subarray(0, end - provenEnd), provenEnd);
    file.write(unproven, provenEnd);
    file.sync();
    this.#disk.syncDirectory(this.#directory);
    return this.#begin(file, segment, end);
  }

  #begin(file: DiskFile, segment: SegmentFile, end: number): Current {
    const aside = this.#disk.open(segment.path);
    const seed = seedOf(segment.sequence);
    return { file, aside, segment, seed, end, syncedTo: end, markedTo: 0, syncCount: 0 };
  }

  #newSegment(sequence: number, previousEnd: number): Current {
    const spare = this.#spares.take();
    const file = this.#disk.open(spare);
    const header = {
      sequence,
      previousEnd,
      ...this.#hardState,
      lastIndex: this.lastIndex,
      lastTerm: this.#entries.at(-1)?.term ?? this.#baseTerm,
    };
    file.write(encodeHeader(header), 0);
    file.sync();
    const path = segmentPath(this.#directory, sequence);
    this.#disk.rename(spare, path);
    this.#disk.syncDirectory(this.#directory);
    return this.#begin(file, { path, sequence, maxIndex: 0 }, HEADER_BYTES);
  }

  /** Runs a change of the files; its failure is final. */
  #guarded<T>(change: () => T): T {
    if (this.#failure !== null) throw this.#failure;
    try {
      return change();
    } catch (error) {
      this.#failure =
        error instanceof WalrusError
          ? error
          : new WalrusError('DISK_FAILED', 'Cannot write the Raft log', { cause: error });
      throw this.#failure;
    }
  }

  /** Begins the next segment when the present one is full. The one before is durable as a whole by then. */
  #makeRoom(sizeBytes: number): void {
    const current = this.#current;
    if (current.end + sizeBytes <= this.#segmentBytes || current.end === HEADER_BYTES) return;
    current.file.sync();
    this.#retired.push(current.segment);
    this.#current = this.#newSegment(current.segment.sequence + 1, current.end);
    current.file.close();
    if (current.syncCount === 0) current.aside.close();
  }

  #write(records: readonly Omit<LogRecord, 'syncedTo'>[]): void {
    let sizeBytes = 0;
    for (const { payload } of records) sizeBytes += recordBytes(payload.length);
    this.#makeRoom(sizeBytes);
    const current = this.#current;
    const { syncedTo, seed, segment } = current;
    const writer = new ByteWriter(sizeBytes);
    for (const record of records) {
      writeRecord(writer, { ...record, syncedTo }, seed);
      segment.maxIndex = Math.max(segment.maxIndex, record.index);
    }
    current.file.write(writer.view(), current.end);
    current.end += writer.length;
    current.markedTo = syncedTo;
  }

  /** Makes term and vote durable before it returns. */
  saveHardState(hardState: HardState): void {
    this.#guarded(() => {
      const payload = encodeUtf8(hardState.votedFor ?? '');
      const { hardState: type } = RECORD_TYPES;
      this.#write([{ type, entryType: 0, term: hardState.currentTerm, index: 0, payload }]);
      this.#hardState = hardState;
      this.#syncNow();
    });
  }

  #syncNow(): void {
    this.#current.file.sync();
    this.#current.syncedTo = this.#current.end;
  }

  /** Writes entries after `prevIndex`, in place of what is there. Durable after the next sync. */
  append(prevIndex: LogIndex, entries: readonly Entry[]): void {
    assert(prevIndex >= this.#baseIndex && prevIndex <= this.lastIndex, 'A log has no gaps');
    this.#guarded(() => {
      this.#write(
        entries.map((entry, position) => ({
          type: RECORD_TYPES.entry,
          entryType: ENTRY_TYPE_NUMBERS[entry.type],
          term: entry.term,
          index: prevIndex + 1 + position,
          payload: entry.payload,
        })),
      );
      this.#entries.length = prevIndex - this.#baseIndex;
      // The payloads may be views of a buffer that is used again.
      for (const entry of entries) this.#entries.push({ ...entry, payload: entry.payload.slice() });
    });
  }

  /** Makes everything written so far durable before it returns. */
  sync(): void {
    this.#guarded(() => this.#syncNow());
  }

  /** Makes everything written so far durable, without blocking; a failure is final. */
  syncAsync(done: (error: WalrusError | null) => void): void {
    const current = this.#current;
    const { end } = current;
    current.syncCount += 1;
    current.aside.syncAsync((error) => {
      current.syncCount -= 1;
      if (current.syncCount === 0 && (this.#isClosed || current !== this.#current))
        current.aside.close();
      if (error !== null) {
        this.#failure ??=
          error instanceof WalrusError
            ? error
            : new WalrusError('DISK_FAILED', 'Cannot sync the Raft log', { cause: error });
        done(this.#failure);
        return;
      }
      current.syncedTo = Math.max(current.syncedTo, end);
      done(this.#failure);
    });
  }

  /**
   * Notes in the log what is durable, so that damage there is never taken for a torn write. Not synced itself:
   * the next sync takes it along.
   */
  mark(): void {
    const current = this.#current;
    if (current.syncedTo !== current.end || current.markedTo >= current.syncedTo) return;
    if (current.end + recordBytes(0) > this.#segmentBytes) return;
    const { mark: type } = RECORD_TYPES;
    const { syncedTo } = current;
    this.#guarded(() =>
      this.#write([{ type, entryType: 0, term: 0, index: 0, payload: NO_PAYLOAD }]),
    );
    // Its own bytes carry nothing that would need a mark.
    current.markedTo = syncedTo + recordBytes(0);
  }

  /** Makes a snapshot durable. DISK_FULL is not final: nothing has changed then. */
  saveSnapshot(info: SnapshotInfo, data: Uint8Array): void {
    if (this.#failure !== null) throw this.#failure;
    this.#snapshots.save(info, data);
  }

  /** Begins a snapshot of this server's own state, to be written a slice at a time. DISK_FULL is not final. */
  beginSnapshot(configuration: Configuration): SnapshotWriter {
    if (this.#failure !== null) throw this.#failure;
    return this.#snapshots.begin(configuration);
  }

  /** Makes it durable; `done` is called once, later. DISK_FULL is not final. */
  finishSnapshot(
    writer: SnapshotWriter,
    info: SnapshotInfo,
    done: (error: WalrusError | null) => void,
  ): void {
    if (this.#failure !== null) throw this.#failure;
    this.#snapshots.finish(writer, info, (cause) => {
      if (cause === null) done(this.#failure);
      else done(new WalrusError('DISK_FAILED', `Cannot sync ${writer.path}`, { cause }));
    });
  }

  /** Names a snapshot that is durable. */
  keepSnapshot(writer: SnapshotWriter, info: SnapshotInfo): void {
    this.#guarded(() => this.#snapshots.keepFinished(writer, info));
  }

  /** Begins the log anew after the end of a durable snapshot; durable when it returns. */
  restartAfter(info: SnapshotInfo): void {
    this.#guarded(() => {
      this.#baseIndex = info.index;
      this.#baseTerm = info.term;
      this.#entries = [];
      this.#writeRestart();
    });
  }

  #writeRestart(): void {
    const { restart: type } = RECORD_TYPES;
    const [index, term] = [this.#baseIndex, this.#baseTerm];
    this.#write([{ type, entryType: 0, term, index, payload: NO_PAYLOAD }]);
    this.#syncNow();
  }

  /** Reads a part of a snapshot. */
  readSnapshot(info: SnapshotInfo, offset: number, lengthBytes: number): Uint8Array {
    return this.#snapshots.read(info, offset, lengthBytes);
  }

  /** Forgets entries up to `index`, which a durable snapshot holds, and snapshots that nobody needs. */
  compactTo(index: LogIndex, snapshotsInUse: ReadonlySet<LogIndex>): void {
    this.#guarded(() => {
      this.#snapshots.removeExcept(snapshotsInUse);
      if (index <= this.#baseIndex) return;
      const last = assertDefined(this.#entries[index - this.#baseIndex - 1], 'An entry to keep');
      this.#entries = this.#entries.slice(index - this.#baseIndex);
      this.#baseIndex = index;
      this.#baseTerm = last.term;
      const needed = this.#retired.findIndex((segment) => segment.maxIndex > index);
      const gone = this.#retired.splice(0, needed === -1 ? this.#retired.length : needed);
      this.#spares.retire(gone.map(({ path }) => path));
    });
  }

  /** Does a slice of the background work: a file for the next segment is made before it is needed. */
  prepareSpare(): void {
    this.#guarded(() => {
      if (this.#current.end > this.#segmentBytes / 4) this.#spares.prepare();
    });
  }

  /** Closes the files, once no sync is under way. */
  close(): void {
    this.#isClosed = true;
    this.#current.file.close();
    if (this.#current.syncCount === 0) this.#current.aside.close();
  }
}

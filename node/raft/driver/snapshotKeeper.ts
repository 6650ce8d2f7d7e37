/** The snapshots of one server: when one is taken, and how one that arrives becomes its state. */
import { assertDefined } from '../../../base/assert.ts';
import type { Clock } from '../../../base/clock.ts';
import { concatBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { isWalrusError, messageOf } from '../../../base/errors.ts';
import type { WalrusError } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import { between } from '../../../base/random.ts';
import type { Random } from '../../../base/random.ts';
import type { LogIndex } from '../../../base/units.ts';
import type { RaftEvent, SnapshotChunk } from '../events.ts';
import type { RaftLog } from '../log/raftLog.ts';
import { configurationAt } from '../raft.ts';
import type { SnapshotWriter } from '../log/snapshotWriter.ts';
import type { Raft } from '../raft.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { StateMachine } from '../types.ts';
import type { RaftDriverSettings } from './options.ts';

/** A snapshot is due after its threshold, or up to half as much again: drawn in so many parts of it. */
const PART_COUNT = 1024;

export interface SnapshotKeeperOptions {
  readonly raft: Raft;
  readonly log: RaftLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly stateMachine: StateMachine;
  readonly logger: Logger;
  readonly settings: RaftDriverSettings;
  /** A snapshot of this server's state is durable. */
  onTaken(snapshot: SnapshotInfo): void;
  /** The disk has failed. */
  onFailed(error: WalrusError): void;
}

/** A snapshot that is being taken: a slice a turn, then a sync beside everything else. */
interface Taking {
  readonly about: Omit<SnapshotInfo, 'sizeBytes' | 'checksum'>;
  readonly slices: Iterator<Uint8Array, unknown>;
  readonly writer: SnapshotWriter;
  sizeBytes: number;
  checksum: number;
  isSyncing: boolean;
  /** Nobody wants it any more; its file goes once no sync needs it. */
  isDropped: boolean;
}

export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  /** Of the snapshot that is arriving. */
  #chunks: Uint8Array[] = [];
  #taking: Taking | null = null;
  #isStopped = false;
  #bytesSinceLast = 0;
  /** When the next one is due, other servers' being so at other times: what it costs does not hit all at once. */
  #dueIndex = 0;
  #dueBytes = 0;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
    this.#startAgain(options.raft.lastApplied);
  }

  /** Counts what was applied towards the next snapshot. */
  applied(payloadBytes: number): void {
    this.#bytesSinceLast += payloadBytes;
  }

  /** Begins a snapshot at the last applied index when one is due and none is being taken. */
  takeIfDue(index: LogIndex): void {
    if (this.#taking !== null) return;
    if (index < this.#dueIndex && this.#bytesSinceLast < this.#dueBytes) return;
    this.#startAgain(index);
    this.#orDrop(() => this.#begin(index));
  }

  #begin(index: LogIndex): void {
    const { raft, log, stateMachine } = this.#options;
    const { configuration, index: configurationIndex } = configurationAt(raft, index);
    const term = assertDefined(raft.trail.termAt(index), 'An applied entry is in the log');
    this.#taking = {
      about: { index, term, configuration, configurationIndex },
      writer: log.beginSnapshot(configuration),
      slices: stateMachine.snapshot()[Symbol.iterator](),
      sizeBytes: 0,
      checksum: 0,
      isSyncing: false,
      isDropped: false,
    };
    this.#goOn(this.#taking);
  }

  #goOn(taking: Taking): void {
    this.#options.clock.defer(() => {
      if (!taking.isDropped) this.#orDrop(() => this.#writeSlice(taking));
    });
  }

  #writeSlice(taking: Taking): void {
    const next = taking.slices.next();
    if (next.done === true) {
      this.#finish(taking);
      return;
    }
    const slice = next.value;
    taking.writer.write(slice);
    taking.sizeBytes += slice.length;
    taking.checksum = crc32c(slice, taking.checksum);
    this.#goOn(taking);
  }

  #finish(taking: Taking): void {
    const { about, sizeBytes, checksum, writer } = taking;
    const snapshot: SnapshotInfo = { ...about, sizeBytes, checksum };
    this.#options.log.finishSnapshot(writer, snapshot, (error) => {
      taking.isSyncing = false;
      if (taking.isDropped) this.#discard(taking);
      else this.#orDrop(() => this.#keep(taking, snapshot, error));
    });
    taking.isSyncing = true;
  }

  #keep({ writer }: Taking, snapshot: SnapshotInfo, error: WalrusError | null): void {
    if (error !== null) throw error;
    this.#taking = null;
    this.#options.log.keepSnapshot(writer, snapshot);
    this.#options.onTaken(snapshot);
  }

  /** Without space the log grows on until the next one is due. */
  #orDrop(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      if (error.code === 'DISK_FULL') {
        this.#drop();
        const why = { error: messageOf(error) };
        this.#options.logger.log('warn', 'No space for a Raft snapshot; the log grows on', why);
      } else {
        this.#options.onFailed(error);
      }
    }
  }

  #drop(): void {
    if (this.#taking === null) return;
    this.#taking.isDropped = true;
    if (!this.#taking.isSyncing) this.#discard(this.#taking);
  }

  #discard({ writer }: Taking): void {
    this.#taking = null;
    try {
      if (this.#isStopped) writer.close();
      else writer.discard();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#options.onFailed(error);
    }
  }

  /** Ends what is being taken; its file is removed at the next start. */
  stop(): void {
    this.#isStopped = true;
    this.#drop();
  }

  /** Keeps a part of a snapshot that arrives. */
  keepChunk({ offset, data }: SnapshotChunk): void {
    if (offset === 0) this.#chunks = [];
    this.#chunks.push(data.slice());
  }

  /** Makes an arrived snapshot the state of this server, if its bytes are what the leader has. */
  install(snapshot: SnapshotInfo): RaftEvent {
    const { log, stateMachine, logger } = this.#options;
    const data = concatBytes(this.#chunks);
    this.#chunks = [];
    if (data.length !== snapshot.sizeBytes || crc32c(data) !== snapshot.checksum) {
      logger.log('error', 'A Raft snapshot arrived damaged and is asked for again', {
        index: snapshot.index,
      });
      return { type: 'SnapshotRefused' };
    }
    try {
      log.saveSnapshot(snapshot, data);
    } catch (error) {
      if (!isWalrusError(error, 'DISK_FULL')) throw error;
      logger.log('warn', 'No space for the Raft snapshot of the leader');
      return { type: 'SnapshotRefused' };
    }
    log.restartAfter(snapshot);
    this.#drop(); // of a state that is older now
    stateMachine.restore(snapshot.index, data);
    this.#startAgain(snapshot.index);
    return { type: 'SnapshotPersisted', snapshot };
  }

  #startAgain(index: LogIndex): void {
    const { settings, random } = this.#options;
    const share = between(random, PART_COUNT, PART_COUNT + PART_COUNT / 2) / PART_COUNT;
    this.#dueIndex = index + Math.ceil(share * settings.snapshotThresholdEntries);
    this.#dueBytes = share * settings.snapshotThresholdBytes;
    this.#bytesSinceLast = 0;
  }
}

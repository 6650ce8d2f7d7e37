/** The snapshots of one server: when one is taken, and how one that arrives becomes its state. */
import { assertDefined } from '../../../base/assert.ts';
import { concatBytes } from '../../../base/bytes.ts';
import { crc32c } from '../../../base/crc32c.ts';
import { isWalrusError, messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { LogIndex } from '../../../base/units.ts';
import type { RaftEvent, SnapshotChunk } from '../events.ts';
import type { RaftLog } from '../log/raftLog.ts';
import { configurationAt } from '../raft.ts';
import type { Raft } from '../raft.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { StateMachine } from '../types.ts';
import type { RaftDriverSettings } from './options.ts';

export interface SnapshotKeeperOptions {
  readonly raft: Raft;
  readonly log: RaftLog;
  readonly stateMachine: StateMachine;
  readonly logger: Logger;
  readonly settings: RaftDriverSettings;
}

export class SnapshotKeeper {
  readonly #options: SnapshotKeeperOptions;
  /** Of the snapshot that is arriving. */
  #chunks: Uint8Array[] = [];
  #bytesSinceLast = 0;
  /** The index below which no further attempt is made. */
  #nextIndex: number;

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options;
    this.#nextIndex = options.raft.lastApplied + options.settings.snapshotThresholdEntries;
  }

  /** Counts what was applied towards the next snapshot. */
  applied(payloadBytes: number): void {
    this.#bytesSinceLast += payloadBytes;
  }

  /** Takes a snapshot at the last applied index when one is due; the event that tells of it, or null. */
  takeIfDue(index: LogIndex): RaftEvent | null {
    const { raft, log, stateMachine, logger, settings } = this.#options;
    const isDue =
      index >= this.#nextIndex || this.#bytesSinceLast >= settings.snapshotThresholdBytes;
    if (!isDue) return null;
    this.#startAgain(index);
    const data = stateMachine.snapshot();
    const configuration = configurationAt(raft, index);
    const snapshot: SnapshotInfo = {
      index,
      term: assertDefined(raft.trail.termAt(index), 'An applied entry is in the log'),
      configuration: configuration.configuration,
      configurationIndex: configuration.index,
      sizeBytes: data.length,
      checksum: crc32c(data),
    };
    try {
      log.saveSnapshot(snapshot, data);
    } catch (error) {
      if (!isWalrusError(error, 'DISK_FULL')) throw error;
      logger.log('warn', 'No space for a Raft snapshot; the log grows on', {
        error: messageOf(error),
      });
      return null;
    }
    return { type: 'SnapshotTaken', snapshot };
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
    stateMachine.restore(snapshot.index, data);
    this.#startAgain(snapshot.index);
    return { type: 'SnapshotPersisted', snapshot };
  }

  #startAgain(index: LogIndex): void {
    this.#nextIndex = index + this.#options.settings.snapshotThresholdEntries;
    this.#bytesSinceLast = 0;
  }
}

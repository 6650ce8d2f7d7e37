/**
 * Deletes this disk's copies whose tombstone is in the metadata, and says so (DESIGN S3). What the metadata does
 * not know is never deleted: it is left where it is, and counted in the node's metrics (`quarantined`).
 */
import { isWalrusError } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { SegmentId } from '../../base/units.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import { segmentsToDelete } from '../state/queries.ts';
import type { MetadataService } from './types.ts';

/** Segments confirmed with one command. */
const CONFIRM_COUNT_MAX = 256;
const RETRY_MS = 1000;

export interface DeletionOptions {
  readonly diskId: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly host: ReplicaHost;
}

export class Deletion {
  readonly #options: DeletionOptions;
  #isRunning = false;
  #isStopped = false;
  #isStarted = false;

  constructor(options: DeletionOptions) {
    this.#options = options;
    options.metadata.onApplied(() => this.#run());
  }

  /** Begins to delete; called once the node is registered, so that its metadata is not an old state's. */
  start(): void {
    this.#isStarted = true;
    this.#run();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #run(): void {
    if (!this.#isStarted || this.#isRunning || this.#isStopped) return;
    const { metadata, diskId, host } = this.#options;
    const due = segmentsToDelete(metadata.metadata, diskId).slice(0, CONFIRM_COUNT_MAX);
    if (due.length === 0) return;
    this.#isRunning = true;
    const segmentIds = due.map((segment) => segment.segmentId);
    for (const segmentId of segmentIds) host.delete(segmentId);
    host.flushCatalog((error) => {
      if (error === null) void this.#confirm(segmentIds);
      else this.#isRunning = false; // the disk has failed: nothing is confirmed
    });
  }

  async #confirm(segmentIds: readonly SegmentId[]): Promise<void> {
    const { metadata, diskId, logger, clock } = this.#options;
    try {
      await metadata.propose({ type: 'ConfirmDeleted', segmentIds, diskId });
      this.#isRunning = false;
      this.#run();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      logger.log('info', 'cannot confirm a deletion yet', { code: error.code });
      clock.setTimer(RETRY_MS, () => {
        this.#isRunning = false;
        this.#run();
      });
    }
  }
}

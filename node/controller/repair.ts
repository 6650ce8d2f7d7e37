/**
 * Completes this disk's copies of sealed segments (DESIGN S2): those it missed the end of while it was down, and
 * those that the metadata leader has planned here. Copies from another replica, verifies the digest, and only then
 * proposes itself as a replica.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import { READ_SEGMENT } from '../../protocol/peer/requests.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { MetadataChange } from '../state/change.ts';
import type { Command } from '../state/commands.ts';
import { isMember, segmentsOnDisk } from '../state/queries.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import { replicationOf } from './failureDetector.ts';
import type { MetadataService, PeerRpc } from './types.ts';

/** Copies made at once by a node: repair must not starve producers. */
const REPAIR_COUNT_MAX = 2;
const REPAIR_BYTES_MAX = 512 * 1024;
const READ_TIMEOUT_MS = 5000;
const RETRY_MS = 1000;

export interface RepairOptions {
  readonly self: ReplicaPlace;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly host: ReplicaHost;
  readonly rpc: PeerRpc;
}

export class Repair {
  readonly #options: RepairOptions;
  /** Segments to look at, oldest first. */
  readonly #queue = new Set<SegmentId>();
  #running = 0;
  #isStopped = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    options.metadata.onApplied((change) => this.#onApplied(change));
  }

  /** Segments whose copy here is to be completed or checked. */
  get pendingCount(): number {
    return this.#queue.size + this.#running;
  }

  /** Looks at every segment of this disk once; called after the node's start. */
  start(): void {
    for (const { segmentId } of segmentsOnDisk(
      this.#options.metadata.metadata,
      this.#options.self.diskId,
    )) {
      this.#queue.add(segmentId);
    }
    this.#next();
  }

  stop(): void {
    this.#isStopped = true;
    this.#queue.clear();
  }

  #onApplied(change: MetadataChange): void {
    if (change.isRestored) {
      this.start();
      return;
    }
    for (const segmentId of change.segments) {
      const segment = this.#options.metadata.metadata.segments.get(segmentId);
      if (segment !== undefined && this.#isIncomplete(segment)) this.#queue.add(segmentId);
    }
    this.#next();
  }

  /** Sealed, of this disk, and not all here. */
  #isIncomplete(segment: SegmentRecord): boolean {
    if (segment.state !== 'SEALED' || segment.endOffset === null) return false;
    const { diskId } = this.#options.self;
    const isPartial = segment.partialPlaces.some((place) => place.diskId === diskId);
    if (!isPartial && !isMember(segment, diskId)) return false;
    const tail = this.#options.host.replica(segment.segmentId)?.tail ?? segment.baseOffset;
    return isPartial || tail < segment.endOffset;
  }

  #next(): void {
    while (!this.#isStopped && this.#running < REPAIR_COUNT_MAX) {
      const [segmentId] = this.#queue;
      if (segmentId === undefined) return;
      this.#queue.delete(segmentId);
      const segment = this.#options.metadata.metadata.segments.get(segmentId);
      if (segment === undefined || !this.#isIncomplete(segment)) continue;
      this.#running += 1;
      void this.#repair(segment).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #repair(segment: SegmentRecord): Promise<void> {
    const { segmentId } = segment;
    try {
      await this.#complete(segment);
      await this.#propose(segment);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#options.logger.log('info', 'a copy has to wait', {
        segmentId,
        code: error.code,
        why: error.message,
      });
      this.#options.clock.setTimer(RETRY_MS, () => {
        if (this.#isStopped) return;
        this.#queue.add(segmentId);
        this.#next();
      });
    }
  }

  /** Copies what is missing, makes it durable, and verifies it. */
  async #complete(segment: SegmentRecord): Promise<void> {
    const end = segment.endOffset ?? segment.baseOffset;
    const sources = segment.ensemble.filter((place) => place.diskId !== this.#options.self.diskId);
    let at = this.#options.host.replica(segment.segmentId)?.tail ?? segment.baseOffset;
    let source = 0;
    while (at < end || this.#options.host.replica(segment.segmentId) === undefined) {
      const place = sources[source];
      if (place === undefined) {
        throw new WalrusError(
          'REPLICA_UNKNOWN',
          `No replica of segment ${segment.segmentId} can be read now`,
        );
      }
      const next = await this.#copyPiece(segment, place, at);
      if (next === null) source += 1;
      else at = next;
    }
    await this.#flushed();
    this.#verify(segment, end);
  }

  /** null: this source cannot give it. */
  async #copyPiece(
    segment: SegmentRecord,
    place: ReplicaPlace,
    from: Offset,
  ): Promise<Offset | null> {
    const node = this.#options.metadata.metadata.nodes.get(place.nodeId);
    if (node?.diskId !== place.diskId) return null;
    const limit = segment.endOffset ?? from;
    const range = { from, limit, maxBytes: REPAIR_BYTES_MAX };
    const request = { segmentId: segment.segmentId, diskId: place.diskId, ...range };
    try {
      const { rpc, host } = this.#options;
      const piece = await rpc.call(node.peerAddress, READ_SEGMENT, request, READ_TIMEOUT_MS);
      const { batches, producerSnapshot } = piece;
      const tail = host.copy(segment, { epoch: null, batches, producerSnapshot });
      return tail > from || from >= limit ? tail : null;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { nodeId } = place;
      this.#options.logger.log('info', 'cannot copy from a replica', {
        segmentId: segment.segmentId,
        nodeId,
        code: error.code,
      });
      return null;
    }
  }

  #flushed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.host.flush((error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  #verify(segment: SegmentRecord, end: Offset): void {
    const digest = this.#options.host.replica(segment.segmentId)?.digestAt(end);
    if (digest === segment.digest) return;
    const { segmentId } = segment;
    throw new WalrusError(
      'CORRUPT_SEGMENT',
      `The copy of segment ${segmentId} has digest ${digest ?? 'none'} at ${end}, sealed is ${segment.digest ?? 'none'}`,
    );
  }

  /** A planned copy becomes a replica, in the place of those on lost disks. */
  async #propose(segment: SegmentRecord): Promise<void> {
    const { self, metadata } = this.#options;
    const current = metadata.metadata.segments.get(segment.segmentId);
    if (current?.state !== 'SEALED' || isMember(current, self.diskId)) return;
    const kept = current.ensemble.filter(
      (place) =>
        metadata.metadata.disks.get(place.diskId)?.state === 'REGISTERED' &&
        place.nodeId !== self.nodeId,
    );
    const { segmentId } = segment;
    // Others were quicker: a copy too many is given up, and deleted by its tombstone.
    const command: Command =
      kept.length >= replicationOf(metadata.metadata, current).replicas
        ? { type: 'DropCopies', segmentId, places: [self] }
        : {
            type: 'ReplaceReplicas',
            segmentId,
            expected: current.ensemble,
            replicas: [...kept, self],
          };
    const result = await metadata.propose(command);
    if (!result.ok) throw new WalrusError(result.code, result.message);
  }
}

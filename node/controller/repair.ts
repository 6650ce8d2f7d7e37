/**
 * Completes and repairs this disk's copies of sealed segments (DESIGN D1, S2): those it missed the end of while it was
 * down, those that the metadata leader has planned here, and those that are damaged. Copies what is missing from
 * another replica, verifies the digest, and only then proposes itself as a replica.
 *
 * A damaged copy is made anew beside the damaged one, piece by piece: what this disk can still read of it comes from
 * here, the rest from whichever replica has it, so that damage in different places of all copies can be repaired. It
 * takes its place only with the sealed digest. As long as that cannot be had, the damaged copy stays, named, and
 * the repair is tried again later.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { SegmentId } from '../../base/units.ts';
import type { Metrics } from '../metrics.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { MetadataChange } from '../state/change.ts';
import type { Command } from '../state/commands.ts';
import { isMember, segmentsOnDisk } from '../state/queries.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import { splitBatches } from '../../protocol/recordBatch.ts';
import { replicationOf } from './failureDetector.ts';
import { SegmentCopier } from './segmentCopier.ts';
import type { CopyTarget } from './segmentCopier.ts';
import type { Rebuild, ReplicaTail } from '../storage/types.ts';
import type { MetadataService, PeerRpc } from './types.ts';

/** Copies made at once by a node: repair must not starve producers. */
const REPAIR_COUNT_MAX = 2;
/** Copies that a look at the state of all goes through; with more to be done the node is catching up anyhow. */
const LOOKED_AT_COUNT_MAX = 10_000;
/** Between two attempts for one segment; doubles up to the maximum. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 16_000;

export interface RepairOptions {
  readonly self: ReplicaPlace;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly host: ReplicaHost;
  readonly rpc: PeerRpc;
  readonly metrics: Metrics;
}

/** A new copy of a damaged one, kept from one attempt to the next. */
interface Renewal {
  readonly rebuild: Rebuild;
  /** Whether pieces are taken from the damaged copy, too. */
  readonly usesOwn: boolean;
}

export class Repair {
  readonly #options: RepairOptions;
  readonly #copier: SegmentCopier;
  /** Segments to look at, oldest first. */
  readonly #queue = new Set<SegmentId>();
  readonly #renewals = new Map<SegmentId, Renewal>();
  /** Segments whose own pieces made a wrong digest at the last attempt. */
  readonly #doubted = new Set<SegmentId>();
  /** How long each segment waits after its next failure. */
  readonly #delaysMs = new Map<SegmentId, number>();
  readonly #running = new Set<SegmentId>();
  #isStarted = false;
  #isStopped = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    this.#copier = new SegmentCopier(options);
    options.metadata.onApplied((change) => this.#onApplied(change));
    options.host.onDamage((segmentId) => {
      // Not in the middle of the read that has found it.
      options.clock.defer(() => this.#look(segmentId));
    });
  }

  /** Segments whose copy here is to be completed, made anew or looked at, those that wait for their next try included. */
  incomplete(): ReadonlySet<SegmentId> {
    return new Set([...this.#queue, ...this.#running, ...this.#delaysMs.keys()]);
  }

  /**
   * Whether a copy that counts as a replica misses the end of its segment, as far as that is known. Of damaged ones and
   * of those that do not count yet the metadata leader knows by other ways.
   */
  isCatchingUp(): boolean {
    const incomplete = this.incomplete();
    if (!this.#isStarted || incomplete.size > LOOKED_AT_COUNT_MAX) return true;
    const { segments } = this.#options.metadata.metadata;
    for (const segmentId of incomplete) {
      const segment = segments.get(segmentId);
      if (segment !== undefined && this.#missesEnd(segment)) return true;
    }
    return false;
  }

  #missesEnd(segment: SegmentRecord): boolean {
    if (segment.state !== 'SEALED' || segment.endOffset === null) return false;
    if (!isMember(segment, this.#options.self.diskId)) return false;
    const tail = this.#options.host.replica(segment.segmentId)?.tail ?? segment.baseOffset;
    return tail < segment.endOffset && !this.#isDamaged(segment.segmentId);
  }

  /** Looks at every segment of this disk once; called after the node's start. */
  start(): void {
    this.#isStarted = true;
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

  #look(segmentId: SegmentId): void {
    if (this.#isStopped) return;
    this.#queue.add(segmentId);
    this.#next();
  }

  /** Sealed, of this disk, and not all here, or damaged. */
  #isIncomplete(segment: SegmentRecord): boolean {
    if (segment.state !== 'SEALED' || segment.endOffset === null) return false;
    const { diskId } = this.#options.self;
    const isPartial = segment.partialPlaces.some((place) => place.diskId === diskId);
    if (!isPartial && !isMember(segment, diskId)) return false;
    const replica = this.#options.host.replica(segment.segmentId);
    const tail = replica?.tail ?? segment.baseOffset;
    return isPartial || tail < segment.endOffset || this.#isDamaged(segment.segmentId);
  }

  #isDamaged(segmentId: SegmentId): boolean {
    const replica = this.#options.host.replica(segmentId);
    return replica !== undefined && replica.damage !== null;
  }

  #next(): void {
    for (const segmentId of this.#queue) {
      if (this.#isStopped || this.#running.size >= REPAIR_COUNT_MAX) return;
      if (this.#running.has(segmentId)) continue; // looked at again when it ends
      this.#queue.delete(segmentId);
      const segment = this.#options.metadata.metadata.segments.get(segmentId);
      if (segment === undefined || !this.#isIncomplete(segment)) {
        this.#forget(segmentId);
        continue;
      }
      this.#running.add(segmentId);
      void this.#repair(segment).finally(() => {
        this.#running.delete(segmentId);
        this.#next();
      });
    }
  }

  #forget(segmentId: SegmentId): void {
    this.#renewals.delete(segmentId);
    this.#delaysMs.delete(segmentId);
    this.#doubted.delete(segmentId);
  }

  async #repair(segment: SegmentRecord): Promise<void> {
    const { segmentId } = segment;
    const isDamaged = this.#isDamaged(segmentId);
    try {
      if (isDamaged) await this.#renew(segment);
      else await this.#complete(segment);
      await this.#propose(segment);
      this.#forget(segmentId);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      if (isDamaged) this.#options.metrics.repaired('failed');
      this.#tryLater(segmentId, error);
    }
  }

  #tryLater(segmentId: SegmentId, { code, message }: WalrusError): void {
    const delayMs = this.#delaysMs.get(segmentId) ?? RETRY_MS_MIN;
    this.#delaysMs.set(segmentId, Math.min(2 * delayMs, RETRY_MS_MAX));
    const [level, what] = this.#isDamaged(segmentId)
      ? (['warn', 'a damaged copy has to wait'] as const)
      : (['info', 'a copy has to wait'] as const);
    this.#options.logger.log(level, what, { segmentId, code, why: message, retryMs: delayMs });
    this.#options.clock.setTimer(delayMs, () => this.#look(segmentId));
  }

  /** Copies what is missing, makes it durable, and verifies it. */
  async #complete(segment: SegmentRecord): Promise<void> {
    const { host } = this.#options;
    const { segmentId, baseOffset } = segment;
    await this.#copier.fill(segment, {
      isThere: () => host.replica(segmentId) !== undefined,
      tail: () => host.replica(segmentId)?.tail ?? baseOffset,
      take: ({ batches, producerSnapshot }) =>
        host.copy(segmentId, { epoch: null, batches, producerSnapshot }),
      readOwn: null,
    });
    await this.#flushed();
    const sealed = sealedTail(segment);
    const digest = host.replica(segmentId)?.digestAt(sealed.tail) ?? 'none';
    if (digest === sealed.digest) return;
    const problem = `its digest at ${sealed.tail} is ${digest}, sealed is ${sealed.digest}`;
    host.replica(segmentId)?.condemn(problem);
    throw new WalrusError(
      'CORRUPT_SEGMENT',
      `The copy of segment ${segmentId} is wrong: ${problem}`,
    );
  }

  /** Makes a damaged copy anew, and puts it in place once it is whole, durable and verified. */
  async #renew(segment: SegmentRecord): Promise<void> {
    const { segmentId } = segment;
    const { host, logger, metrics } = this.#options;
    const { rebuild, usesOwn } = this.#renewalOf(segmentId);
    try {
      await this.#copier.fill(segment, this.#renewalTarget(segment, rebuild, usesOwn));
      await host.finishRebuild(segmentId, rebuild, sealedTail(segment));
    } catch (error) {
      if (!isWalrusError(error, 'REPLICA_UNKNOWN', 'OVERLOADED')) {
        this.#giveUp(segmentId, rebuild);
        // If its pieces were wrong, the next one takes them from elsewhere, and the one after from here again.
        if (usesOwn && isWalrusError(error, 'CORRUPT_SEGMENT')) this.#doubted.add(segmentId);
        else this.#doubted.delete(segmentId);
      }
      throw error;
    }
    this.#renewals.delete(segmentId);
    logger.log('info', 'a damaged copy was made anew', { segmentId });
    metrics.repaired('done');
  }

  #renewalOf(segmentId: SegmentId): Renewal {
    const found = this.#renewals.get(segmentId);
    if (found !== undefined) return found;
    const usesOwn = !this.#doubted.has(segmentId);
    const renewal = { rebuild: this.#options.host.beginRebuild(segmentId), usesOwn };
    this.#renewals.set(segmentId, renewal);
    return renewal;
  }

  /** Frees what a new copy has taken. */
  #giveUp(segmentId: SegmentId, rebuild: Rebuild): void {
    rebuild.abandon();
    this.#renewals.delete(segmentId);
  }

  #renewalTarget(segment: SegmentRecord, rebuild: Rebuild, usesOwn: boolean): CopyTarget {
    const { host } = this.#options;
    return {
      isThere: () => true,
      tail: () => rebuild.tail,
      take: async ({ batches }) => {
        for (const batch of splitBatches(batches)) rebuild.append(batch);
        await this.#flushed(); // one piece at a time is in memory
        return rebuild.tail;
      },
      readOwn: usesOwn ? (from, range) => host.read(segment, from, range).bytes : null,
    };
  }

  #flushed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.host.flush((error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
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

/** Where a sealed segment ends, and with which digest. */
function sealedTail({ endOffset, baseOffset, digest }: SegmentRecord): ReplicaTail {
  return { tail: endOffset ?? baseOffset, digest: digest ?? '' };
}

/**
 * The scrub: reads this disk's copies of sealed segments in the background, at a low rate, and verifies every
 * checksum, so that rot is found while other replicas are intact, not by a reader when they are gone. What it finds is
 * noted by the storage like any other damage, and repaired (repair.ts). Owns no data; at rest it has one timer.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { isWalrusError } from '../../base/errors.ts';
import { between } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { baseOffsetOf, batchSizeOf, crcOf, recordsCountOf } from '../../protocol/recordBatch.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import type { Metrics } from '../metrics.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import { sealedSegmentsOn } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import { chainDigest, emptyDigest, formatDigest } from '../storage/digest.ts';
import type { Replica } from '../storage/types.ts';
import type { MetadataService } from './types.ts';

/** Bytes read at a time. */
const SLICE_BYTES = 256 * 1024;
/** The shortest rest between two slices, however small they are. */
const REST_MS_MIN = 1;

export interface ScrubSettings {
  /** From the end of one pass over all copies to the beginning of the next. */
  readonly intervalMs: number;
  /** What a pass reads in a second; 0: no scrub. */
  readonly bytesPerSecond: number;
}

export interface ScrubOptions {
  readonly diskId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly metadata: MetadataService;
  readonly host: ReplicaHost;
  readonly metrics: Metrics;
  readonly settings: ScrubSettings;
}

export class Scrub {
  readonly #options: ScrubOptions;
  /** Passes that have come to their end, for tests. */
  passCount = 0;
  #queue: SegmentId[] = [];
  /** Where the next slice of the queue's first segment begins; null at its base. */
  #at: Offset | null = null;
  /** Of that segment's batches up to there. */
  #digest = emptyDigest();
  #timer: Timer | null = null;

  constructor(options: ScrubOptions) {
    this.#options = options;
  }

  /** Begins the first pass; called once the node is registered. */
  start(): void {
    if (this.#options.settings.bytesPerSecond > 0) this.#beginPass();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** From a drawn copy on, so that a node which restarts often gets round to all of them. */
  #beginPass(): void {
    const { metadata, diskId, random } = this.#options;
    const ids = sealedSegmentsOn(metadata.metadata, diskId).map(({ segmentId }) => segmentId);
    const first = ids.length === 0 ? 0 : between(random, 0, ids.length - 1);
    this.#queue = [...ids.slice(first), ...ids.slice(0, first)].reverse();
    this.#at = null;
    this.#digest = emptyDigest();
    this.#rest(0);
  }

  #rest(bytes: number): void {
    const { clock, settings } = this.#options;
    const restMs = Math.max(REST_MS_MIN, (bytes / settings.bytesPerSecond) * 1000);
    this.#timer = clock.setTimer(restMs, () => this.#step());
  }

  #step(): void {
    const segmentId = this.#queue.at(-1);
    if (segmentId === undefined) {
      this.passCount += 1;
      const { clock, settings } = this.#options;
      this.#timer = clock.setTimer(settings.intervalMs, () => this.#beginPass());
      return;
    }
    const bytes = this.#slice(segmentId);
    this.#options.metrics.scrubbed(bytes);
    this.#rest(bytes);
  }

  /** Verifies the next slice; returns how many bytes were read. */
  #slice(segmentId: SegmentId): number {
    const { metadata, host } = this.#options;
    const segment = metadata.metadata.segments.get(segmentId);
    const replica = host.replica(segmentId);
    if (segment?.state !== 'SEALED' || replica === undefined || replica.damage !== null) {
      this.#nextCopy();
      return 0;
    }
    try {
      const at = this.#at ?? replica.baseOffset;
      const { bytes, nextOffset } = replica.scrub(at, SLICE_BYTES);
      this.#at = nextOffset;
      this.#checkDigest(bytes, segment, replica);
      if (nextOffset >= replica.tail || nextOffset === at) this.#nextCopy();
      return bytes.length;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#nextCopy(); // the replica has noted it, and whoever repairs has been told
      return SLICE_BYTES;
    }
  }

  /** Finds a copy whose checksums are right, and that is another than the sealed one all the same. */
  #checkDigest(bytes: Uint8Array, { endOffset, digest }: SegmentRecord, replica: Replica): void {
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) {
      const baseOffset = baseOffsetOf(bytes, at);
      const count = recordsCountOf(bytes, at);
      chainDigest(this.#digest, baseOffset, count, crcOf(bytes, at));
      if (baseOffset + count !== endOffset) continue;
      const found = formatDigest(this.#digest);
      if (found === digest) return;
      replica.condemn(`its digest at ${endOffset} is ${found}, sealed is ${digest ?? 'none'}`);
    }
  }

  #nextCopy(): void {
    this.#queue.pop();
    this.#at = null;
    this.#digest = emptyDigest();
  }
}

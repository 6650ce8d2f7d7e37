/**
 * The copies that a recovery makes before its seal (DESIGN R5): from a member that has everything up to the end, to
 * others and to fresh disks, until W disks hold it durably. A disk counts only with the digest of the end.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Offset } from '../../base/units.ts';
import { COPY_SEGMENT, READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import type { CopySegmentResponse, ReadSegmentResponse } from '../../protocol/peer/replicas.ts';
import { registeredAddress } from '../state/queries.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import type { ReplicaTail } from '../storage/types.ts';
import type { Evidence } from './evidence.ts';
import type { MetadataService, PeerRpc, Propose } from './types.ts';

const COPY_TIMEOUT_MS = 10_000;
/** Bytes of one copied piece. */
const COPY_BYTES_MAX = 1024 * 1024;

export interface RecoveryCopiesOptions {
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
  /** Healthy disks that hold nothing of the segment, best first: for copies when members are missing (R5). */
  freshPlaces(segment: SegmentRecord): readonly ReplicaPlace[];
}

/** What a recovery has found out. */
export interface Found {
  readonly evidence: readonly Evidence[];
  readonly end: ReplicaTail;
}

/** One segment's copying. */
interface Job {
  readonly segment: SegmentRecord;
  readonly end: ReplicaTail;
  /** Who has everything up to the end, as far as is known: the first one is read. */
  readonly holders: ReplicaPlace[];
}

/** `WrongPiece`: what was read is damaged. */
type Written = CopySegmentResponse | 'WrongPiece' | 'NotTaken';

export class RecoveryCopies {
  readonly #options: RecoveryCopiesOptions;

  constructor(options: RecoveryCopiesOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the disks that hold everything up to the end durably, W or more.
   * @throws {WalrusError} NOT_ENOUGH_REPLICAS; NOT_LEADER; what the metadata refuse
   */
  async make(
    segment: SegmentRecord,
    { evidence, end }: Found,
    propose: Propose,
  ): Promise<readonly ReplicaPlace[]> {
    const holders = evidence
      .filter(({ tail, digest }) => tail === end.tail && digest === end.digest)
      .map(({ place }) => place);
    const job: Job = { segment, end, holders };
    const behind = evidence.filter(({ tail }) => tail < end.tail);
    for (const { place, tail } of behind.sort((a, b) => b.tail - a.tail)) {
      if (holders.length < segment.ackQuorum) await this.#fill(job, place, tail);
    }
    for (const place of this.#freshFor(segment)) {
      if (holders.length >= segment.ackQuorum) break;
      const { segmentId, baseOffset } = segment;
      await propose({ type: 'PlanCopies', segmentId, places: [place] });
      await this.#fill(job, place, baseOffset);
    }
    if (holders.length >= segment.ackQuorum) return holders;
    const have = `${holders.length} of ${segment.ackQuorum} disks hold it up to ${end.tail}`;
    throw new WalrusError(
      'NOT_ENOUGH_REPLICAS',
      `Cannot seal segment ${segment.segmentId}: ${have}`,
    );
  }

  /** Fresh disks on nodes that have no member: never evidence, only homes for a copy. */
  #freshFor(segment: SegmentRecord): readonly ReplicaPlace[] {
    return this.#options
      .freshPlaces(segment)
      .filter((place) => !segment.ensemble.some((member) => member.diskId === place.diskId));
  }

  /** Copies to one disk from whichever holder can be read; it is a holder, too, once it has the end. */
  async #fill(job: Job, to: ReplicaPlace, from: Offset): Promise<void> {
    const { holders, end } = job;
    let at = from;
    for (;;) {
      const [source] = holders;
      if (source === undefined) return;
      const piece = await this.#read(job, source, at);
      const written = piece === null ? 'WrongPiece' : await this.#write(job, to, piece);
      if (written === 'NotTaken') return;
      if (written === 'WrongPiece') {
        holders.shift(); // it says that it has it, and cannot give it: nothing to build a seal on
        continue;
      }
      const { durableTail, digest } = written;
      if (durableTail >= end.tail) {
        if (digest === end.digest) holders.push(to);
        else this.#warn(job, to, `its digest at ${end.tail} is ${digest}, not ${end.digest}`);
        return;
      }
      if (durableTail <= at) {
        this.#warn(job, to, `it does not get beyond ${at}`);
        return;
      }
      at = durableTail;
    }
  }

  /** null: this holder cannot give it. */
  async #read(
    job: Job,
    source: ReplicaPlace,
    from: Offset,
  ): Promise<Omit<ReadSegmentResponse, 'nextOffset'> | null> {
    const { segmentId } = job.segment;
    const { rpc, metadata } = this.#options;
    const address = registeredAddress(metadata.metadata, source);
    if (address === null) return null;
    const range = { from, limit: job.end.tail, maxBytes: COPY_BYTES_MAX };
    const request = { segmentId, diskId: source.diskId, ...range };
    try {
      return await rpc.call(address, READ_SEGMENT, request, COPY_TIMEOUT_MS);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#warn(job, source, `it cannot be read from ${from}: ${error.message}`);
      return null;
    }
  }

  async #write(
    job: Job,
    to: ReplicaPlace,
    { producerSnapshot, batches }: Omit<ReadSegmentResponse, 'nextOffset'>,
  ): Promise<Written> {
    const { segmentId, token, epoch } = job.segment;
    const { rpc, metadata } = this.#options;
    const address = registeredAddress(metadata.metadata, to);
    if (address === null) return 'NotTaken';
    const endOffset = job.end.tail;
    const credentials = { segmentId, token, diskId: to.diskId, epoch };
    const request = { ...credentials, producerSnapshot, endOffset, batches };
    try {
      return await rpc.call(address, COPY_SEGMENT, request, COPY_TIMEOUT_MS);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#warn(job, to, error.message);
      return error.code === 'CORRUPT_BATCH' ? 'WrongPiece' : 'NotTaken';
    }
  }

  #warn({ segment }: Job, { nodeId }: ReplicaPlace, why: string): void {
    const { segmentId } = segment;
    this.#options.logger.log('warn', 'a copy failed', { segmentId, nodeId, why });
  }
}

/**
 * Reads a partition's committed batches across its segments: from this node's copy as far as that is whole, else from
 * another node's. Never beyond what is committed, never from a copy that is not named in the metadata.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import { READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import { isMember, nextBaseOffset, partitionRecord, segmentContaining } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { ReadResult } from '../storage/types.ts';
import type { PartitionName, Router } from './router.ts';
import type { ServerContext } from './serverContext.ts';

/** How long another node may take to read. */
const READ_TIMEOUT_MS = 3000;

/** What is at an offset, as far as this node can say without asking others. */
export type LocalRead =
  /** `bytes` is valid during this turn only. */
  | { readonly type: 'Batches'; readonly read: ReadResult }
  /** Nothing is committed there yet, as far as this node knows. */
  | { readonly type: 'End'; readonly segment: SegmentRecord; readonly committedOffset: Offset }
  /** Nothing will ever be there: go on at `to` (a hole, or the next segment). */
  | { readonly type: 'Skip'; readonly to: Offset }
  /** Retention has removed it. */
  | { readonly type: 'Removed'; readonly logStartOffset: Offset }
  /** Others have it. */
  | { readonly type: 'Elsewhere'; readonly segment: SegmentRecord };

export class LogReader {
  readonly #context: ServerContext;
  readonly #router: Router;

  constructor(context: ServerContext, router: Router) {
    this.#context = context;
    this.#router = router;
  }

  /** @throws {WalrusError} PARTITION_NOT_FOUND */
  readHere(name: PartitionName, from: Offset, maxBytes: number): LocalRead {
    const { metadata } = this.#router;
    const record = partitionRecord(metadata, name.topic, name.partition);
    if (record === undefined) {
      const message = `There is no partition ${name.partition} of topic ${name.topic}`;
      throw new WalrusError('PARTITION_NOT_FOUND', message);
    }
    const { logStartOffset } = record;
    if (from < logStartOffset) return { type: 'Removed', logStartOffset };
    const segment = segmentContaining(metadata, name, from);
    if (segment === undefined) return { type: 'Removed', logStartOffset };
    if (segment.endOffset !== null && from >= segment.endOffset) {
      return { type: 'Skip', to: offset(Math.max(from, nextBaseOffset(segment))) };
    }
    return this.#readSegment(segment, from, maxBytes);
  }

  #readSegment(segment: SegmentRecord, from: Offset, maxBytes: number): LocalRead {
    const { host, self } = this.#context.parts;
    if (!isMember(segment, self.diskId)) return { type: 'Elsewhere', segment };
    if (host.replica(segment.segmentId) === undefined) {
      // A member's copy of a segment that has just been opened comes with the leader's first message.
      const isSealed = segment.endOffset !== null;
      if (isSealed) return { type: 'Elsewhere', segment };
      return { type: 'End', segment, committedOffset: segment.baseOffset };
    }
    if (segment.endOffset === null) {
      const committedOffset = host.committedOffset(segment);
      // A damaged copy knows of no end: it may have lost what is committed.
      const isDamaged = host.replica(segment.segmentId)?.damage !== null;
      if (from >= committedOffset && !isDamaged) return { type: 'End', segment, committedOffset };
    }
    try {
      const read = host.read(segment, from, { maxBytes });
      // A member that was behind at the close has less than the sealed end.
      return read.bytes.length === 0 ? { type: 'Elsewhere', segment } : { type: 'Batches', read };
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      return { type: 'Elsewhere', segment };
    }
  }

  /**
   * Reads from a sealed segment's other copies, one after the other.
   * @throws {WalrusError} REPLICA_UNKNOWN when none can give it now.
   */
  async readElsewhere(segment: SegmentRecord, from: Offset, maxBytes: number): Promise<ReadResult> {
    const { segmentId, endOffset } = segment;
    if (endOffset !== null) {
      for (const { address, diskId } of this.#router.otherHolders(segment)) {
        const range = { from, limit: endOffset, maxBytes };
        const read = await this.#ask(address, { segmentId, diskId, ...range });
        if (read !== null && read.bytes.length > 0) return read;
      }
    }
    const what = `segment ${segmentId} from offset ${from}`;
    throw new WalrusError('REPLICA_UNKNOWN', `No copy of ${what} can be read now: try again`);
  }

  async #ask(
    address: string,
    request: Parameters<(typeof READ_SEGMENT)['writeRequest']>[1],
  ): Promise<ReadResult | null> {
    try {
      const { rpc } = this.#context.parts;
      const { batches, nextOffset } = await rpc.call(
        address,
        READ_SEGMENT,
        request,
        READ_TIMEOUT_MS,
      );
      return { bytes: batches, nextOffset };
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { segmentId } = request;
      this.#context.logger.log('info', 'a copy cannot be read', {
        address,
        segmentId,
        code: error.code,
      });
      return null;
    }
  }
}

/**
 * Copies a sealed segment piece by piece, each from the first source that has it: this node's own copy where it may be
 * used, then the other replicas in turn. A replica that cannot give a piece goes to the end of the line; when none can,
 * the copy ends with REPLICA_UNKNOWN, and what was copied stays.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Offset } from '../../base/units.ts';
import { READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import type { ReadSegmentResponse } from '../../protocol/peer/replicas.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import type { MetadataService, PeerRpc } from './types.ts';

const PIECE_BYTES_MAX = 512 * 1024;
const READ_TIMEOUT_MS = 3000;
const NO_SNAPSHOT = new Uint8Array(0);

export interface SegmentCopierOptions {
  readonly self: ReplicaPlace;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly rpc: PeerRpc;
}

/** Batches on their way, and the source's producer snapshot. */
export type Piece = Pick<ReadSegmentResponse, 'batches' | 'producerSnapshot'>;

/** What is copied to. */
export interface CopyTarget {
  /** Whether it exists: one that does not is made by its first piece, also of an empty segment. */
  isThere(): boolean;
  tail(): Offset;
  /** Stores a piece. @returns the tail after it. @throws {WalrusError} CORRUPT_BATCH for a piece that is wrong */
  take(piece: Piece): Promise<Offset> | Offset;
  /** Reads from this node's own copy. @throws {WalrusError} CORRUPT_SEGMENT */
  readonly readOwn:
    ((from: Offset, range: { maxBytes: number; limit: Offset }) => Uint8Array) | null;
}

export class SegmentCopier {
  readonly #options: SegmentCopierOptions;

  constructor(options: SegmentCopierOptions) {
    this.#options = options;
  }

  /**
   * Copies until the target reaches the segment's end.
   * @throws {WalrusError} REPLICA_UNKNOWN when no replica can give what comes next; what the target throws.
   */
  async fill(segment: SegmentRecord, target: CopyTarget): Promise<void> {
    const end = segment.endOffset ?? segment.baseOffset;
    const line = segment.ensemble.filter((place) => place.diskId !== this.#options.self.diskId);
    let failures = 0;
    while (target.tail() < end || !target.isThere()) {
      const from = target.tail();
      const own = readOwn(target, from, end);
      if (own !== null && (await target.take(own)) > from) continue;
      const place = line[0];
      if (place === undefined || failures === line.length) throw unreadable(segment, from);
      const piece = await this.#ask(segment, place, from);
      if (piece !== null && (await this.#take(target, piece, from, end))) failures = 0;
      else {
        failures += 1;
        line.push(...line.splice(0, 1));
      }
    }
  }

  async #take(target: CopyTarget, piece: Piece, from: Offset, end: Offset): Promise<boolean> {
    try {
      const tail = await target.take(piece);
      return tail > from || from >= end;
    } catch (error) {
      if (!isWalrusError(error, 'CORRUPT_BATCH')) throw error;
      this.#options.logger.log('warn', 'a replica gave a damaged piece', { why: error.message });
      return false;
    }
  }

  /** null: this replica cannot give it. */
  async #ask(segment: SegmentRecord, place: ReplicaPlace, from: Offset): Promise<Piece | null> {
    const { segmentId } = segment;
    const { nodeId, diskId } = place;
    const { metadata, rpc, logger } = this.#options;
    const node = metadata.metadata.nodes.get(nodeId);
    if (node?.diskId !== diskId) return null;
    const limit = segment.endOffset ?? from;
    const request = { segmentId, diskId, from, limit, maxBytes: PIECE_BYTES_MAX };
    try {
      return await rpc.call(node.peerAddress, READ_SEGMENT, request, READ_TIMEOUT_MS);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { code } = error;
      logger.log('info', 'cannot copy from a replica', { segmentId, nodeId, from, code });
      return null;
    }
  }
}

/** null: the own copy cannot give it, or must not. */
function readOwn(target: CopyTarget, from: Offset, limit: Offset): Piece | null {
  if (target.readOwn === null || from >= limit) return null;
  try {
    const batches = target.readOwn(from, { maxBytes: PIECE_BYTES_MAX, limit });
    return batches.length === 0 ? null : { batches, producerSnapshot: NO_SNAPSHOT };
  } catch (error) {
    if (!isWalrusError(error)) throw error;
    return null; // it is damaged there, which is why it is copied anew
  }
}

function unreadable({ segmentId }: SegmentRecord, from: Offset): WalrusError {
  const message = `No replica of segment ${segmentId} can give what is at offset ${from} now`;
  return new WalrusError('REPLICA_UNKNOWN', message);
}

/** Answers other nodes' requests to this disk's replicas: fence, copy, read (DESIGN R2, R5, S2). */
import { WalrusError } from '../../base/errors.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import { COPY_SEGMENT, FENCE_SEGMENT, READ_SEGMENT } from '../../protocol/peer/replicas.ts';
import type {
  CopySegmentRequest,
  CopySegmentResponse,
  FenceSegmentRequest,
  FenceSegmentResponse,
} from '../../protocol/peer/replicas.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { ReplicaTail } from '../storage/types.ts';
import type { MetadataService, PeerRpc } from './types.ts';

/** Bytes of one answer to a read, whatever was asked for. */
const READ_BYTES_MAX = 4 * 1024 * 1024;

/** Registers the handlers. */
export function serveReplicas(rpc: PeerRpc, host: ReplicaHost, metadata: MetadataService): void {
  const service = new ReplicaService(host, metadata);
  rpc.handle(FENCE_SEGMENT, (request) => service.fence(request));
  rpc.handle(COPY_SEGMENT, (request) => service.copy(request));
  rpc.handle(READ_SEGMENT, (request) => {
    const segment = service.segmentFor(request);
    const maxBytes = Math.min(request.maxBytes, READ_BYTES_MAX);
    const { bytes, nextOffset } = host.read(segment, request.from, {
      maxBytes,
      limit: request.limit,
    });
    const producerSnapshot = host.replica(segment.segmentId)?.producerSnapshot ?? new Uint8Array(0);
    return { nextOffset, producerSnapshot, batches: bytes };
  });
}

class ReplicaService {
  readonly #host: ReplicaHost;
  readonly #metadata: MetadataService;

  constructor(host: ReplicaHost, metadata: MetadataService) {
    this.#host = host;
    this.#metadata = metadata;
  }

  /** @throws {WalrusError} REPLICA_UNKNOWN for another disk, SEGMENT_NOT_FOUND, WRONG_TOKEN */
  segmentFor(request: {
    readonly segmentId: SegmentId;
    readonly diskId: string;
    readonly token?: string;
  }): SegmentRecord {
    const { segmentId, diskId, token } = request;
    if (diskId !== this.#host.diskId) {
      const here = `this node's disk is ${this.#host.diskId}`;
      throw new WalrusError(
        'REPLICA_UNKNOWN',
        `A request for disk ${diskId} came to another: ${here}`,
      );
    }
    const segment = this.#metadata.metadata.segments.get(segmentId);
    if (segment === undefined) {
      throw new WalrusError(
        'SEGMENT_NOT_FOUND',
        `This node does not know segment ${segmentId}, or not yet`,
      );
    }
    if (token !== undefined && token !== segment.token) {
      throw new WalrusError(
        'WRONG_TOKEN',
        `A request for segment ${segmentId} has another session's token`,
      );
    }
    return segment;
  }

  fence(request: FenceSegmentRequest): Promise<FenceSegmentResponse> {
    const segment = this.segmentFor(request);
    if (!segment.ensemble.some((place) => place.diskId === this.#host.diskId)) {
      // A disk that was not there from the start is never evidence (R3).
      throw new WalrusError(
        'REPLICA_UNKNOWN',
        `This disk is no member of segment ${segment.segmentId}`,
      );
    }
    if (segment.state === 'DELETED') {
      // What is made now would outlive the tombstone.
      throw new WalrusError('SEGMENT_NOT_FOUND', `Segment ${segment.segmentId} has been deleted`);
    }
    const known = this.#host.replica(segment.segmentId);
    const isDamaged = request.takesDamaged && known !== undefined && known.damage !== null;
    return new Promise((resolve, reject) => {
      const done = (error: WalrusError | null, tail: ReplicaTail | null): void => {
        if (error !== null) reject(error);
        else if (tail !== null) resolve({ diskId: this.#host.diskId, ...tail, isDamaged });
      };
      if (isDamaged) this.#host.fenceDamaged(known, request.epoch, done);
      else this.#host.fence(segment, request.epoch, done);
    });
  }

  async copy(request: CopySegmentRequest): Promise<CopySegmentResponse> {
    const { segmentId, endOffset } = request;
    this.segmentFor(request);
    const durableTail = this.#host.takesCopy(segmentId)
      ? this.#host.copy(segmentId, request)
      : await this.#copyOnceNamed(request);
    await this.#flushed();
    return { durableTail, digest: this.#host.replica(segmentId)?.digestAt(endOffset) ?? '' };
  }

  /** What names this disk may be committed, and not applied here yet. */
  async #copyOnceNamed(request: CopySegmentRequest): Promise<Offset> {
    const { segmentId, epoch } = request;
    const batches = request.batches.slice(); // the message ends with this turn
    const producerSnapshot = request.producerSnapshot.slice();
    await this.#metadata.barrier();
    return this.#host.copy(segmentId, { epoch, batches, producerSnapshot });
  }

  #flushed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#host.flush((error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
  }
}

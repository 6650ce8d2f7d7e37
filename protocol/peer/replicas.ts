/**
 * Requests to the members of a segment, as in requests.ts: to fence, copy, read and close it, and to learn its producers.
 */
import type { ByteReader } from '../../base/bytes.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import { INTERNAL_API_KEY_MIN } from '../client/apis.ts';
import { readOffset, readSegmentId } from '../client/codec.ts';
import type { Api, BodyWriter } from '../client/codec.ts';
import { VERSIONS } from './rpc.ts';

/** What a recovery's request names, first of its fields: a member checks it against what it knows of the segment. */
interface RecoveryCredentials {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  readonly epoch: number;
}

function writeCredentials(w: BodyWriter, request: RecoveryCredentials): BodyWriter {
  return w.u64(request.segmentId).text(request.token).text(request.diskId).u64(request.epoch);
}

function readCredentials(r: ByteReader): RecoveryCredentials {
  return { segmentId: readSegmentId(r), token: r.text(), diskId: r.text(), epoch: r.u64() };
}

/** Whole batches, last of the fields: the bytes themselves go behind everything that is written. */
function writeBatches(w: BodyWriter, batches: Uint8Array): void {
  w.u32(batches.length);
  w.appendTail(batches);
}

/** FenceSegment: R2 at one member; the answer is evidence of the disk that it names. */
export interface FenceSegmentRequest extends RecoveryCredentials {
  /** S4: whether a damaged copy answers, too, with what is sound of it. That is no evidence. */
  readonly takesDamaged: boolean;
}

export interface FenceSegmentResponse {
  readonly diskId: string;
  readonly tail: Offset;
  readonly digest: string;
  readonly isDamaged: boolean;
}

export const FENCE_SEGMENT: Api<FenceSegmentRequest, FenceSegmentResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 6,
  name: 'FenceSegment',
  ...VERSIONS,
  writeRequest: (w, request) => writeCredentials(w, request).bool(request.takesDamaged),
  readRequest: (r) => ({ ...readCredentials(r), takesDamaged: r.bool() }),
  writeResponse: (w, response) =>
    w.text(response.diskId).u64(response.tail).text(response.digest).bool(response.isDamaged),
  readResponse: (r) => ({
    diskId: r.text(),
    tail: readOffset(r),
    digest: r.text(),
    isDamaged: r.bool(),
  }),
};

/** CopySegment: whole batches for a disk that becomes or completes a replica (R5, S2); answered when durable. */
export interface CopySegmentRequest extends RecoveryCredentials {
  /** Of the source replica; used when this disk has none yet. */
  readonly producerSnapshot: Uint8Array;
  /** Where the copy is to end: the answer has the digest up to there. */
  readonly endOffset: Offset;
  /** May be empty: asks for the tail only. */
  readonly batches: Uint8Array;
}

export interface CopySegmentResponse {
  readonly durableTail: Offset;
  /** Of everything up to `endOffset`; '' as long as the copy does not reach it, or no batch ends there. */
  readonly digest: string;
}

export const COPY_SEGMENT: Api<CopySegmentRequest, CopySegmentResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 7,
  name: 'CopySegment',
  ...VERSIONS,
  writeRequest: (w, request) => {
    writeCredentials(w, request).bytes(request.producerSnapshot).u64(request.endOffset);
    writeBatches(w, request.batches);
  },
  readRequest: (r) => ({
    ...readCredentials(r),
    producerSnapshot: r.bytes(),
    endOffset: readOffset(r),
    batches: r.bytes(),
  }),
  writeResponse: (w, response) => w.u64(response.durableTail).text(response.digest),
  readResponse: (r) => ({ durableTail: readOffset(r), digest: r.text() }),
};

/** ReadSegment: stored batches of one disk's copy, for recovery, repair and remote reads. */
export interface ReadSegmentRequest {
  readonly segmentId: SegmentId;
  readonly diskId: string;
  readonly from: Offset;
  readonly limit: Offset;
  readonly maxBytes: number;
}

export interface ReadSegmentResponse {
  readonly nextOffset: Offset;
  readonly producerSnapshot: Uint8Array;
  readonly batches: Uint8Array;
}

export const READ_SEGMENT: Api<ReadSegmentRequest, ReadSegmentResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 8,
  name: 'ReadSegment',
  ...VERSIONS,
  writeRequest: (w, request) =>
    w
      .u64(request.segmentId)
      .text(request.diskId)
      .u64(request.from)
      .u64(request.limit)
      .u32(request.maxBytes),
  readRequest: (r) => ({
    segmentId: readSegmentId(r),
    diskId: r.text(),
    from: readOffset(r),
    limit: readOffset(r),
    maxBytes: r.u32(),
  }),
  writeResponse: (w, response) => {
    w.u64(response.nextOffset).bytes(response.producerSnapshot);
    writeBatches(w, response.batches);
  },
  readResponse: (r) => ({
    nextOffset: readOffset(r),
    producerSnapshot: r.bytes(),
    batches: r.bytes(),
  }),
};

/** ProducerSnapshot: the producers' state at the end of a sealed segment, for the leader of its successor. */
export interface ProducerSnapshotRequest {
  readonly segmentId: SegmentId;
  readonly endOffset: Offset;
}

export interface ProducerSnapshotResponse {
  readonly snapshot: Uint8Array;
}

export const PRODUCER_SNAPSHOT: Api<ProducerSnapshotRequest, ProducerSnapshotResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 9,
  name: 'ProducerSnapshot',
  ...VERSIONS,
  writeRequest: (w, request) => w.u64(request.segmentId).u64(request.endOffset),
  readRequest: (r) => ({ segmentId: readSegmentId(r), endOffset: readOffset(r) }),
  writeResponse: (w, response) => w.bytes(response.snapshot),
  readResponse: (r) => ({ snapshot: r.bytes() }),
};

/** RollSegment: the metadata leader asks a segment's leader to close it, for a better ensemble (W6). */
export interface RollSegmentRequest {
  readonly segmentId: SegmentId;
}

export const ROLL_SEGMENT: Api<RollSegmentRequest, null> = {
  apiKey: INTERNAL_API_KEY_MIN + 10,
  name: 'RollSegment',
  ...VERSIONS,
  writeRequest: (w, request) => w.u64(request.segmentId),
  readRequest: (r) => ({ segmentId: readSegmentId(r) }),
  writeResponse: () => undefined,
  readResponse: () => null,
};

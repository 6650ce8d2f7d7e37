/**
 * Requests between nodes, in rpc envelopes (envelope.ts). All are idempotent or carry what makes a repeat
 * harmless (epochs, tokens, offsets), since an answer may be lost.
 *
 * Integers are little-endian; `text` and `bytes` follow their u32 length; tokens, disk ids and digests are hex
 * text. One entry below for each request: its key, its fields in order, its answer's fields in order.
 */
import { logIndex } from '../../base/units.ts';
import type { LogIndex, NodeId, Offset, SegmentId } from '../../base/units.ts';
import { INTERNAL_API_KEY_MIN } from '../client/apis.ts';
import { readNodeId, readOffset, readSegmentId } from '../client/codec.ts';
import type { Api } from '../client/codec.ts';
import type { NextRecord } from '../client/getNext.ts';

/** Versions that this build speaks, of all of them. */
const VERSIONS = { minVersion: 0, maxVersion: 0 } as const;

/** ClusterInfo: asked by a node that joins, of any member. Request: empty. */
export interface ClusterInfoResponse {
  readonly clusterId: string;
  /** Peer address of the metadata leader; '' when there is none at the moment. */
  readonly leaderAddress: string;
}

export const CLUSTER_INFO: Api<null, ClusterInfoResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 1,
  name: 'ClusterInfo',
  ...VERSIONS,
  writeRequest: () => undefined,
  readRequest: () => null,
  writeResponse: (w, response) => w.text(response.clusterId).text(response.leaderAddress),
  readResponse: (r) => ({ clusterId: r.text(), leaderAddress: r.text() }),
};

/** RegisterNode: a node's start (DESIGN I2, I3), to the metadata leader. Response: empty; a refusal is an error. */
export interface RegisterNodeRequest {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly bootEpoch: number;
  /** 32 hex digits: a repeat of a boot has the same. */
  readonly bootNonce: string;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly httpAddress: string;
  readonly zone: string;
  readonly version: string;
  /** The operator's word that the node's earlier disk is lost. */
  readonly replacesLostDisk: boolean;
}

export const REGISTER_NODE: Api<RegisterNodeRequest, null> = {
  apiKey: INTERNAL_API_KEY_MIN + 2,
  name: 'RegisterNode',
  ...VERSIONS,
  writeRequest: (w, node) =>
    w
      .u64(node.nodeId)
      .text(node.diskId)
      .u64(node.bootEpoch)
      .text(node.bootNonce)
      .text(node.peerAddress)
      .text(node.clientAddress)
      .text(node.httpAddress)
      .text(node.zone)
      .text(node.version)
      .bool(node.replacesLostDisk),
  readRequest: (r) => ({
    nodeId: readNodeId(r),
    diskId: r.text(),
    bootEpoch: r.u64(),
    bootNonce: r.text(),
    peerAddress: r.text(),
    clientAddress: r.text(),
    httpAddress: r.text(),
    zone: r.text(),
    version: r.text(),
    replacesLostDisk: r.bool(),
  }),
  writeResponse: () => undefined,
  readResponse: () => null,
};

/** Heartbeat: keeps a node's session with the metadata leader, and tells it how the node is. */
export interface HeartbeatRequest {
  readonly nodeId: NodeId;
  readonly diskId: string;
  readonly bootEpoch: number;
  readonly appliedIndex: LogIndex;
  readonly isDiskWritable: boolean;
  readonly isDiskFull: boolean;
  readonly usedBytes: number;
  readonly isDraining: boolean;
  /** Segments whose copy on this disk is damaged, at most `DAMAGED_IDS_MAX` of them. */
  readonly damagedSegmentIds: readonly SegmentId[];
  /** Copies here that are to be completed, made anew or looked at. */
  readonly incompleteCopies: number;
  /** One of them at least is counted as a replica already: the end of its segment is missing here. */
  readonly isCatchingUp: boolean;
  /** Nodes that lack what this one has committed for a while, in segments that it leads. */
  readonly behindNodeIds: readonly NodeId[];
  /** Open segments that this node is named to lead, and does not, a bounded number of them: others must go on. */
  readonly unledSegmentIds: readonly SegmentId[];
}

/** Segments without a leader that a heartbeat names; the others come up as these are replaced. */
export const UNLED_IDS_MAX = 256;
/** Damaged copies that a heartbeat names; the others come up as these are repaired. */
export const DAMAGED_IDS_MAX = 256;

/** A copy that its node has found damaged. */
export interface DamagedCopy {
  readonly nodeId: NodeId;
  readonly segmentId: SegmentId;
}

export interface HeartbeatResponse {
  /** False when the metadata names another disk or a newer boot epoch for this node. */
  readonly isRegistered: boolean;
  /** Nodes with a live session, as the leader sees them. */
  readonly aliveNodeIds: readonly NodeId[];
  /** What living nodes say of their copies. */
  readonly damagedCopies: readonly DamagedCopy[];
  /** Where the leader's log ended: whatever it had decided about the node by then is at or below it. */
  readonly lastIndex: LogIndex;
}

export const HEARTBEAT: Api<HeartbeatRequest, HeartbeatResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 3,
  name: 'Heartbeat',
  ...VERSIONS,
  writeRequest: (w, beat) =>
    w
      .u64(beat.nodeId)
      .text(beat.diskId)
      .u64(beat.bootEpoch)
      .u64(beat.appliedIndex)
      .bool(beat.isDiskWritable)
      .bool(beat.isDiskFull)
      .u64(beat.usedBytes)
      .bool(beat.isDraining)
      .list(beat.damagedSegmentIds, (item, id) => item.u64(id))
      .u64(beat.incompleteCopies)
      .bool(beat.isCatchingUp)
      .list(beat.behindNodeIds, (item, id) => item.u64(id))
      .list(beat.unledSegmentIds, (item, id) => item.u64(id)),
  readRequest: (r) => ({
    nodeId: readNodeId(r),
    diskId: r.text(),
    bootEpoch: r.u64(),
    appliedIndex: logIndex(r.u64()),
    isDiskWritable: r.bool(),
    isDiskFull: r.bool(),
    usedBytes: r.u64(),
    isDraining: r.bool(),
    damagedSegmentIds: r.list(readSegmentId),
    incompleteCopies: r.u64(),
    isCatchingUp: r.bool(),
    behindNodeIds: r.list(readNodeId),
    unledSegmentIds: r.list(readSegmentId),
  }),
  writeResponse: (w, response) =>
    w
      .bool(response.isRegistered)
      .list(response.aliveNodeIds, (item, id) => item.u64(id))
      .list(response.damagedCopies, (item, copy) => item.u64(copy.nodeId).u64(copy.segmentId))
      .u64(response.lastIndex),
  readResponse: (r) => ({
    isRegistered: r.bool(),
    aliveNodeIds: r.list(readNodeId),
    damagedCopies: r.list((item) => ({
      nodeId: readNodeId(item),
      segmentId: readSegmentId(item),
    })),
    lastIndex: logIndex(r.u64()),
  }),
};

/**
 * Propose: a metadata command for the leader's log; the answer comes after it was applied there. The result
 * is the same on every node, so the one who asks takes it from its own state when it has applied the index.
 */
export interface ProposeRequest {
  /** As encoded by node/state. */
  readonly command: Uint8Array;
}

export interface ProposeResponse {
  readonly index: LogIndex;
}

export const PROPOSE: Api<ProposeRequest, ProposeResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 4,
  name: 'Propose',
  ...VERSIONS,
  writeRequest: (w, request) => w.bytes(request.command),
  readRequest: (r) => ({ command: r.bytes() }),
  writeResponse: (w, response) => w.u64(response.index),
  readResponse: (r) => ({ index: logIndex(r.u64()) }),
};

/** CloseSegment: a leader names the end of its segment, to the metadata leader, which seals and opens the next. */
export interface CloseSegmentRequest {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly endOffset: Offset;
  readonly digest: string;
}

export interface CloseSegmentResponse {
  readonly nextSegmentId: SegmentId;
}

export const CLOSE_SEGMENT: Api<CloseSegmentRequest, CloseSegmentResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 5,
  name: 'CloseSegment',
  ...VERSIONS,
  writeRequest: (w, request) =>
    w.u64(request.segmentId).text(request.token).u64(request.endOffset).text(request.digest),
  readRequest: (r) => ({
    segmentId: readSegmentId(r),
    token: r.text(),
    endOffset: readOffset(r),
    digest: r.text(),
  }),
  writeResponse: (w, response) => w.u64(response.nextSegmentId),
  readResponse: (r) => ({ nextSegmentId: readSegmentId(r) }),
};

/** FenceSegment: R2 at one member; the answer is evidence of the disk that it names. */
export interface FenceSegmentRequest {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  readonly epoch: number;
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
  writeRequest: (w, request) =>
    w
      .u64(request.segmentId)
      .text(request.token)
      .text(request.diskId)
      .u64(request.epoch)
      .bool(request.takesDamaged),
  readRequest: (r) => ({
    segmentId: readSegmentId(r),
    token: r.text(),
    diskId: r.text(),
    epoch: r.u64(),
    takesDamaged: r.bool(),
  }),
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
export interface CopySegmentRequest {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  readonly epoch: number;
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
  writeRequest: (w, request) =>
    w
      .u64(request.segmentId)
      .text(request.token)
      .text(request.diskId)
      .u64(request.epoch)
      .bytes(request.producerSnapshot)
      .u64(request.endOffset)
      .u32(request.batches.length)
      .appendTail(request.batches),
  readRequest: (r) => ({
    segmentId: readSegmentId(r),
    token: r.text(),
    diskId: r.text(),
    epoch: r.u64(),
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
  writeResponse: (w, response) =>
    w
      .u64(response.nextOffset)
      .bytes(response.producerSnapshot)
      .u32(response.batches.length)
      .appendTail(response.batches),
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

/** TakeNext: the next records of a topic's shared cursor, of the partitions that the node asked leads. */
export interface TakeNextRequest {
  readonly topic: string;
  /** How many clients wait; never more come. */
  readonly maxCount: number;
  /** Of the process that asks; with `sequence` the order of its requests. */
  readonly bootEpoch: number;
  readonly sequence: number;
  /**
   * The last request to this node whose answer came and was kept, 0 for none: what later ones took is lost, and
   * comes first in this answer.
   */
  readonly received: number;
}

export interface TakeNextResponse {
  /** In order within each partition. */
  readonly records: readonly NextRecord[];
  /** The cursors stand at their ends: there were no more. */
  readonly isEnd: boolean;
}

export const TAKE_NEXT: Api<TakeNextRequest, TakeNextResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 14, // 13 was an earlier one
  name: 'TakeNext',
  ...VERSIONS,
  writeRequest: (w, request) => {
    w.text(request.topic).u32(request.maxCount);
    w.u64(request.bootEpoch).u64(request.sequence).u64(request.received);
  },
  readRequest: (r) => ({
    topic: r.text(),
    maxCount: r.u32(),
    bootEpoch: r.u64(),
    sequence: r.u64(),
    received: r.u64(),
  }),
  writeResponse: (w, response) =>
    w
      .bool(response.isEnd)
      .list(response.records, (item, { partition, offset, value }) =>
        item.u32(partition).u64(offset).bytes(value),
      ),
  readResponse: (r) => ({
    isEnd: r.bool(),
    records: r.list((item) => ({
      partition: item.u32(),
      offset: readOffset(item),
      value: item.bytes().slice(), // the message ends with this turn
    })),
  }),
};

/**
 * ConfirmDelivery: what became of records that a node fetched from a shared cursor for its clients. An answer that
 * never reached a client gives its record back.
 */
export interface ConfirmDeliveryRequest {
  readonly topic: string;
  readonly partition: number;
  readonly deliveries: readonly { readonly offset: Offset; readonly wasDelivered: boolean }[];
}

export const CONFIRM_DELIVERY: Api<ConfirmDeliveryRequest, null> = {
  apiKey: INTERNAL_API_KEY_MIN + 11,
  name: 'ConfirmDelivery',
  ...VERSIONS,
  writeRequest: (w, request) =>
    w
      .text(request.topic)
      .u32(request.partition)
      .list(request.deliveries, (item, one) => item.u64(one.offset).bool(one.wasDelivered)),
  readRequest: (r) => ({
    topic: r.text(),
    partition: r.u32(),
    deliveries: r.list((item) => ({ offset: readOffset(item), wasDelivered: item.bool() })),
  }),
  writeResponse: () => undefined,
  readResponse: () => null,
};

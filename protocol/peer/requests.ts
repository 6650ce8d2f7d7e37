/**
 * Requests between nodes, in rpc envelopes (envelope.ts); those to the members of a segment are in replicas.ts. All are idempotent or carry what makes a repeat
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
import { VERSIONS } from './rpc.ts';

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
  /** Those of them that drain: they take nothing over. */
  readonly drainingNodeIds: readonly NodeId[];
  /** What living nodes say of their copies. */
  readonly damagedCopies: readonly DamagedCopy[];
  /** Of the leader: whatever was decided about the node before this answer is at or below it. */
  readonly appliedIndex: LogIndex;
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
      .list(response.drainingNodeIds, (item, id) => item.u64(id))
      .list(response.damagedCopies, (item, copy) => item.u64(copy.nodeId).u64(copy.segmentId))
      .u64(response.appliedIndex),
  readResponse: (r) => ({
    isRegistered: r.bool(),
    aliveNodeIds: r.list(readNodeId),
    drainingNodeIds: r.list(readNodeId),
    damagedCopies: r.list((item) => ({
      nodeId: readNodeId(item),
      segmentId: readSegmentId(item),
    })),
    appliedIndex: logIndex(r.u64()),
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
  /**
   * The partitions whose cursors stand at their ends: there were no more. Named, since the one who asks may take this node
   * for the leader of others, and end at what it has not looked at.
   */
  readonly ended: readonly number[];
}

export const TAKE_NEXT: Api<TakeNextRequest, TakeNextResponse> = {
  apiKey: INTERNAL_API_KEY_MIN + 18, // 13 and 14 were earlier ones
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
      .list(response.ended, (item, partition) => item.u32(partition))
      .list(response.records, (item, { partition, offset, value }) =>
        item.u32(partition).u64(offset).bytes(value),
      ),
  readResponse: (r) => ({
    ended: r.list((item) => item.u32()),
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

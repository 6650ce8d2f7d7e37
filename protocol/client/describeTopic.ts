/**
 * DescribeTopic: a topic with every segment of its partitions; for people and tools.
 *
 * Request: text topic.
 * Response: text name, u64 topicId, u8 replicas, u8 ackQuorum, u64 createdAtMs,
 * list partitions (u32 partition, u64 logStartOffset, list segments (u64 segmentId, u8 state (0 OPEN,
 *   1 RECOVERING, 2 SEALED, 3 DELETED), u64 baseOffset, optional u64 endOffset, u64 epoch, place leader,
 *   list places ensemble, list u64 damagedNodes, optional text digest, bool isUnderReplicated, optional lossy (u64 from, u64 to),
 *   u64 openedAtMs, optional u64 sealedAtMs)).
 * A place is u64 nodeId, text diskId.
 */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readChoice, readNodeId, readOffset, readSegmentId, readTopicName } from './codec.ts';

export interface DescribeTopicRequest {
  readonly topic: string;
}

/** A copy's home. */
export interface PlaceDescription {
  readonly nodeId: NodeId;
  readonly diskId: string;
}

const SEGMENT_STATES = ['OPEN', 'RECOVERING', 'SEALED', 'DELETED'] as const;
export type SegmentStateName = (typeof SEGMENT_STATES)[number];

/** Records that an unclean seal gave up. */
export interface LossyDescription {
  readonly from: Offset;
  /** Exclusive. */
  readonly to: Offset;
}

export interface SegmentDescription {
  readonly segmentId: SegmentId;
  readonly state: SegmentStateName;
  readonly baseOffset: Offset;
  /** The offset after the last record; undefined until the segment is sealed. */
  readonly endOffset: Offset | undefined;
  /** 0 while open, then the highest recovery epoch. */
  readonly epoch: number;
  readonly leader: PlaceDescription;
  readonly ensemble: readonly PlaceDescription[];
  /** Nodes of the ensemble whose copy is damaged at the moment. */
  readonly damagedNodes: readonly NodeId[];
  /** 16 hex digits; undefined until the segment is sealed. */
  readonly digest: string | undefined;
  readonly isUnderReplicated: boolean;
  readonly lossy: LossyDescription | undefined;
  readonly openedAtMs: number;
  readonly sealedAtMs: number | undefined;
}

export interface PartitionDescription {
  readonly partition: number;
  readonly logStartOffset: Offset;
  readonly segments: readonly SegmentDescription[];
}

export interface DescribeTopicResponse {
  readonly name: string;
  readonly topicId: number;
  readonly replicas: number;
  readonly ackQuorum: number;
  readonly createdAtMs: number;
  readonly partitions: readonly PartitionDescription[];
}

function writePlace(writer: ByteWriter, place: PlaceDescription): void {
  writer.u64(place.nodeId).text(place.diskId);
}

function readPlace(reader: ByteReader): PlaceDescription {
  return { nodeId: readNodeId(reader), diskId: reader.text() };
}

function writeCount(writer: ByteWriter, value: number): void {
  writer.u64(value);
}

function writeLossy(writer: ByteWriter, lossy: LossyDescription): void {
  writer.u64(lossy.from).u64(lossy.to);
}

/** Reads a range of records that an unclean seal gave up. */
export function readLossy(reader: ByteReader): LossyDescription {
  return { from: readOffset(reader), to: readOffset(reader) };
}

function writeSegment(writer: ByteWriter, segment: SegmentDescription): void {
  writer.u64(segment.segmentId).u8(SEGMENT_STATES.indexOf(segment.state)).u64(segment.baseOffset);
  writer.optional(segment.endOffset, writeCount).u64(segment.epoch);
  writePlace(writer, segment.leader);
  writer.list(segment.ensemble, writePlace);
  writer.list(segment.damagedNodes, writeCount);
  writer.optional(segment.digest, (w, digest) => w.text(digest));
  writer.bool(segment.isUnderReplicated).optional(segment.lossy, writeLossy);
  writer.u64(segment.openedAtMs).optional(segment.sealedAtMs, writeCount);
}

function readSegment(reader: ByteReader): SegmentDescription {
  return {
    segmentId: readSegmentId(reader),
    state: readChoice(reader, SEGMENT_STATES, 'a segment state'),
    baseOffset: readOffset(reader),
    endOffset: reader.optional(readOffset),
    epoch: reader.u64(),
    leader: readPlace(reader),
    ensemble: reader.list(readPlace),
    damagedNodes: reader.list(readNodeId),
    digest: reader.optional((r) => r.text()),
    isUnderReplicated: reader.bool(),
    lossy: reader.optional(readLossy),
    openedAtMs: reader.u64(),
    sealedAtMs: reader.optional((r) => r.u64()),
  };
}

function writePartition(writer: ByteWriter, partition: PartitionDescription): void {
  writer.u32(partition.partition).u64(partition.logStartOffset);
  writer.list(partition.segments, writeSegment);
}

function readPartition(reader: ByteReader): PartitionDescription {
  return {
    partition: reader.u32(),
    logStartOffset: readOffset(reader),
    segments: reader.list(readSegment),
  };
}

export const describeTopic: Api<DescribeTopicRequest, DescribeTopicResponse> = {
  apiKey: 13,
  name: 'DescribeTopic',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.text(request.topic);
  },
  readRequest(reader) {
    return { topic: readTopicName(reader) };
  },
  writeResponse(writer, response) {
    writer.text(response.name).u64(response.topicId);
    writer.u8(response.replicas).u8(response.ackQuorum).u64(response.createdAtMs);
    writer.list(response.partitions, writePartition);
  },
  readResponse(reader) {
    return {
      name: readTopicName(reader),
      topicId: reader.u64(),
      replicas: reader.u8(),
      ackQuorum: reader.u8(),
      createdAtMs: reader.u64(),
      partitions: reader.list(readPartition),
    };
  },
};

/**
 * Metadata: the nodes, the topics and who leads each partition now; what a client needs to go straight to a leader.
 *
 * Request: optional list topics (text); absent = all.
 * Response: u64 metadataEpoch, optional u64 metadataLeader,
 * list nodes (u64 nodeId, text clientAddress, text zone, bool isAlive),
 * list topics (text name, u64 topicId, u8 replicas, u8 ackQuorum,
 *   list partitions (u32 partition, optional u64 leader, u64 segmentId, u64 logStartOffset)).
 * Topics that do not exist are left out.
 */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import type { Api } from './codec.ts';
import { readNodeId, readOffset, readSegmentId, readTopicName } from './codec.ts';

export interface MetadataRequest {
  /** Only these; undefined for all topics. */
  readonly topics?: readonly string[] | undefined;
}

export interface NodeInfo {
  readonly nodeId: NodeId;
  /** `host:port` for clients. */
  readonly clientAddress: string;
  /** '' when none is configured. */
  readonly zone: string;
  readonly isAlive: boolean;
}

export interface PartitionInfo {
  readonly partition: number;
  /** undefined while the partition is between two leaders. */
  readonly leader: NodeId | undefined;
  /** The partition's last segment, the one that takes appends. */
  readonly segmentId: SegmentId;
  readonly logStartOffset: Offset;
}

export interface TopicInfo {
  readonly name: string;
  readonly topicId: number;
  readonly replicas: number;
  readonly ackQuorum: number;
  readonly partitions: readonly PartitionInfo[];
}

export interface MetadataResponse {
  /** Grows with every change of the metadata: an older answer never replaces a newer one. */
  readonly metadataEpoch: number;
  readonly metadataLeader: NodeId | undefined;
  readonly nodes: readonly NodeInfo[];
  readonly topics: readonly TopicInfo[];
}

function writeNode(writer: ByteWriter, node: NodeInfo): void {
  writer.u64(node.nodeId).text(node.clientAddress).text(node.zone).bool(node.isAlive);
}

function readNode(reader: ByteReader): NodeInfo {
  return {
    nodeId: readNodeId(reader),
    clientAddress: reader.text(),
    zone: reader.text(),
    isAlive: reader.bool(),
  };
}

function writePartition(writer: ByteWriter, partition: PartitionInfo): void {
  writer.u32(partition.partition).optional(partition.leader, (w, leader) => w.u64(leader));
  writer.u64(partition.segmentId).u64(partition.logStartOffset);
}

function readPartition(reader: ByteReader): PartitionInfo {
  return {
    partition: reader.u32(),
    leader: reader.optional(readNodeId),
    segmentId: readSegmentId(reader),
    logStartOffset: readOffset(reader),
  };
}

function writeTopic(writer: ByteWriter, topic: TopicInfo): void {
  writer.text(topic.name).u64(topic.topicId).u8(topic.replicas).u8(topic.ackQuorum);
  writer.list(topic.partitions, writePartition);
}

function readTopic(reader: ByteReader): TopicInfo {
  return {
    name: readTopicName(reader),
    topicId: reader.u64(),
    replicas: reader.u8(),
    ackQuorum: reader.u8(),
    partitions: reader.list(readPartition),
  };
}

export const metadata: Api<MetadataRequest, MetadataResponse> = {
  apiKey: 2,
  name: 'Metadata',
  minVersion: 0,
  maxVersion: 0,
  writeRequest(writer, request) {
    writer.optional(request.topics, (w, topics) => {
      w.list(topics, (item, topic) => item.text(topic));
    });
  },
  readRequest(reader) {
    return { topics: reader.optional((r) => r.list(readTopicName)) };
  },
  writeResponse(writer, response) {
    writer.u64(response.metadataEpoch);
    writer.optional(response.metadataLeader, (w, leader) => w.u64(leader));
    writer.list(response.nodes, writeNode).list(response.topics, writeTopic);
  },
  readResponse(reader) {
    return {
      metadataEpoch: reader.u64(),
      metadataLeader: reader.optional(readNodeId),
      nodes: reader.list(readNode),
      topics: reader.list(readTopic),
    };
  },
};

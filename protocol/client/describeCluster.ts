/**
 * DescribeCluster: the nodes, their disks and the metadata's Raft group as the answering node sees them.
 *
 * Request: no fields.
 * Response: text clusterId, u64 metadataEpoch,
 * list nodes (u64 nodeId, text diskId, text clientAddress, text peerAddress, text httpAddress, text zone,
 *   text version, bool isAlive),
 * list disks (text diskId, u64 nodeId, u64 bootEpoch, u8 state (0 REGISTERED, 1 LOST)),
 * raft (u64 term, optional u64 leader, u64 commitIndex, u64 lastApplied, list voters (u64 nodeId, text diskId),
 *   list learners (same)).
 */
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { NodeId } from '../../base/units.ts';
import type { Api, Empty } from './codec.ts';
import { readChoice, readEmpty, readNodeId, writeEmpty } from './codec.ts';

export interface NodeDescription {
  readonly nodeId: NodeId;
  /** The disk that the node runs on now. */
  readonly diskId: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly httpAddress: string;
  readonly zone: string;
  readonly version: string;
  readonly isAlive: boolean;
}

const DISK_STATES = ['REGISTERED', 'LOST'] as const;

export interface DiskDescription {
  readonly diskId: string;
  readonly nodeId: NodeId;
  readonly bootEpoch: number;
  readonly state: (typeof DISK_STATES)[number];
}

export interface RaftMember {
  readonly nodeId: NodeId;
  readonly diskId: string;
}

export interface RaftDescription {
  readonly term: number;
  readonly leader: NodeId | undefined;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly voters: readonly RaftMember[];
  readonly learners: readonly RaftMember[];
}

export interface DescribeClusterResponse {
  readonly clusterId: string;
  readonly metadataEpoch: number;
  readonly nodes: readonly NodeDescription[];
  readonly disks: readonly DiskDescription[];
  readonly raft: RaftDescription;
}

function writeNode(writer: ByteWriter, node: NodeDescription): void {
  writer.u64(node.nodeId).text(node.diskId).text(node.clientAddress).text(node.peerAddress);
  writer.text(node.httpAddress).text(node.zone).text(node.version).bool(node.isAlive);
}

function readNode(reader: ByteReader): NodeDescription {
  return {
    nodeId: readNodeId(reader),
    diskId: reader.text(),
    clientAddress: reader.text(),
    peerAddress: reader.text(),
    httpAddress: reader.text(),
    zone: reader.text(),
    version: reader.text(),
    isAlive: reader.bool(),
  };
}

function writeDisk(writer: ByteWriter, disk: DiskDescription): void {
  writer.text(disk.diskId).u64(disk.nodeId).u64(disk.bootEpoch);
  writer.u8(DISK_STATES.indexOf(disk.state));
}

function readDisk(reader: ByteReader): DiskDescription {
  return {
    diskId: reader.text(),
    nodeId: readNodeId(reader),
    bootEpoch: reader.u64(),
    state: readChoice(reader, DISK_STATES, 'a disk state'),
  };
}

function writeMember(writer: ByteWriter, member: RaftMember): void {
  writer.u64(member.nodeId).text(member.diskId);
}

function readMember(reader: ByteReader): RaftMember {
  return { nodeId: readNodeId(reader), diskId: reader.text() };
}

function writeRaft(writer: ByteWriter, raft: RaftDescription): void {
  writer.u64(raft.term).optional(raft.leader, (w, leader) => w.u64(leader));
  writer.u64(raft.commitIndex).u64(raft.lastApplied);
  writer.list(raft.voters, writeMember).list(raft.learners, writeMember);
}

function readRaft(reader: ByteReader): RaftDescription {
  return {
    term: reader.u64(),
    leader: reader.optional(readNodeId),
    commitIndex: reader.u64(),
    lastApplied: reader.u64(),
    voters: reader.list(readMember),
    learners: reader.list(readMember),
  };
}

export const describeCluster: Api<Empty, DescribeClusterResponse> = {
  apiKey: 14,
  name: 'DescribeCluster',
  minVersion: 0,
  maxVersion: 0,
  writeRequest: writeEmpty,
  readRequest: readEmpty,
  writeResponse(writer, response) {
    writer.text(response.clusterId).u64(response.metadataEpoch);
    writer.list(response.nodes, writeNode).list(response.disks, writeDisk);
    writeRaft(writer, response.raft);
  },
  readResponse(reader) {
    return {
      clusterId: reader.text(),
      metadataEpoch: reader.u64(),
      nodes: reader.list(readNode),
      disks: reader.list(readDisk),
      raft: readRaft(reader),
    };
  },
};

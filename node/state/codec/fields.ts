/** Fields that commands and snapshots share. Whatever a reader returns is in the range of its type. */
import { fromHex, toHex } from '../../../base/bytes.ts';
import type { ByteReader, ByteWriter } from '../../../base/bytes.ts';
import { WalrusError } from '../../../base/errors.ts';
import { nodeId, offset, segmentId } from '../../../base/units.ts';
import type { NodeId, Offset, SegmentId } from '../../../base/units.ts';
import type { ClusterConfig, LossyRange, NodeRecord, ReplicaPlace, Replication } from '../types.ts';

/** Bytes of a cluster id, a disk id or a token. */
export const IDENTIFIER_BYTES = 16;
/** Bytes of a segment's digest. */
export const DIGEST_BYTES = 8;

/** @throws {WalrusError} MALFORMED unless `hex` is `length` bytes in lower-case hex. */
export function writeHex(writer: ByteWriter, hex: string, length: number): void {
  const bytes = fromHex(hex);
  if (bytes.length !== length || hex !== hex.toLowerCase()) {
    throw new WalrusError('MALFORMED', `Cannot encode "${hex}": it is not ${length} bytes of hex`);
  }
  writer.raw(bytes);
}

export function readHex(reader: ByteReader, length: number): string {
  return toHex(reader.raw(length));
}

export function writeIdentifier(writer: ByteWriter, identifier: string): void {
  writeHex(writer, identifier, IDENTIFIER_BYTES);
}

export function readIdentifier(reader: ByteReader): string {
  return readHex(reader, IDENTIFIER_BYTES);
}

export function readOffset(reader: ByteReader): Offset {
  return offset(reader.u64());
}

export function readNodeId(reader: ByteReader): NodeId {
  const value = reader.u32();
  if (value === 0) reader.fail('a node id is 0');
  return nodeId(value);
}

export function readSegmentId(reader: ByteReader): SegmentId {
  const value = reader.u64();
  if (value === 0) reader.fail('a segment id is 0');
  return segmentId(value);
}

export function writePlace(writer: ByteWriter, place: ReplicaPlace): void {
  writer.u32(place.nodeId);
  writeIdentifier(writer, place.diskId);
}

export function readPlace(reader: ByteReader): ReplicaPlace {
  return { nodeId: readNodeId(reader), diskId: readIdentifier(reader) };
}

export function writePlaces(writer: ByteWriter, places: readonly ReplicaPlace[]): void {
  writer.list(places, writePlace);
}

export function readPlaces(reader: ByteReader): readonly ReplicaPlace[] {
  return reader.list(readPlace);
}

export function writeLossy(writer: ByteWriter, lossy: LossyRange | null): void {
  writer.optional(lossy ?? undefined, (w, range) => w.u64(range.from).u64(range.to));
}

export function readLossy(reader: ByteReader): LossyRange | null {
  return reader.optional((r) => ({ from: readOffset(r), to: readOffset(r) })) ?? null;
}

export function writeConfig(writer: ByteWriter, config: ClusterConfig): void {
  writer.u64(config.metadataVoters).u64(config.maxSegmentEntries);
  writer.u64(config.maxSegmentBytes).u64(config.maxSegmentAgeMs);
}

export function readConfig(reader: ByteReader): ClusterConfig {
  return {
    metadataVoters: reader.u64(),
    maxSegmentEntries: reader.u64(),
    maxSegmentBytes: reader.u64(),
    maxSegmentAgeMs: reader.u64(),
  };
}

export function writeReplication(writer: ByteWriter, replication: Replication): void {
  writer.u8(replication.replicas).u8(replication.ackQuorum);
}

export function readReplication(reader: ByteReader): Replication {
  return { replicas: reader.u8(), ackQuorum: reader.u8() };
}

export function writeNode(writer: ByteWriter, node: NodeRecord): void {
  writer.u32(node.nodeId);
  writeIdentifier(writer, node.diskId);
  writer.text(node.peerAddress).text(node.clientAddress).text(node.httpAddress);
  writer.text(node.zone).text(node.version);
}

export function readNode(reader: ByteReader): NodeRecord {
  return {
    nodeId: readNodeId(reader),
    diskId: readIdentifier(reader),
    peerAddress: reader.text(),
    clientAddress: reader.text(),
    httpAddress: reader.text(),
    zone: reader.text(),
    version: reader.text(),
  };
}

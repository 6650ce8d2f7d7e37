/**
 * A record of the catalog. Little-endian; the length is a multiple of 8.
 *
 * | at | bytes | field                                                                                    |
 * |---:|------:|------------------------------------------------------------------------------------------|
 * |  0 |     4 | CRC-32C of bytes 4..length                                                                |
 * |  4 |     4 | length of the record                                                                      |
 * |  8 |     4 | kind: 1 CREATE, 2 FENCE, 3 DELETE, 4 ALLOCATE, 5 TRIM, 6 MARK, 7 REPLACE, 8 PRODUCERS     |
 * | 12 |     4 | zeros                                                                                     |
 * | 16 |     8 | synced position: all of the file below it was durable when this was written              |
 * | 24 |     8 | segment (0 in a MARK)                                                                     |
 * | 32 |       | CREATE: token 16 bytes, base offset u64, fence epoch u64, producer snapshot u32 + bytes   |
 * |    |       | FENCE: epoch u64                                                                          |
 * |    |       | ALLOCATE: address u64, class u32, epoch of the block (boot u32, count u32)                |
 * |    |       | TRIM: how many blocks are kept u32                                                        |
 * |    |       | REPLACE: count u32, then each block as in ALLOCATE: they take the place of all before     |
 * |    |       | PRODUCERS: producer snapshot u32 + bytes, of a replica that was made without              |
 */
import { ByteReader, ByteWriter, fromHex, toHex } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import { WalrusError } from '../../base/errors.ts';
import type { BlockRef, ReplicaRecord } from './replicaRecord.ts';

export const CATALOG_HEADER_BYTES = 24;
/** The largest record: a producer snapshot of 1 MiB and what surrounds it. */
export const CATALOG_RECORD_BYTES_MAX = 1024 * 1024 + 256;
/** The largest producer snapshot of a replica. */
export const PRODUCER_SNAPSHOT_BYTES_MAX = CATALOG_RECORD_BYTES_MAX - 256;

const CREATE = 1;
const FENCE = 2;
const DELETE = 3;
const ALLOCATE = 4;
const TRIM = 5;
const MARK = 6;
const REPLACE = 7;
const PRODUCERS = 8;

export type CatalogRecord =
  | { readonly kind: 'CREATE'; readonly segmentId: number; readonly replica: ReplicaRecord }
  | { readonly kind: 'FENCE'; readonly segmentId: number; readonly epoch: number }
  | { readonly kind: 'DELETE'; readonly segmentId: number }
  | { readonly kind: 'ALLOCATE'; readonly segmentId: number; readonly block: BlockRef }
  | { readonly kind: 'TRIM'; readonly segmentId: number; readonly blockCount: number }
  | { readonly kind: 'MARK'; readonly segmentId: 0 }
  | { readonly kind: 'REPLACE'; readonly segmentId: number; readonly blocks: readonly BlockRef[] }
  | { readonly kind: 'PRODUCERS'; readonly segmentId: number; readonly snapshot: Uint8Array };

const KINDS = { CREATE, FENCE, DELETE, ALLOCATE, TRIM, MARK, REPLACE, PRODUCERS } as const;

/** Appends a record; its checksum covers the synced position, so that is given here. */
export function writeCatalogRecord(
  writer: ByteWriter,
  record: CatalogRecord,
  syncedPosition: number,
): void {
  const start = writer.length;
  writer.u32(0).u32(0).u32(KINDS[record.kind]).u32(0).u64(syncedPosition).u64(record.segmentId);
  writeBody(writer, record);
  while ((writer.length - start) % 8 !== 0) writer.u8(0);
  writer.patchU32(start + 4, writer.length - start);
  writer.patchU32(start, crc32c(writer.view().subarray(start + 4)));
}

function writeBody(writer: ByteWriter, record: CatalogRecord): void {
  switch (record.kind) {
    case 'CREATE':
      writer.raw(fromHex(record.replica.token)).u64(record.replica.baseOffset);
      writer.u64(record.replica.fenceEpoch).bytes(record.replica.producerSnapshot);
      return;
    case 'FENCE':
      writer.u64(record.epoch);
      return;
    case 'ALLOCATE':
      writeBlock(writer, record.block);
      return;
    case 'REPLACE':
      writer.u32(record.blocks.length);
      for (const block of record.blocks) writeBlock(writer, block);
      return;
    case 'TRIM':
      writer.u32(record.blockCount);
      return;
    case 'PRODUCERS':
      writer.bytes(record.snapshot);
      return;
    case 'DELETE':
    case 'MARK':
  }
}

function writeBlock(writer: ByteWriter, block: BlockRef): void {
  writer.u64(block.address).u32(block.blockClass).u32(block.boot).u32(block.count);
}

/** The length of the valid record at `at`; 0 when there is none. */
export function catalogRecordLength(bytes: Uint8Array, at: number): number {
  if (at + CATALOG_HEADER_BYTES > bytes.length) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, CATALOG_HEADER_BYTES);
  const length = view.getUint32(4, true);
  if (length <= CATALOG_HEADER_BYTES || length % 8 !== 0) return 0;
  if (length > CATALOG_RECORD_BYTES_MAX || at + length > bytes.length) return 0;
  const crc = crc32c(bytes.subarray(at + 4, at + length));
  return crc === view.getUint32(0, true) ? length : 0;
}

/** The synced position of the record at `at`. */
export function catalogSyncedPosition(bytes: Uint8Array, at: number): number {
  return new ByteReader(bytes.subarray(at + 16, at + 24), 'catalog record').u64();
}

/** @throws {WalrusError} MALFORMED when a record with a right checksum has an unknown form */
export function readCatalogRecord(bytes: Uint8Array): CatalogRecord {
  const reader = new ByteReader(bytes, 'catalog record');
  reader.raw(8);
  const kind = reader.u32();
  reader.raw(12);
  const segmentId = reader.u64();
  switch (kind) {
    case CREATE:
      return { kind: 'CREATE', segmentId, replica: readReplica(reader, segmentId) };
    case FENCE:
      return { kind: 'FENCE', segmentId, epoch: reader.u64() };
    case DELETE:
      return { kind: 'DELETE', segmentId };
    case ALLOCATE:
      return { kind: 'ALLOCATE', segmentId, block: readBlock(reader) };
    case TRIM:
      return { kind: 'TRIM', segmentId, blockCount: reader.u32() };
    case MARK:
      return { kind: 'MARK', segmentId: 0 };
    case REPLACE: {
      const blocks = Array.from({ length: reader.u32() }, () => readBlock(reader));
      return { kind: 'REPLACE', segmentId, blocks };
    }
    case PRODUCERS:
      return { kind: 'PRODUCERS', segmentId, snapshot: reader.bytes().slice() };
    default:
      throw new WalrusError('UNSUPPORTED_VERSION', `Cannot read a catalog record of kind ${kind}`);
  }
}

function readReplica(reader: ByteReader, segmentId: number): ReplicaRecord {
  const token = toHex(reader.raw(16));
  const baseOffset = reader.u64();
  const fenceEpoch = reader.u64();
  const producerSnapshot = reader.bytes().slice();
  return { segmentId, token, baseOffset, fenceEpoch, producerSnapshot, blocks: [] };
}

function readBlock(reader: ByteReader): BlockRef {
  const address = reader.u64();
  const blockClass = reader.u32();
  const boot = reader.u32();
  return { address, blockClass, boot, count: reader.u32(), end: 0 };
}

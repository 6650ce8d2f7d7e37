/**
 * Replication messages: what a segment's leader sends to a member of its ensemble, and the answer.
 * One-way messages; both may be lost, repeated or reordered. Cumulative: an answer speaks of all before it.
 *
 * Append (leader -> member)
 *
 * | at | size | field |
 * |---|---|---|
 * | 0 | 1 | message kind = 2 (replication) |
 * | 1 | 1 | type = 1 |
 * | 2 | 8 | segmentId u64 |
 * | 10 | 16 | leader session token |
 * | 26 | 16 | diskId of the member that is meant |
 * | 42 | 8 | committedOffset u64 (DESIGN W5) |
 * | 50 | 8 | firstOffset u64: where the batches begin; without batches: where the leader believes the tail is |
 * | 58 | - | record batches, one after the other, to the end of the message |
 *
 * Open (leader -> member): creates the member's replica; answered by an AppendAck
 *
 * | at | size | field |
 * |---|---|---|
 * | 0 | 1 | message kind = 2 (replication) |
 * | 1 | 1 | type = 3 |
 * | 2 | 8 | segmentId u64 |
 * | 10 | 16 | leader session token |
 * | 26 | 16 | diskId of the member that is meant |
 * | 42 | - | the producers' state at the segment's base offset, to the end of the message |
 *
 * AppendAck (member -> leader)
 *
 * | at | size | field |
 * |---|---|---|
 * | 0 | 1 | message kind = 2 (replication) |
 * | 1 | 1 | type = 2 |
 * | 2 | 8 | segmentId u64 |
 * | 10 | 16 | leader session token |
 * | 26 | 16 | diskId of the member |
 * | 42 | 1 | status, see APPEND_STATUS |
 * | 43 | 8 | tail u64 |
 * | 51 | 8 | durableTail u64: all below is durable on the member (DESIGN W3) |
 * | 59 | 8 | committedOffset u64 that the member knows |
 */
import { ByteReader, ByteWriter, fromHex, toHex } from '../../base/bytes.ts';
import { offset, segmentId } from '../../base/units.ts';
import type { Offset, SegmentId } from '../../base/units.ts';

/** The first byte of every replication message. */
export const REPLICATION_MESSAGE_KIND = 2;
export const APPEND_HEADER_SIZE_BYTES = 58;
export const APPEND_ACK_SIZE_BYTES = 67;

const TYPE_APPEND = 1;
const TYPE_APPEND_ACK = 2;
const TYPE_OPEN = 3;
const ID_SIZE_BYTES = 16;

/** How a member took an Append. */
export const APPEND_STATUS = {
  /** Everything up to `tail` is accepted. */
  OK: 0,
  /** The batches begin above `tail`: send from there. */
  GAP: 1,
  /** The member's metadata does not know the segment yet: send again a little later. */
  NOT_READY: 2,
  /** The segment is fenced, sealed or deleted: this leader is deposed. */
  FENCED: 3,
  /** Token or disk do not match: not a member. */
  REFUSED: 4,
  /** The member's disk is full, failed or its copy is damaged. */
  UNAVAILABLE: 5,
  /** The member has no replica yet: send an Open. */
  NEED_OPEN: 6,
  /** Not an answer: the member has started anew and wants to be told what is committed. */
  RESTARTED: 7,
  /** The member's disk has too much to write: send from `tail`, later. */
  BUSY: 8,
} as const;

export type AppendStatus = keyof typeof APPEND_STATUS;

const STATUS_NAMES = Object.keys(APPEND_STATUS) as AppendStatus[];

export interface AppendHeader {
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  readonly committedOffset: Offset;
  readonly firstOffset: Offset;
}

export interface Append extends AppendHeader {
  readonly type: 'Append';
  /** A view of the message. */
  readonly batches: Uint8Array;
}

export interface Open {
  readonly type: 'Open';
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  /** A view of the message. */
  readonly producerSnapshot: Uint8Array;
}

export interface AppendAck {
  readonly type: 'AppendAck';
  readonly segmentId: SegmentId;
  readonly token: string;
  readonly diskId: string;
  readonly status: AppendStatus;
  readonly tail: Offset;
  readonly durableTail: Offset;
  readonly committedOffset: Offset;
}

export type ReplicationMessage = Append | AppendAck | Open;

/** The header of an Append; the batches follow as parts of their own, not copied. */
export function encodeAppendHeader(header: AppendHeader): Uint8Array {
  return new ByteWriter(APPEND_HEADER_SIZE_BYTES)
    .u8(REPLICATION_MESSAGE_KIND)
    .u8(TYPE_APPEND)
    .u64(header.segmentId)
    .raw(fromHex(header.token))
    .raw(fromHex(header.diskId))
    .u64(header.committedOffset)
    .u64(header.firstOffset)
    .finish();
}

/** Whether bytes begin as those of `encodeAppendHeader` do. */
export function isAppendHeader(bytes: Uint8Array): boolean {
  return bytes[0] === REPLICATION_MESSAGE_KIND && bytes[1] === TYPE_APPEND;
}

export function encodeOpen(open: Omit<Open, 'type'>): Uint8Array {
  return new ByteWriter(42 + open.producerSnapshot.length)
    .u8(REPLICATION_MESSAGE_KIND)
    .u8(TYPE_OPEN)
    .u64(open.segmentId)
    .raw(fromHex(open.token))
    .raw(fromHex(open.diskId))
    .raw(open.producerSnapshot)
    .finish();
}

export function encodeAppendAck(ack: Omit<AppendAck, 'type'>): Uint8Array {
  return new ByteWriter(APPEND_ACK_SIZE_BYTES)
    .u8(REPLICATION_MESSAGE_KIND)
    .u8(TYPE_APPEND_ACK)
    .u64(ack.segmentId)
    .raw(fromHex(ack.token))
    .raw(fromHex(ack.diskId))
    .u8(APPEND_STATUS[ack.status])
    .u64(ack.tail)
    .u64(ack.durableTail)
    .u64(ack.committedOffset)
    .finish();
}

/** @throws {WalrusError} MALFORMED */
export function decodeReplicationMessage(message: Uint8Array): ReplicationMessage {
  const reader = new ByteReader(message, 'replication message');
  const kind = reader.u8();
  if (kind !== REPLICATION_MESSAGE_KIND) reader.fail(`its kind is ${kind}`);
  const type = reader.u8();
  const head = {
    segmentId: readSegmentId(reader),
    token: toHex(reader.raw(ID_SIZE_BYTES)),
    diskId: toHex(reader.raw(ID_SIZE_BYTES)),
  };
  if (type === TYPE_APPEND) {
    const committedOffset = offset(reader.u64());
    const firstOffset = offset(reader.u64());
    const batches = reader.raw(reader.remaining);
    return { type: 'Append', ...head, committedOffset, firstOffset, batches };
  }
  if (type === TYPE_APPEND_ACK) return { type: 'AppendAck', ...head, ...readAckFields(reader) };
  if (type === TYPE_OPEN)
    return { type: 'Open', ...head, producerSnapshot: reader.raw(reader.remaining) };
  return reader.fail(`its type is ${type}`);
}

function readAckFields(
  reader: ByteReader,
): Pick<AppendAck, 'status' | 'tail' | 'durableTail' | 'committedOffset'> {
  const status = STATUS_NAMES[reader.u8()];
  if (status === undefined) return reader.fail('its status is unknown');
  const fields = {
    status,
    tail: offset(reader.u64()),
    durableTail: offset(reader.u64()),
    committedOffset: offset(reader.u64()),
  };
  reader.end();
  return fields;
}

function readSegmentId(reader: ByteReader): SegmentId {
  const id = reader.u64();
  if (id === 0) reader.fail('its segment id is 0');
  return segmentId(id);
}

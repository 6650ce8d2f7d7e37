/**
 * What nodes say to each other over one connection: frames (frame.ts) whose content is checksummed, first a hello
 * and its answer, then messages in both directions. A message is one-way; requests and responses are messages
 * with a correlation id.
 *
 * Every frame
 *
 * | at | size | field   | notes                            |
 * |----|------|---------|----------------------------------|
 * | 0  | 4    | length  | u32 little-endian: bytes after it |
 * | 4  | 4    | crc     | u32, CRC-32C of the payload      |
 * | 8  |      | payload |                                  |
 *
 * Hello (the payload of the first frame, from the side that connected)
 *
 * | size | field           | notes                                                             |
 * |------|-----------------|-------------------------------------------------------------------|
 * | 4    | magic           | `WLRP`                                                            |
 * | 2    | protocolVersion | u16, PEER_PROTOCOL_VERSION                                        |
 * | 4+n  | clusterId       | u32 length, UTF-8; 32 hex digits, empty for a node that joins     |
 * | 8    | nodeId          | u64                                                               |
 * | 4+n  | address         | u32 length, UTF-8: `host:port` where the sender takes messages    |
 * | 4+n  | softwareVersion | u32 length, UTF-8                                                 |
 *
 * Answer (the payload of the first frame from the other side)
 *
 * | size | field           | notes                                                             |
 * |------|-----------------|-------------------------------------------------------------------|
 * | 4    | magic           | `WLRA`                                                            |
 * | 2    | protocolVersion | u16                                                               |
 * | 2    | errorNumber     | u16; not 0: a refusal (failure.ts), and the connection closes     |
 * | 4+n  | clusterId       | u32 length, UTF-8                                                 |
 * | 8    | nodeId          | u64                                                               |
 * | 4+n  | softwareVersion | u32 length, UTF-8                                                 |
 *
 * Messages (the payload of every further frame)
 *
 * | size | field | notes                                                                            |
 * |------|-------|----------------------------------------------------------------------------------|
 * | 1    | kind  | u8: 1 raft, 2 replication, 3 rpc request, 4 rpc response                         |
 * |      | body  | 1, 2: theirs. 3: u32 correlationId, u16 apiKey, u16 apiVersion, body of the api. |
 * |      |       | 4: u32 correlationId, u16 errorNumber, body of the api or a failure (failure.ts) |
 */
import { ByteReader, ByteWriter, encodeUtf8, withArticle } from '../../base/bytes.ts';
import { combineCrc32c, crc32c } from '../../base/crc32c.ts';
import { WalrusError } from '../../base/errors.ts';
import { KIB } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import { readNodeId } from '../client/codec.ts';
import { NO_ERROR } from '../errorCodes.ts';
import { readFailureBody, writeFailure } from '../failure.ts';
import { FRAME_HEADER_BYTES } from '../frame.ts';
import { BATCH_FIELD, batchSizeOf, crcOf } from '../recordBatch.ts';
import { isAppendHeader } from './append.ts';

/** The version of everything in this folder; both sides must speak the same. */
export const PEER_PROTOCOL_VERSION = 1;
/** The size of a frame without its payload. */
export const PEER_FRAME_HEADER_BYTES = 8;
/** The limit for frames until the hello has been answered, in bytes. */
export const HELLO_FRAME_LIMIT_BYTES = 4096;

/** Below it reading is faster than computing. */
const COMBINED_BYTES_MIN = 16 * KIB;
const CRC_BYTES = PEER_FRAME_HEADER_BYTES - FRAME_HEADER_BYTES;
const HELLO_MAGIC = encodeUtf8('WLRP');
const ANSWER_MAGIC = encodeUtf8('WLRA');
const CLIENT_PORT_ANSWER = encodeUtf8('ERR ');

/** The first byte of every message. */
export const MESSAGE_KIND = { RAFT: 1, REPLICATION: 2, RPC_REQUEST: 3, RPC_RESPONSE: 4 } as const;
export type MessageKind = (typeof MESSAGE_KIND)[keyof typeof MESSAGE_KIND];

/** Makes the header of a frame for a payload in parts; the parts follow it unchanged. */
export function encodePeerFrame(payload: readonly Uint8Array[]): Uint8Array[] {
  const [first] = payload;
  const hasBatches = first !== undefined && isAppendHeader(first);
  let length = 0;
  let crc = 0;
  for (const part of payload) {
    length += part.length;
    crc = hasBatches && part !== first ? continueOverBatches(part, crc) : crc32c(part, crc);
  }
  const header = new ByteWriter(PEER_FRAME_HEADER_BYTES).u32(CRC_BYTES + length).u32(crc);
  return [header.view(), ...payload];
}

/**
 * Continues a checksum over batches, of which each has its own over all but its first bytes: a batch that goes to several
 * members is not read through again for each of them.
 */
function continueOverBatches(batches: Uint8Array, seed: number): number {
  let crc = seed;
  let at = 0;
  while (batches.length - at >= COMBINED_BYTES_MIN) {
    const end = at + batchSizeOf(batches, at);
    const bodyAt = at + BATCH_FIELD.ATTRIBUTES;
    if (end > batches.length || end - bodyAt < COMBINED_BYTES_MIN) break;
    crc = crc32c(batches.subarray(at, bodyAt), crc);
    crc = combineCrc32c(crc, crcOf(batches, at), end - bodyAt);
    at = end;
  }
  return crc32c(batches.subarray(at), crc);
}

/**
 * Checks a frame's content (without the length) and gives its payload as a view.
 * @throws {WalrusError} CONNECTION_FAILED when it is damaged: close the connection, nothing in it can be trusted.
 */
export function openPeerFrame(frame: Uint8Array): Uint8Array {
  if (frame.length < CRC_BYTES) throw damaged(`it has ${frame.length} bytes`);
  const stored = new ByteReader(frame, 'peer frame').u32();
  const payload = frame.subarray(CRC_BYTES);
  const computed = crc32c(payload);
  if (computed !== stored) throw damaged(`its CRC-32C is ${computed}, not ${stored}`);
  return payload;
}

function damaged(problem: string): WalrusError {
  return new WalrusError('CONNECTION_FAILED', `Cannot read a message of a peer: ${problem}`);
}

/** What a node says about itself when it connects. */
export interface PeerHello {
  readonly protocolVersion: number;
  /** 32 hex digits; '' while a joining node does not know it. */
  readonly clusterId: string;
  readonly nodeId: NodeId;
  /** Where the node takes messages: `host:port`. */
  readonly address: string;
  readonly softwareVersion: string;
}

/** Whom a node has reached. */
export interface PeerWelcome {
  readonly protocolVersion: number;
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly softwareVersion: string;
}

/** Encodes a hello as a payload. */
export function encodeHello(hello: PeerHello): Uint8Array {
  const writer = new ByteWriter().raw(HELLO_MAGIC).u16(hello.protocolVersion);
  writer.text(hello.clusterId).u64(hello.nodeId).text(hello.address).text(hello.softwareVersion);
  return writer.finish();
}

/**
 * Reads a hello from the content of a connection's first frame.
 * @throws {WalrusError} MALFORMED when the other side is no Walrus node, UNSUPPORTED_VERSION, CONNECTION_FAILED.
 */
export function decodeHello(frame: Uint8Array): PeerHello {
  const reader = greeting(frame, HELLO_MAGIC, 'hello');
  const protocolVersion = readVersion(reader);
  const hello = {
    protocolVersion,
    clusterId: reader.text(),
    nodeId: readNodeId(reader),
    address: reader.text(),
    softwareVersion: reader.text(),
  };
  reader.end();
  return hello;
}

/** Encodes the answer to a hello as a payload: a welcome, or a refusal after which the connection closes. */
export function encodeHelloAnswer(answer: PeerWelcome | WalrusError): Uint8Array {
  const writer = new ByteWriter().raw(ANSWER_MAGIC);
  if (answer instanceof WalrusError) {
    writeFailure(writer.u16(PEER_PROTOCOL_VERSION), answer);
    return writer.finish();
  }
  writer.u16(answer.protocolVersion).u16(NO_ERROR);
  return writer.text(answer.clusterId).u64(answer.nodeId).text(answer.softwareVersion).finish();
}

/**
 * Reads the answer to a hello from the content of the first frame that came back.
 * @returns the welcome, or the refusal of the other side.
 * @throws {WalrusError} MALFORMED when the other side is no Walrus node, UNSUPPORTED_VERSION, CONNECTION_FAILED.
 */
export function decodeHelloAnswer(frame: Uint8Array): PeerWelcome | WalrusError {
  const reader = greeting(frame, ANSWER_MAGIC, 'answer to a hello');
  const protocolVersion = reader.u16();
  const number = reader.u16();
  if (number !== NO_ERROR) return readFailureBody(reader, number);
  if (protocolVersion !== PEER_PROTOCOL_VERSION) throw unsupported(protocolVersion);
  const welcome = {
    protocolVersion,
    clusterId: reader.text(),
    nodeId: readNodeId(reader),
    softwareVersion: reader.text(),
  };
  reader.end();
  return welcome;
}

/** Whether a connection's first frame is a peer's at all, damaged or not. */
export function isHello(frame: Uint8Array): boolean {
  return hasMagic(frame, HELLO_MAGIC);
}

function hasMagic(frame: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, index) => frame[CRC_BYTES + index] === byte);
}

/** Looks for the magic before the checksum: a stranger is told from a damaged frame. */
function greeting(frame: Uint8Array, magic: Uint8Array, what: string): ByteReader {
  if (!hasMagic(frame, magic)) {
    // A client port takes a hello for a command of the text protocol that it does not know.
    const isClientPort = CLIENT_PORT_ANSWER.every((byte, index) => frame[index] === byte);
    const message = isClientPort
      ? `Cannot read ${withArticle(what)}: the other side is the client port of a Walrus node; give its peer port, 6001 by default`
      : `Cannot read ${withArticle(what)}: the other side is not the peer port of a Walrus node`;
    throw new WalrusError('MALFORMED', message);
  }
  const reader = new ByteReader(openPeerFrame(frame), what);
  reader.raw(magic.length);
  return reader;
}

function readVersion(reader: ByteReader): number {
  const version = reader.u16();
  if (version !== PEER_PROTOCOL_VERSION) throw unsupported(version);
  return version;
}

function unsupported(version: number): WalrusError {
  const spoken = PEER_PROTOCOL_VERSION;
  const message = `Cannot talk to a node with peer protocol ${version}: this one speaks ${spoken}`;
  return new WalrusError('UNSUPPORTED_VERSION', message, { details: { version, spoken } });
}

/** Puts the kind before a message's parts. */
export function encodeMessage(kind: MessageKind, parts: readonly Uint8Array[]): Uint8Array[] {
  return [new Uint8Array([kind]), ...parts];
}

/**
 * Reads the kind of a message.
 * @throws {WalrusError} MALFORMED for an empty message or an unknown kind.
 */
export function messageKindOf(payload: Uint8Array): MessageKind {
  const reader = new ByteReader(payload, 'peer message');
  const kind = reader.u8();
  for (const known of Object.values(MESSAGE_KIND)) if (known === kind) return known;
  return reader.fail(`its kind is ${kind}`);
}

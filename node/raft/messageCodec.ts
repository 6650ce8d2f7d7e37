/**
 * The bytes of Raft messages between servers, little-endian. Counts and indices stay below 2^52, so that
 * sums of them are exact.
 *
 * | bytes | what                                                                  |
 * |-------|-----------------------------------------------------------------------|
 * | 1     | version, 1                                                            |
 * | 1     | type: 1 RequestVote, 2 its response, 3 AppendEntries, 4 its response,  |
 * |       | 5 InstallSnapshot, 6 its response, 7 TimeoutNow, 8 ReadIndexRequest,    |
 * |       | 9 ReadIndexResponse                                                    |
 * | 4 + n | the sender's peer address, UTF-8                                       |
 * | 8     | term                                                                  |
 * | ...   | the fields of the type, below                                          |
 *
 * RequestVote: u8 isPreVote, u8 isTransfer, u64 lastLogIndex, u64 lastLogTerm. Its response: u8 isPreVote,
 * u8 voteGranted. AppendEntries: u64 prevLogIndex, u64 prevLogTerm, u64 leaderCommit, u64 round, u32 count,
 * then each entry: u64 term, u8 type, u32 length, payload. Its response: u64 round, u8 outcome (0 Match:
 * u64 matchIndex; 1 Conflict: u64 rejectedIndex, u64 hintIndex, u64 hintTerm; 2 StaleTerm). InstallSnapshot:
 * u64 index, u64 term, u64 configurationIndex, configuration, u64 sizeBytes, u32 checksum, u64 offset, u32
 * length, data. Its response: u64 round, u64 index, u64 nextOffset. ReadIndexRequest: u64 context. ReadIndexResponse: u64
 * context, u8 hasIndex, u64 index when it has.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { WalrusError } from '../../base/errors.ts';
import { logIndex, term } from '../../base/units.ts';
import type { LogIndex, Term } from '../../base/units.ts';
import { decodeConfiguration, readConfiguration, writeConfiguration } from './configuration.ts';
import { ENTRY_TYPE_NUMBERS, entryTypeOf } from './entry.ts';
import type { Entry } from './entry.ts';
import type {
  AppendEntries,
  AppendEntriesResponse,
  InstallSnapshot,
  InstallSnapshotResponse,
  Message,
  ReadIndexResponse,
  RequestVote,
} from './messages.ts';

export const MESSAGE_VERSION = 1;
const TYPE_NUMBERS = {
  RequestVote: 1,
  RequestVoteResponse: 2,
  AppendEntries: 3,
  AppendEntriesResponse: 4,
  InstallSnapshot: 5,
  InstallSnapshotResponse: 6,
  TimeoutNow: 7,
  ReadIndexRequest: 8,
  ReadIndexResponse: 9,
} as const satisfies Record<Message['type'], number>;
const MATCH = 0;
const CONFLICT = 1;
const STALE_TERM = 2;
const NUMBER_MAX = 2 ** 52;
const ADDRESS_BYTES_MAX = 512;
/** What an entry takes besides its payload. */
const ENTRY_BYTES_MIN = 13;

/** A decoded message with the address under which its sender wants to be reached. */
export interface Received {
  readonly senderAddress: string;
  readonly message: Message;
}

/** The bytes of a message. */
export function encodeMessage(message: Message, senderAddress: string): Uint8Array {
  const writer = new ByteWriter(sizeHint(message));
  writer.u8(MESSAGE_VERSION).u8(TYPE_NUMBERS[message.type]).text(senderAddress).u64(message.term);
  writeFields(writer, message);
  return writer.view();
}

function sizeHint(message: Message): number {
  if (message.type === 'InstallSnapshot') return 1024 + message.data.length;
  if (message.type !== 'AppendEntries') return 128;
  let sizeBytes = 128;
  for (const entry of message.entries) sizeBytes += ENTRY_BYTES_MIN + entry.payload.length;
  return sizeBytes;
}

function writeFields(writer: ByteWriter, message: Message): void {
  switch (message.type) {
    case 'RequestVote':
      writer.bool(message.isPreVote).bool(message.isTransfer);
      writer.u64(message.lastLogIndex).u64(message.lastLogTerm);
      return;
    case 'RequestVoteResponse':
      writer.bool(message.isPreVote).bool(message.voteGranted);
      return;
    case 'AppendEntries':
      writer.u64(message.prevLogIndex).u64(message.prevLogTerm);
      writer.u64(message.leaderCommit).u64(message.round).list(message.entries, writeEntry);
      return;
    case 'AppendEntriesResponse':
      writeOutcome(writer, message);
      return;
    case 'InstallSnapshot':
      writeSnapshot(writer, message);
      return;
    case 'InstallSnapshotResponse':
      writer.u64(message.round).u64(message.index).u64(message.nextOffset);
      return;
    case 'TimeoutNow':
      return;
    case 'ReadIndexRequest':
      writer.u64(message.context);
      return;
    case 'ReadIndexResponse':
      writer.u64(message.context).optional(message.index ?? undefined, (w, index) => w.u64(index));
      return;
  }
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u64(entry.term).u8(ENTRY_TYPE_NUMBERS[entry.type]).bytes(entry.payload);
}

function writeOutcome(writer: ByteWriter, { round, outcome }: AppendEntriesResponse): void {
  writer.u64(round);
  switch (outcome.type) {
    case 'Match':
      writer.u8(MATCH).u64(outcome.matchIndex);
      return;
    case 'Conflict':
      writer.u8(CONFLICT).u64(outcome.rejectedIndex);
      writer.u64(outcome.hintIndex).u64(outcome.hintTerm);
      return;
    case 'StaleTerm':
      writer.u8(STALE_TERM);
      return;
  }
}

function writeSnapshot(writer: ByteWriter, { snapshot, offset, data }: InstallSnapshot): void {
  writer.u64(snapshot.index).u64(snapshot.term).u64(snapshot.configurationIndex);
  writeConfiguration(writer, snapshot.configuration);
  writer.u64(snapshot.sizeBytes).u32(snapshot.checksum).u64(offset).bytes(data);
}

/**
 * Reads a message. Payloads are views of `bytes`.
 * @throws {WalrusError} UNSUPPORTED_VERSION for a version that this build does not know, else MALFORMED.
 */
export function decodeMessage(bytes: Uint8Array): Received {
  const reader = new ByteReader(bytes, 'Raft message');
  const version = reader.u8();
  if (version !== MESSAGE_VERSION)
    throw new WalrusError(
      'UNSUPPORTED_VERSION',
      `Cannot read a Raft message of version ${version}: this build knows ${MESSAGE_VERSION}`,
    );
  const type = reader.u8();
  const senderAddress = reader.text();
  if (senderAddress.length > ADDRESS_BYTES_MAX) reader.fail('the address is too long');
  const message = readFields(reader, type);
  reader.end();
  return { senderAddress, message };
}

function readNumber(reader: ByteReader): number {
  const value = reader.u64();
  if (value > NUMBER_MAX) reader.fail(`a number is over 2^52`);
  return value;
}

function readTerm(reader: ByteReader): Term {
  return term(readNumber(reader));
}

function readIndex(reader: ByteReader): LogIndex {
  return logIndex(readNumber(reader));
}

function readFields(reader: ByteReader, type: number): Message {
  const term = readTerm(reader);
  switch (type) {
    case TYPE_NUMBERS.RequestVote:
      return readRequestVote(reader, term);
    case TYPE_NUMBERS.RequestVoteResponse: {
      const [isPreVote, voteGranted] = [reader.bool(), reader.bool()];
      return { type: 'RequestVoteResponse', term, isPreVote, voteGranted };
    }
    case TYPE_NUMBERS.AppendEntries:
      return readAppendEntries(reader, term);
    case TYPE_NUMBERS.AppendEntriesResponse:
      return readAppendEntriesResponse(reader, term);
    case TYPE_NUMBERS.InstallSnapshot:
      return readInstallSnapshot(reader, term);
    case TYPE_NUMBERS.InstallSnapshotResponse:
      return readInstallSnapshotResponse(reader, term);
    case TYPE_NUMBERS.TimeoutNow:
      return { type: 'TimeoutNow', term };
    case TYPE_NUMBERS.ReadIndexRequest:
      return { type: 'ReadIndexRequest', term, context: reader.u64() };
    case TYPE_NUMBERS.ReadIndexResponse:
      return readReadIndexResponse(reader, term);
    default:
      return reader.fail(`its type ${type} is unknown`);
  }
}

function readRequestVote(reader: ByteReader, term: Term): RequestVote {
  const [isPreVote, isTransfer] = [reader.bool(), reader.bool()];
  const [lastLogIndex, lastLogTerm] = [readIndex(reader), readTerm(reader)];
  return { type: 'RequestVote', term, isPreVote, isTransfer, lastLogIndex, lastLogTerm };
}

function readEntry(reader: ByteReader): Entry {
  const term = readTerm(reader);
  const number = reader.u8();
  const type = entryTypeOf(number);
  if (type === undefined) return reader.fail(`an entry has the unknown type ${number}`);
  const payload = reader.bytes();
  const configuration = type === 'Configuration' ? decodeConfiguration(payload) : null;
  return { term, type, payload, configuration };
}

function readAppendEntries(reader: ByteReader, term: Term): AppendEntries {
  const prevLogIndex = readIndex(reader);
  let lastTerm = readTerm(reader);
  const prevLogTerm = lastTerm;
  const [leaderCommit, round] = [readIndex(reader), readNumber(reader)];
  const entries = reader.list(readEntry);
  for (const entry of entries) {
    if (entry.term < lastTerm || entry.term > term) reader.fail('the terms of its entries fall');
    lastTerm = entry.term;
  }
  return { type: 'AppendEntries', term, prevLogIndex, prevLogTerm, leaderCommit, round, entries };
}

function readAppendEntriesResponse(reader: ByteReader, term: Term): AppendEntriesResponse {
  const round = readNumber(reader);
  return { type: 'AppendEntriesResponse', term, round, outcome: readOutcome(reader) };
}

function readOutcome(reader: ByteReader): AppendEntriesResponse['outcome'] {
  const number = reader.u8();
  switch (number) {
    case MATCH:
      return { type: 'Match', matchIndex: readIndex(reader) };
    case CONFLICT: {
      const [rejectedIndex, hintIndex] = [readIndex(reader), readIndex(reader)];
      return { type: 'Conflict', rejectedIndex, hintIndex, hintTerm: readTerm(reader) };
    }
    case STALE_TERM:
      return { type: 'StaleTerm' };
    default:
      return reader.fail(`its outcome ${number} is unknown`);
  }
}

function readInstallSnapshot(reader: ByteReader, messageTerm: Term): InstallSnapshot {
  const [index, snapshotTerm, configurationIndex] = [
    readIndex(reader),
    readTerm(reader),
    readIndex(reader),
  ];
  const configuration = readConfiguration(reader);
  const [sizeBytes, checksum, offset] = [readNumber(reader), reader.u32(), readNumber(reader)];
  const data = reader.bytes();
  if (offset + data.length > sizeBytes) reader.fail('a chunk goes beyond the end of the snapshot');
  return {
    type: 'InstallSnapshot',
    term: messageTerm,
    snapshot: { index, term: snapshotTerm, configuration, configurationIndex, sizeBytes, checksum },
    offset,
    data,
  };
}

function readInstallSnapshotResponse(reader: ByteReader, term: Term): InstallSnapshotResponse {
  const [round, index, nextOffset] = [readNumber(reader), readIndex(reader), readNumber(reader)];
  return { type: 'InstallSnapshotResponse', term, round, index, nextOffset };
}

function readReadIndexResponse(reader: ByteReader, term: Term): ReadIndexResponse {
  const context = reader.u64();
  const index = reader.optional(readIndex) ?? null;
  return { type: 'ReadIndexResponse', term, context, index };
}

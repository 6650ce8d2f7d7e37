/**
 * The text protocol, compatible with that of the Rust project of the same name: one command a frame (frame.ts),
 * one reply a frame, replies in the order of the commands.
 *
 * | command           | replies                                  |
 * |-------------------|------------------------------------------|
 * | REGISTER t        | `OK`                                     |
 * | PUT t payload     | `OK`                                     |
 * | GET t             | `OK payload`, or `EMPTY`                 |
 * | STATE t           | a JSON object, without `OK` before it    |
 * | METRICS           | a JSON object, without `OK` before it    |
 * | any               | `ERR message`                            |
 *
 * A payload is every byte after the one space that follows the topic, so it may be empty, end in spaces and hold
 * anything. White space at the end of the other commands is ignored.
 */
import { decodeUtf8Lossy, encodeUtf8 } from '../base/bytes.ts';
import { ERROR_CODES, WalrusError } from '../base/errors.ts';
import type { ErrorCode } from '../base/errors.ts';
import { FRAME_HEADER_BYTES } from './frame.ts';
import { nameProblem } from './topicName.ts';

export const TEXT_COMMANDS = ['REGISTER', 'PUT', 'GET', 'STATE', 'METRICS'] as const;
export type TextCommandWord = (typeof TEXT_COMMANDS)[number];

/** A command as the frame says it. `INVALID` carries the message of the `ERR` reply. */
export type TextCommand =
  | { readonly type: 'REGISTER' | 'GET' | 'STATE'; readonly topic: string }
  | { readonly type: 'PUT'; readonly topic: string; readonly payload: Uint8Array }
  | { readonly type: 'METRICS' }
  | { readonly type: 'INVALID'; readonly message: string };

/** A reply, by its meaning. */
export type TextReply =
  | { readonly type: 'OK' }
  /** `OK payload`: what GET answers. */
  | { readonly type: 'VALUE'; readonly payload: Uint8Array }
  | { readonly type: 'EMPTY' }
  /** What STATE and METRICS answer. */
  | { readonly type: 'JSON'; readonly text: string }
  | { readonly type: 'ERR'; readonly message: string };

/** What `STATE t` answers: the ancestor's fields first, more may follow. Keys are segment numbers. */
export interface TextTopicState {
  readonly current_segment: number;
  readonly leader_node: number;
  /** Records in all sealed segments together: the offset at which the current segment begins. */
  readonly last_sealed_entry_offset: number;
  /** Records of each sealed segment. */
  readonly sealed_segments: Readonly<Record<string, number>>;
  /** The leader of each segment, the current one included. */
  readonly segment_leaders: Readonly<Record<string, number>>;
  /** The nodes whose copy of a segment is damaged; only segments that have any. */
  readonly damaged_copies: Readonly<Record<string, readonly number[]>>;
}

/** What `METRICS` answers: the ancestor's fields that its clients read, more may follow. */
export interface TextMetrics {
  readonly id: number;
  readonly current_term: number;
  readonly state: 'Leader' | 'Follower' | 'Candidate' | 'Learner';
  readonly current_leader: number | null;
  readonly last_log_index: number | null;
  readonly last_applied: { readonly index: number } | null;
  readonly membership_config: {
    readonly membership: {
      /** The voters as a list in a list (the ancestor's joint configurations). */
      readonly configs: readonly (readonly number[])[];
      /** Every member, by node id. */
      readonly nodes: Readonly<Record<string, unknown>>;
    };
  };
  /** On the leader: how far each node's log is known to reach, the leader itself included. */
  readonly replication: Readonly<Record<string, { readonly index: number } | null>> | null;
}

const SPACE = 0x20;
const NO_BYTES = new Uint8Array(0);
const OK = encodeUtf8('OK');
const OK_SPACE = encodeUtf8('OK ');
const EMPTY = encodeUtf8('EMPTY');
const ERR = 'ERR ';
/** How much of a command that is not understood is repeated in the error. */
const SHOWN_MAX = 40;

/** Reads a command from a frame's content. A PUT's payload is a view of it. */
export function parseTextCommand(frame: Uint8Array): TextCommand {
  if (frame.length === 0) return invalid('invalid frame length: a command has at least one byte');
  const wordEnd = endOfWord(frame, 0);
  const word = commandWord(frame, wordEnd);
  if (word === undefined) return unknownCommand(frame.subarray(0, wordEnd));
  if (word === 'METRICS') {
    return rest(frame, wordEnd) === '' ? { type: 'METRICS' } : invalid('METRICS takes no topic');
  }
  return word === 'PUT' ? parsePut(frame, wordEnd) : parseTopicCommand(frame, wordEnd, word);
}

function parseTopicCommand(
  frame: Uint8Array,
  wordEnd: number,
  type: 'REGISTER' | 'GET' | 'STATE',
): TextCommand {
  const topic = rest(frame, wordEnd);
  if (topic === '') return invalid(`${type} requires a topic`);
  if (topic.includes(' ')) return invalid(`${type} takes one topic, without spaces`);
  return checkTopic(topic) ?? { type, topic };
}

function parsePut(frame: Uint8Array, wordEnd: number): TextCommand {
  const topicEnd = endOfWord(frame, wordEnd + 1);
  const hasPayload = topicEnd < frame.length;
  const word = latin1(frame, Math.min(wordEnd + 1, frame.length), topicEnd);
  const topic = hasPayload ? word : word.trimEnd();
  if (topic === '') return invalid('PUT requires a topic');
  if (!hasPayload) return checkTopic(topic) ?? invalid('PUT requires a payload');
  return checkTopic(topic) ?? { type: 'PUT', topic, payload: frame.subarray(topicEnd + 1) };
}

function checkTopic(topic: string): TextCommand | null {
  const problem = nameProblem(topic);
  if (problem === null) return null;
  const shown = shorten(decodeUtf8Lossy(Uint8Array.from(topic, (each) => each.charCodeAt(0))));
  return invalid(`invalid topic name "${shown}": ${problem}`);
}

/** The position of the next space, or the end of the frame. */
function endOfWord(frame: Uint8Array, from: number): number {
  const at = frame.indexOf(SPACE, from);
  return at < 0 ? frame.length : at;
}

/** Bytes as characters, one each: a name with any other than ASCII is refused afterwards. */
function latin1(frame: Uint8Array, from: number, to: number): string {
  // A name that is too long is refused; its first part is enough to say so.
  return String.fromCharCode(...frame.subarray(from, Math.min(to, from + 512)));
}

/** What follows a command word, without white space at its end. */
function rest(frame: Uint8Array, wordEnd: number): string {
  return latin1(frame, Math.min(wordEnd + 1, frame.length), frame.length).trimEnd();
}

function commandWord(frame: Uint8Array, wordEnd: number): TextCommandWord | undefined {
  if (wordEnd > SHOWN_MAX) return undefined;
  const word = latin1(frame, 0, wordEnd).trimEnd();
  return TEXT_COMMANDS.find((known) => known === word);
}

function invalid(message: string): TextCommand {
  return { type: 'INVALID', message };
}

function unknownCommand(word: Uint8Array): TextCommand {
  const shown = shorten(decodeUtf8Lossy(word.subarray(0, 4 * SHOWN_MAX)));
  return invalid(`unknown command "${shown}": known are ${TEXT_COMMANDS.join(', ')}`);
}

/** Text of others in a message of ours: short, and without control characters. */
function shorten(text: string): string {
  const plain = text.replace(/\p{Cc}/gu, '?');
  return plain.length > SHOWN_MAX ? `${plain.slice(0, SHOWN_MAX)}...` : plain;
}

/** The text of the `ERR` for a frame over the limit; the connection closes after it. */
export function oversizeMessage(sizeBytes: number, limitBytes: number): string {
  return `invalid frame length: ${sizeBytes} bytes, the limit is ${limitBytes}`;
}

const CODE_AT_END = / \(([A-Z_]+)\)$/;
/** What texts begin with that carry no code: those of the ancestor. */
const BEGINNINGS: readonly (readonly [string, ErrorCode])[] = [
  ['unknown topic ', 'TOPIC_NOT_FOUND'],
  ['invalid topic name ', 'INVALID_TOPIC_NAME'],
  ['unknown command ', 'UNKNOWN_COMMAND'],
  ['invalid frame length: a command', 'MALFORMED'],
  ['invalid frame length', 'TOO_LARGE'],
  ['overloaded', 'OVERLOADED'],
];

/** The text of the `ERR` for a failure: with its code at the end, where the beginning does not tell it. */
export function failureText({ code, message }: WalrusError): string {
  return codeByBeginning(message) === code ? message : `${message} (${code})`;
}

/** The failure that the text of an `ERR` tells of; a text without a code is about the command: MALFORMED. */
export function failureOfText(text: string): WalrusError {
  const code = CODE_AT_END.exec(text)?.[1];
  if (code !== undefined && Object.hasOwn(ERROR_CODES, code)) {
    return new WalrusError(code as ErrorCode, text.replace(CODE_AT_END, ''));
  }
  return new WalrusError(codeByBeginning(text) ?? 'MALFORMED', text);
}

function codeByBeginning(text: string): ErrorCode | undefined {
  return BEGINNINGS.find(([beginning]) => text.startsWith(beginning))?.[1];
}

/** The text of the `ERR` for a topic that does not exist. */
export function unknownTopicMessage(topic: string): string {
  return `unknown topic ${topic}`;
}

/** A framed reply: its length field and content. */
export function encodeTextReply(reply: TextReply): Uint8Array<ArrayBuffer> {
  const prefix = reply.type === 'VALUE' ? OK_SPACE : NO_BYTES;
  return frameOf(prefix, replyContent(reply));
}

function replyContent(reply: TextReply): Uint8Array {
  switch (reply.type) {
    case 'OK':
      return OK;
    case 'VALUE':
      return reply.payload;
    case 'EMPTY':
      return EMPTY;
    case 'JSON':
      return encodeUtf8(reply.text);
    case 'ERR':
      return encodeUtf8(ERR + reply.message);
  }
}

/** A framed command, as a client sends it. */
export function encodeTextCommand(
  command: Exclude<TextCommand, { type: 'INVALID' }>,
): Uint8Array<ArrayBuffer> {
  switch (command.type) {
    case 'METRICS':
      return frameOf(NO_BYTES, encodeUtf8(command.type));
    case 'PUT':
      return frameOf(encodeUtf8(`PUT ${command.topic} `), command.payload);
    case 'REGISTER':
    case 'GET':
    case 'STATE':
      return frameOf(NO_BYTES, encodeUtf8(`${command.type} ${command.topic}`));
  }
}

function frameOf(prefix: Uint8Array, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = prefix.length + content.length;
  const frame = new Uint8Array(FRAME_HEADER_BYTES + length);
  frame[0] = length;
  frame[1] = length >>> 8;
  frame[2] = length >>> 16;
  frame[3] = length >>> 24;
  frame.set(prefix, FRAME_HEADER_BYTES);
  frame.set(content, FRAME_HEADER_BYTES + prefix.length);
  return frame;
}

/**
 * Reads a reply from a frame's content, as a client does. A VALUE's payload is a view of it.
 * Whatever is none of the words is a JSON text.
 */
export function parseTextReply(frame: Uint8Array): TextReply {
  const start = latin1(frame, 0, Math.min(frame.length, 6));
  if (start === 'OK') return { type: 'OK' };
  if (start.startsWith('OK ')) return { type: 'VALUE', payload: frame.subarray(3) };
  if (start === 'EMPTY') return { type: 'EMPTY' };
  const text = decodeUtf8Lossy(frame);
  if (start.startsWith('ERR')) return { type: 'ERR', message: text.slice(ERR.length) };
  return { type: 'JSON', text };
}

/**
 * What every request of the binary protocol is made of, and the fields that many of them share.
 * Integers are little-endian. text = u32 length, UTF-8; bytes = u32 length, bytes; list = u32 count, items;
 * optional = u8 0 or 1, then the value; bool = u8 0 or 1.
 */
import type { ByteReader } from '../../base/bytes.ts';
import { ByteWriter } from '../../base/bytes.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import { checkTopicName, nameProblem } from '../topicName.ts';

/** Writes a body; large bytes at its end stay parts of their own, so that they are not copied. */
export class BodyWriter extends ByteWriter {
  readonly #tail: Uint8Array[] = [];
  #tailBytes = 0;

  /** Adds bytes after everything that is written, now or later. They must not change afterwards. */
  appendTail(bytes: Uint8Array): void {
    this.#tail.push(bytes);
    this.#tailBytes += bytes.length;
  }

  /** The size of the whole body. */
  get totalBytes(): number {
    return this.length + this.#tailBytes;
  }

  /** The body as parts, in order. */
  parts(): Uint8Array[] {
    return [this.finish(), ...this.#tail];
  }
}

/** One request and its response, in one version. */
export interface Api<Request, Response> {
  readonly apiKey: number;
  readonly name: string;
  /** The versions that this build speaks, both included. */
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly writeRequest: (writer: BodyWriter, request: Request) => void;
  /** Byte fields of what is read are views of the input. */
  readonly readRequest: (reader: ByteReader) => Request;
  readonly writeResponse: (writer: BodyWriter, response: Response) => void;
  readonly readResponse: (reader: ByteReader) => Response;
}

/** An api whatever its types: what a registry holds. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- requests differ, and both directions use them
export type AnyApi = Api<any, any>;

/** A request or response without fields. */
export type Empty = Readonly<Record<string, never>>;
export const EMPTY: Empty = Object.freeze({});

/** Writes nothing. */
export function writeEmpty(): void {
  // no fields
}

/** Reads nothing. */
export function readEmpty(): Empty {
  return EMPTY;
}

export function readOffset(reader: ByteReader): Offset {
  return reader.u64() as Offset;
}

export function readNodeId(reader: ByteReader): NodeId {
  const value = reader.u64();
  if (value < 1) reader.fail(`a node id is ${value}`);
  return value as NodeId;
}

export function readSegmentId(reader: ByteReader): SegmentId {
  const value = reader.u64();
  if (value < 1) reader.fail(`a segment id is ${value}`);
  return value as SegmentId;
}

/** @throws {WalrusError} INVALID_TOPIC_NAME for what no topic can be called. */
export function readTopicName(reader: ByteReader): string {
  const name = reader.text();
  checkTopicName(name);
  return name;
}

/** @throws {WalrusError} MALFORMED for what no group can be called: the rules are those of topics. */
export function readGroupName(reader: ByteReader): string {
  const name = reader.text();
  const problem = nameProblem(name);
  if (problem !== null) reader.fail(`the group name is invalid: ${problem}`);
  return name;
}

/** Reads a value that is one of a list, by its index. */
export function readChoice<T>(reader: ByteReader, choices: readonly T[], what: string): T {
  const index = reader.u8();
  const choice = choices[index];
  if (choice === undefined) return reader.fail(`${what} is ${index}`);
  return choice;
}

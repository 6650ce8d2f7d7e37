/** Bytes without Buffer: comparison, text, and bounds-checked readers and writers (little-endian). */
import { assert } from './assert.ts';
import { WalrusError } from './errors.ts';
import { isCount } from './units.ts';

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lossyDecoder = new TextDecoder('utf-8', { ignoreBOM: true });

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** @throws {WalrusError} MALFORMED when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new WalrusError('MALFORMED', 'Cannot read text: the bytes are not valid UTF-8', {
      cause,
    });
  }
}

/** Text for people: what is not UTF-8 becomes U+FFFD. */
export function decodeUtf8Lossy(bytes: Uint8Array): string {
  return lossyDecoder.decode(bytes);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Lower-case hex, two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** @throws {WalrusError} MALFORMED unless `text` is an even number of hex digits. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) {
    throw new WalrusError(
      'MALFORMED',
      'Cannot read hex: it must be an even number of digits 0-9a-f',
    );
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1)
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Writes fields one after the other into a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length = at + count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length));
      grown.set(this.#bytes.subarray(0, at));
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): this {
    assert(isCount(value) && value <= 0xff, `A u8 must be in 0..255, is ${value}`);
    const at = this.#reserve(1); // may replace #view
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    assert(isCount(value) && value <= 0xffff, `A u16 must be in 0..65535, is ${value}`);
    const at = this.#reserve(2); // may replace #view
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    assert(isCount(value) && value <= 0xffffffff, `A u32 must be in 0..2^32-1, is ${value}`);
    const at = this.#reserve(4); // may replace #view
    this.#view.setUint32(at, value, true);
    return this;
  }

  /** A count, offset or index in 0..2^53-1, as eight bytes. */
  u64(value: number): this {
    assert(isCount(value), `A u64 must be in 0..2^53-1, is ${value}`);
    const at = this.#reserve(8);
    this.#view.setUint32(at, value % 2 ** 32, true);
    this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
    return this;
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** Bytes without a length. */
  raw(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Bytes after their u32 length. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** UTF-8 text after its u32 length in bytes. */
  text(text: string): this {
    return this.bytes(encodeUtf8(text));
  }

  /** A list after its u32 count. */
  list<T>(items: readonly T[], writeItem: (writer: ByteWriter, item: T) => void): this {
    this.u32(items.length);
    for (const item of items) writeItem(this, item);
    return this;
  }

  /** A value that may be absent, after a bool. */
  optional<T>(value: T | undefined, writeValue: (writer: ByteWriter, value: T) => void): this {
    this.bool(value !== undefined);
    if (value !== undefined) writeValue(this, value);
    return this;
  }

  /** Overwrites a u32 that was written before, for lengths known late. */
  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.#length, 'patchU32() must stay within what was written');
    this.#view.setUint32(at, value, true);
  }

  /** The bytes so far, copied. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** The bytes so far, as a view that the next write may invalidate. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }
}

/** Reads fields one after the other; input that is too short or wrong is MALFORMED, never undefined. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #at = 0;

  /** @param what - What is read, for messages: "Raft snapshot". */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  #take(count: number): number {
    if (count > this.remaining) {
      this.fail(`it needs ${count} more bytes at ${this.#at} and has ${this.remaining}`);
    }
    const at = this.#at;
    this.#at = at + count;
    return at;
  }

  /** @throws {WalrusError} MALFORMED, always. */
  fail(problem: string): never {
    throw new WalrusError('MALFORMED', `Cannot read ${withArticle(this.#what)}: ${problem}`);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high >= 2 ** 21) this.fail(`a number at ${at} is over 2^53-1`);
    return high * 2 ** 32 + this.#view.getUint32(at, true);
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) this.fail(`a boolean at ${this.#at - 1} is ${value}, not 0 or 1`);
    return value === 1;
  }

  /** A view of the next `length` bytes; not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** A view of bytes after their u32 length. */
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  text(): string {
    return decodeUtf8(this.bytes());
  }

  /** A list after its u32 count; every item must take at least one byte, so the count is bounded by the input. */
  list<T>(readItem: (reader: ByteReader) => T): T[] {
    const count = this.u32();
    if (count > this.remaining)
      this.fail(`a list of ${count} items does not fit into ${this.remaining} bytes`);
    const items: T[] = [];
    for (let i = 0; i < count; i += 1) items.push(readItem(this));
    return items;
  }

  optional<T>(readValue: (reader: ByteReader) => T): T | undefined {
    return this.bool() ? readValue(this) : undefined;
  }

  /** @throws {WalrusError} MALFORMED when bytes are left over. */
  end(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes are left over`);
  }
}

/** A thing in a sentence: "a frame", "an answer". */
export function withArticle(what: string): string {
  return /^[aeio]/i.test(what) ? `an ${what}` : `a ${what}`;
}

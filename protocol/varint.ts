/**
 * Zigzag varints as in Kafka's records (and Protocol Buffers' sint32 and sint64): seven bits a byte, low ones
 * first, the top bit set on all bytes but the last. 32-bit values take 1..5 bytes, 64-bit ones 1..10.
 * 64-bit values are numbers here, exact in -2^53+1..2^53-1; anything beyond is refused.
 */
import { assert } from '../base/assert.ts';
import { WalrusError } from '../base/errors.ts';

/** Values whose zigzag form fits into 32 unsigned bits: -2^31..2^31-1. */
function isInt32(value: number): boolean {
  return (value | 0) === value;
}

/** The zigzag form of a safe integer beyond 32 bits, as a number; exact below 2^53. */
const MAX_WIDE = 2 ** 52;

/** How many bytes `writeVarint` takes for an integer in -2^31..2^31-1. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

/** How many bytes `writeVarlong` takes for an integer in -2^52..2^52-1. */
export function varlongSize(value: number): number {
  if (isInt32(value)) return varintSize(value);
  let size = 1;
  for (let rest = zigzagWide(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

/** Writes an integer in -2^31..2^31-1 and returns the position after it. The caller has made room. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  if (rest < 0x80) {
    bytes[at] = rest;
    return at + 1;
  }
  if (rest < 0x4000) {
    bytes[at] = rest | 0x80;
    bytes[at + 1] = rest >>> 7;
    return at + 2;
  }
  let position = at;
  while (rest >= 0x80) {
    bytes[position] = rest | 0x80;
    position += 1;
    rest >>>= 7;
  }
  bytes[position] = rest;
  return position + 1;
}

/** Writes an integer in -2^52..2^52-1 and returns the position after it. The caller has made room. */
export function writeVarlong(bytes: Uint8Array, at: number, value: number): number {
  if (isInt32(value)) return writeVarint(bytes, at, value);
  let rest = zigzagWide(value);
  let position = at;
  while (rest >= 0x80) {
    bytes[position] = (rest % 0x80) | 0x80;
    position += 1;
    rest = Math.floor(rest / 0x80);
  }
  bytes[position] = rest;
  return position + 1;
}

function zigzagWide(value: number): number {
  assert(Number.isSafeInteger(value), `A varlong must be an integer, is ${value}`);
  assert(value >= -MAX_WIDE && value < MAX_WIDE, `A varlong must be in -2^52..2^52-1, is ${value}`);
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

/** Reads varints one after the other from a range of bytes, without allocating. */
export class VarintCursor {
  readonly bytes: Uint8Array;
  /** The next byte to read. */
  at: number;
  /** The end of what may be read, exclusive. */
  limit: number;

  constructor(bytes: Uint8Array, at: number, limit: number) {
    this.bytes = bytes;
    this.at = at;
    this.limit = limit;
  }

  /**
   * Reads an integer of 32 bits.
   * @throws {WalrusError} CORRUPT_BATCH when it is cut off or too long.
   */
  varint(): number {
    const first = this.#byte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const next = this.#byte();
      if (shift === 28 && next > 0x0f) break; // beyond 32 bits
      value |= (next & 0x7f) << shift;
      if (next < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    return this.fail('a varint is longer than 32 bits');
  }

  /**
   * Reads an integer of 64 bits.
   * @throws {WalrusError} CORRUPT_BATCH when it is cut off, too long or beyond 2^53.
   */
  varlong(): number {
    const first = this.#byte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    let scale = 0x80;
    for (let count = 1; count < 10; count += 1) {
      const next = this.#byte();
      value += (next & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) break;
      if (next < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      scale *= 0x80;
    }
    return this.fail('a varlong is longer than 64 bits or beyond 2^52');
  }

  /** Reads one signed byte. */
  int8(): number {
    return (this.#byte() << 24) >> 24;
  }

  /**
   * Steps over `length` bytes and returns where they began.
   * @throws {WalrusError} CORRUPT_BATCH when fewer are left.
   */
  skip(length: number): number {
    const at = this.at;
    if (length > this.limit - at)
      this.fail(`${length} bytes are announced and ${this.limit - at} left`);
    this.at = at + length;
    return at;
  }

  /** @throws {WalrusError} CORRUPT_BATCH, always. */
  fail(problem: string): never {
    throw new WalrusError('CORRUPT_BATCH', `Cannot read a record at byte ${this.at}: ${problem}`);
  }

  #byte(): number {
    const at = this.at;
    if (at >= this.limit) this.fail('it is cut off');
    this.at = at + 1;
    return this.bytes[at] as number;
  }
}

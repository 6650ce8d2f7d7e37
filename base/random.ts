/** Randomness, as a parameter. The real one is in node/io; the seeded one below drives tests and Raft. */
import { assert } from './assert.ts';
import { toHex } from './bytes.ts';

export interface Random {
  /** A uniform integer in 0..2^32-1. */
  uint32(): number;
}

/** A uniform integer in `min..max`, both included. Requires `max - min < 2^32`. */
export function between(random: Random, min: number, max: number): number {
  assert(min <= max, `between() needs min <= max, got ${min} and ${max}`);
  const span = max - min + 1;
  assert(span <= 2 ** 32, `between() spans at most 2^32 values, got ${span}`);
  return min + Math.floor((random.uint32() / 2 ** 32) * span);
}

/** True with the given probability (0..1). */
export function chance(random: Random, probability: number): boolean {
  return random.uint32() / 2 ** 32 < probability;
}

/** One element of a list that is not empty. */
export function pick<T>(random: Random, items: readonly T[]): T {
  assert(items.length > 0, 'pick() needs at least one element');
  return items[between(random, 0, items.length - 1)] as T;
}

/** `length` random bytes. */
export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = random.uint32() & 0xff;
  return bytes;
}

/** `length` random bytes in lower-case hex: 16 for a disk id or a session token. */
export function randomHex(random: Random, length: number): string {
  return toHex(randomBytes(random, length));
}

/**
 * A small seeded generator (mulberry32): fast, reproducible, not for secrets.
 * @see Tommy Ettinger's mulberry32, public domain
 */
export class SeededRandom implements Random {
  #state: number;

  /** @param seed - Any integer; its low 32 bits count. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** A generator of its own, so that one consumer's draws do not shift another's. */
  fork(): SeededRandom {
    return new SeededRandom(this.uint32());
  }
}

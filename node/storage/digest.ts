/**
 * The digest of a replica: 64 bits, chained over (baseOffset, record count, crc) of its batches. It sees accidents,
 * not attackers. Two lanes of 32 bits, each a MurmurHash3 round per word with the other lane as its first word.
 */

/** A digest; mutable, so that an append makes no objects. Both halves are unsigned. */
export interface Digest {
  high: number;
  low: number;
}

/** The digest of a replica without batches. */
export function emptyDigest(): Digest {
  return { high: 0, low: 0 };
}

function round(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = hash ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Continues `digest` over one batch, in place. */
export function chainDigest(digest: Digest, baseOffset: number, count: number, crc: number): void {
  const offsetLow = baseOffset >>> 0;
  const offsetHigh = Math.floor(baseOffset / 2 ** 32);
  const high = round(round(round(round(digest.high, crc), offsetLow), count), offsetHigh);
  const low = round(round(round(round(digest.low, offsetLow), offsetHigh), crc), count);
  const oldHigh = digest.high;
  digest.high = finish(round(high, digest.low));
  digest.low = finish(round(low, oldHigh ^ 0x9e3779b9));
}

/** 16 hex digits. */
export function formatDigest(digest: Digest): string {
  return digest.high.toString(16).padStart(8, '0') + digest.low.toString(16).padStart(8, '0');
}

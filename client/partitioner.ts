/** Which partition a record with a key belongs to: the same for every client, and the one that Kafka's choose. */

const SEED = 0x9747b28c;
const MIX = 0x5bd1e995;

/** MurmurHash2, 32 bits, as Kafka's default partitioner uses it. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  let hash = (SEED ^ length) | 0;
  const whole = length - (length % 4);
  for (let i = 0; i < whole; i += 4) {
    let k =
      at(bytes, i) | (at(bytes, i + 1) << 8) | (at(bytes, i + 2) << 16) | (at(bytes, i + 3) << 24);
    k = Math.imul(k, MIX);
    k ^= k >>> 24;
    hash = Math.imul(hash, MIX) ^ Math.imul(k, MIX);
  }
  const rest = length - whole;
  if (rest >= 3) hash ^= at(bytes, whole + 2) << 16;
  if (rest >= 2) hash ^= at(bytes, whole + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ at(bytes, whole), MIX);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MIX);
  return hash ^ (hash >>> 15);
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

/** The partition of a key. */
export function partitionOf(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount;
}

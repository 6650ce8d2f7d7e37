/**
 * CRC-32C (Castagnoli), reflected, polynomial 0x1EDC6F41, as in RFC 3720 and Kafka's record batches.
 * Portable, eight bytes a step; node/io and client/io install the native one at start.
 */

/** Continues a checksum (`seed`, 0 at the start) over bytes. */
export type Crc32c = (bytes: Uint8Array, seed: number) => number;

const POLYNOMIAL = 0x82f63b78;
const TABLES = makeTables();

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let slice = 1; slice < 8; slice += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const below = tables[(slice - 1) * 256 + byte] as number;
      tables[slice * 256 + byte] = (below >>> 8) ^ (tables[below & 0xff] as number);
    }
  }
  return tables;
}

/** An element at an index that is known to be in range (inlined by the compiler). */
function at(array: ArrayLike<number>, index: number): number {
  return array[index] as number;
}

/** The portable checksum, always the same as the native one (tested). */
export function portableCrc32c(bytes: Uint8Array, seed: number): number {
  const length = bytes.length;
  let crc = ~seed;
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    const low =
      crc ^
      (at(bytes, i) |
        (at(bytes, i + 1) << 8) |
        (at(bytes, i + 2) << 16) |
        (at(bytes, i + 3) << 24));
    crc =
      at(TABLES, 1792 + (low & 0xff)) ^
      at(TABLES, 1536 + ((low >>> 8) & 0xff)) ^
      at(TABLES, 1280 + ((low >>> 16) & 0xff)) ^
      at(TABLES, 1024 + (low >>> 24)) ^
      at(TABLES, 768 + at(bytes, i + 4)) ^
      at(TABLES, 512 + at(bytes, i + 5)) ^
      at(TABLES, 256 + at(bytes, i + 6)) ^
      at(TABLES, at(bytes, i + 7));
  }
  for (; i < length; i += 1) crc = (crc >>> 8) ^ at(TABLES, (crc ^ at(bytes, i)) & 0xff);
  return ~crc >>> 0;
}

/** x^0 and x^1, reflected: the highest bit is the coefficient of x^0. */
const ONE = 0x80000000;
const X = 0x40000000;
/** x^(2^k) modulo the polynomial. */
const POWERS = makePowers();

function makePowers(): Int32Array {
  const powers = new Int32Array(32);
  powers[0] = X;
  for (let k = 1; k < powers.length; k += 1) {
    powers[k] = multiply(powers[k - 1] as number, powers[k - 1] as number);
  }
  return powers;
}

/** The product of two polynomials modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product;
}

/**
 * The CRC-32C of two byte strings one after the other, from the CRC of each and the length of the second (below 2^28),
 * without reading them again. About a microsecond.
 */
export function combineCrc32c(first: number, second: number, secondLength: number): number {
  let shift = ONE;
  let k = 3; // bytes have eight bits
  for (let left = secondLength; left > 0; left >>>= 1) {
    if ((left & 1) !== 0) shift = multiply(POWERS[k] as number, shift);
    k += 1;
  }
  return (multiply(shift, first) ^ second) >>> 0;
}

let implementation: Crc32c = portableCrc32c;

/** Installs a faster implementation of the same function; called once at process start. */
export function installCrc32c(native: Crc32c): void {
  implementation = native;
}

/** The CRC-32C of `bytes`, as an unsigned 32-bit number; `seed` continues an earlier one. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return implementation(bytes, seed);
}

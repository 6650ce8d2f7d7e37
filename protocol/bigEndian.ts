/**
 * Big-endian integers at a position, without a DataView: record batches keep Kafka's byte order.
 * The caller has checked the bounds. 64-bit values become numbers: exact in -2^53..2^53, rounded beyond.
 */

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** Reads a signed 8-bit integer. */
export function readInt8(bytes: Uint8Array, at: number): number {
  return (byte(bytes, at) << 24) >> 24;
}

/** Reads a signed 16-bit integer. */
export function readInt16(bytes: Uint8Array, at: number): number {
  return ((byte(bytes, at) << 24) >> 16) | byte(bytes, at + 1);
}

/** Reads a signed 32-bit integer. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    (byte(bytes, at) << 24) |
    (byte(bytes, at + 1) << 16) |
    (byte(bytes, at + 2) << 8) |
    byte(bytes, at + 3)
  );
}

/** Reads an unsigned 32-bit integer. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) >>> 0;
}

/** Reads a signed 64-bit integer; rounded when it is beyond 2^53. */
export function readInt64(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) * 2 ** 32 + readUint32(bytes, at + 4);
}

/** Writes the low 16 bits of an integer. */
export function writeInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes the low 32 bits of an integer. */
export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes a signed 64-bit integer in -2^53..2^53. */
export function writeInt64(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  writeInt32(bytes, at, high);
  writeInt32(bytes, at + 4, value - high * 2 ** 32);
}

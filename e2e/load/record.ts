/**
 * The records of the writers: each says who sent it and as which one, and carries bytes that follow from that.
 *
 * | at | size | field    | notes                                              |
 * |----|------|----------|----------------------------------------------------|
 * | 0  | 4    | magic    | u32, 0x57434852                                    |
 * | 4  | 4    | writer   | u32                                                |
 * | 8  | 4    | sequence | u32, from 0 for each writer                        |
 * | 12 |      | filler   | a piece of a fixed pattern, by writer and sequence |
 */
import { SeededRandom, randomBytes } from '../../base/random.ts';

const MAGIC = 0x57434852;
export const RECORD_HEADER_BYTES = 12;
const PATTERN_BYTES = 64 * 1024;
const PATTERN = Buffer.from(randomBytes(new SeededRandom(1), 2 * PATTERN_BYTES));

/** Who sent a record, as which one. */
export interface RecordName {
  readonly writer: number;
  readonly sequence: number;
}

/** @param sizeBytes - From 12 to 64 KiB. */
export function encodeRecord({ writer, sequence }: RecordName, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(writer, 4);
  bytes.writeUInt32LE(sequence, 8);
  fillerOf(writer, sequence, sizeBytes - RECORD_HEADER_BYTES).copy(bytes, RECORD_HEADER_BYTES);
  return bytes;
}

/** null for bytes that no writer made. */
export function decodeRecord(value: Uint8Array): RecordName | null {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < RECORD_HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) return null;
  const [writer, sequence] = [bytes.readUInt32LE(4), bytes.readUInt32LE(8)];
  const filler = bytes.subarray(RECORD_HEADER_BYTES);
  if (!filler.equals(fillerOf(writer, sequence, filler.length))) return null;
  return { writer, sequence };
}

function fillerOf(writer: number, sequence: number, sizeBytes: number): Buffer {
  const start = (Math.imul(writer + 1, 2_654_435_761) ^ Math.imul(sequence + 1, 40_503)) >>> 0;
  const at = start % PATTERN_BYTES;
  return PATTERN.subarray(at, at + sizeBytes);
}

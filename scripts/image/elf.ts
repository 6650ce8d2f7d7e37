/**
 * What an ELF file says about what it needs, of the 64-bit little-endian kind, which is that of all our architectures.
 *
 * | bytes | of the header | | bytes | of a program header |
 * |---|---|---|---|---|
 * | 0..5 | 0x7f "ELF", 2 (64 bits), 1 (little-endian) | | 0..3 | kind |
 * | 18..19 | machine | | 8..15 | offset in the file |
 * | 32..39 | offset of the program headers | | 16..23 | address in memory |
 * | 54..55, 56..57 | their size, their number | | 32..39 | bytes in the file |
 */

export interface Elf {
  /** In the words of Node and npm, null for one that Walrus is not made for. */
  readonly cpu: string | null;
  /** The loader that a program names; a library has none. */
  readonly interpreter: string | null;
  /** Names of the libraries that it is linked to. */
  readonly needed: readonly string[];
}

interface Segment {
  readonly kind: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

const MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const HEADER_BYTES = 64;
const CPUS: Readonly<Record<number, string>> = { 62: 'x64', 183: 'arm64' };
const SEGMENT = { load: 1, dynamic: 2, interpreter: 3 };
const DYNAMIC_BYTES = 16;
const DYNAMIC = { end: 0, needed: 1, strings: 5 };

/** @returns Null for a file of another kind. */
export function readElf(file: Buffer): Elf | null {
  if (file.length < HEADER_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  const segments = readSegments(file);
  const interpreter = segments.find(({ kind }) => kind === SEGMENT.interpreter);
  return {
    cpu: CPUS[file.readUInt16LE(18)] ?? null,
    interpreter: interpreter === undefined ? null : textAt(file, interpreter.offset),
    needed: readNeeded(file, segments),
  };
}

function readSegments(file: Buffer): Segment[] {
  const [start, size, count] = [word(file, 32), file.readUInt16LE(54), file.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const header = file.subarray(start + index * size, start + (index + 1) * size);
    return {
      kind: header.readUInt32LE(0),
      offset: word(header, 8),
      address: word(header, 16),
      bytes: word(header, 32),
    };
  });
}

function readNeeded(file: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find(({ kind }) => kind === SEGMENT.dynamic);
  if (dynamic === undefined) return []; // linked to nothing
  const entries = Array.from({ length: dynamic.bytes / DYNAMIC_BYTES }, (_, index) => {
    const at = dynamic.offset + index * DYNAMIC_BYTES;
    return { tag: word(file, at), value: word(file, at + 8) };
  });
  const end = entries.findIndex(({ tag }) => tag === DYNAMIC.end);
  const used = end === -1 ? entries : entries.slice(0, end);
  const address = used.find(({ tag }) => tag === DYNAMIC.strings)?.value ?? 0;
  const strings = offsetOf(segments, address);
  return used
    .filter(({ tag }) => tag === DYNAMIC.needed)
    .map(({ value }) => textAt(file, strings + value));
}

function offsetOf(segments: readonly Segment[], address: number): number {
  const loaded = segments.find(
    (one) =>
      one.kind === SEGMENT.load && address >= one.address && address < one.address + one.bytes,
  );
  if (loaded === undefined) throw new Error('an ELF file whose table of names is not loaded');
  return loaded.offset + address - loaded.address;
}

/** Tags, sizes and addresses within a file are far below 2^53. Those of the operating system are not: they are only unequal. */
function word(file: Buffer, offset: number): number {
  return Number(file.readBigUInt64LE(offset));
}

function textAt(file: Buffer, offset: number): string {
  return file.toString('utf8', offset, file.indexOf(0, offset));
}

/** Rot on the disk of a node that is down: flips bits in its arenas, where the node must know that they were durable. */
import fs from 'node:fs';
import path from 'node:path';
import { between } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';

/** Of docs/disk-format.md: the frames' magic, and fields of frames and block headers. */
const MAGIC = Buffer.from('WFRM');
const FRAME_HEADER_BYTES = 40;
const BLOCK_SPAN = 4 * 1024 * 1024;

interface Frame {
  readonly at: number;
  readonly sizeBytes: number;
  /** Of its block: two u32 in one. */
  readonly epoch: bigint;
  /** In its replica's log. */
  readonly endPlace: number;
  readonly syncedPlace: number;
}

/**
 * Flips a bit in each of some frames of a data directory.
 * @returns how many: fewer when there are not so many that a later frame proves durable.
 */
export function rotArenas(dataDir: string, random: Random, count: number): number {
  const directory = path.join(dataDir, 'storage');
  const spots: { readonly file: string; readonly at: number; readonly sizeBytes: number }[] = [];
  for (const name of fs.readdirSync(directory).sort()) {
    if (!name.startsWith('arena-')) continue;
    const file = path.join(directory, name);
    for (const frame of provenFrames(fs.readFileSync(file))) spots.push({ file, ...frame });
  }
  let left = count;
  while (left > 0 && spots.length > 0) {
    const [spot] = spots.splice(between(random, 0, spots.length - 1), 1);
    if (spot === undefined) break;
    // Behind the magic: what is not covered by a checksum there is not at all.
    flipBit(spot.file, between(random, spot.at + 8, spot.at + spot.sizeBytes - 1), random);
    left -= 1;
  }
  return count - left;
}

function flipBit(file: string, position: number, random: Random): void {
  const handle = fs.openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(handle, byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ (1 << between(random, 0, 7));
  fs.writeSync(handle, byte, 0, 1, position);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
}

/** Frames that a later one of the same block states to be durable. */
function provenFrames(arena: Buffer): { readonly at: number; readonly sizeBytes: number }[] {
  const frames = framesOf(arena);
  const proven = new Map<bigint, number>();
  for (const { epoch, syncedPlace } of frames) {
    proven.set(epoch, Math.max(proven.get(epoch) ?? 0, syncedPlace));
  }
  return frames.filter(({ epoch, endPlace }) => endPlace <= (proven.get(epoch) ?? 0));
}

function framesOf(arena: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = arena.indexOf(MAGIC); at >= 0; at = arena.indexOf(MAGIC, at + 8)) {
    if (at % 8 !== 0 || at + FRAME_HEADER_BYTES > arena.length) continue;
    const sizeBytes = FRAME_HEADER_BYTES + arena.readUInt32LE(at + 8);
    const position = arena.readUInt32LE(at + 20);
    const blockAt = at - position;
    if (blockAt < 0 || at + sizeBytes > arena.length) continue;
    const start = arena.readUInt32LE(blockAt + 24) * BLOCK_SPAN;
    frames.push({
      at,
      sizeBytes,
      epoch: arena.readBigUInt64LE(at + 12),
      endPlace: start + position + sizeBytes,
      syncedPlace: Number(arena.readBigUInt64LE(at + 24)),
    });
  }
  return frames;
}

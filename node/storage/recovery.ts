/**
 * Recovery of one replica: walk its frames, find where the good part ends, and decide whether what follows is a torn
 * write or damage (DESIGN D1).
 *
 * Every frame and every mark states a synced place: all of the log below it was durable when it was written. The
 * highest of them, in the good part and behind it, is proven. When the good part ends below it, something that was
 * durable is gone: damage. Otherwise the rest was never known to be durable: it is cut off, and the headers of whole
 * frames in it are erased, so that they can never be taken for later ones.
 *
 * What is good and not proven may be in the page cache only: a sync of it may have failed before, and another sync would
 * succeed without writing it. So it is written again (docs/adr/0160).
 *
 * What cannot be read is damage of this replica (DESIGN R3: unknown), and does not keep the others from being served.
 *
 * Headers are checked for the whole log here. Bodies are checked here only from the proven place on; below it they are
 * checked when they are read.
 */
import type { WalrusError } from '../../base/errors.ts';
import { MIB } from '../../base/units.ts';
import { computeBatchCrc, crcOf } from '../../protocol/recordBatch.ts';
import type { ArenaSet } from './arenaSet.ts';
import { isHeaderOfBlock } from './blockCheck.ts';
import {
  BLOCK_DATA_START,
  decodeBlockHeader,
  decodeMark,
  type BlockHeader,
} from './blockHeader.ts';
import { damageError, unreadable } from './damage.ts';
import { chainDigest } from './digest.ts';
import {
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_PEEK_BYTES,
  frameBytes,
  type Frame,
} from './frame.ts';
import type { FramePeeker } from './framePeeker.ts';
import { BLOCK_SPAN, blockBytes } from './geometry.ts';
import type { ReplicaLog } from './replicaLog.ts';
import type { BlockRef } from './replicaRecord.ts';

export interface Recovered {
  readonly damage: WalrusError | null;
  /** Blocks that hold nothing of the log any more, removed from the record. */
  readonly removedBlocks: readonly BlockRef[];
  /** Whether anything behind the good part was erased. */
  readonly isTorn: boolean;
  /** Whether the mark on the disk says less than is known now. */
  readonly needsMark: boolean;
}

/** Unproven bytes are written again in pieces of this size. */
const REWRITE_BYTES = MIB;

interface Tools {
  readonly arenas: ArenaSet;
  readonly peeker: FramePeeker;
}

/** The walk's state: the good part so far. */
interface Walk {
  readonly log: ReplicaLog;
  /** The block in which the good part ends; -1 before the first. */
  blockIndex: number;
  position: number;
  proven: number;
  markedPlace: number;
}

export interface RecoverOptions {
  /** Whether what is not proven is written again, for the sync that follows. */
  readonly rewrites: boolean;
}

/**
 * Brings a log whose record is known into the state of the disk. Durable once the arenas are synced.
 * @throws {WalrusError} DISK_FAILED, DISK_FULL when the disk does not take a write
 */
export function recoverLog(tools: Tools, log: ReplicaLog, options: RecoverOptions): Recovered {
  const walk: Walk = { log, blockIndex: -1, position: 0, proven: 0, markedPlace: 0 };
  tools.peeker.reset();
  const { blocks } = log.record;
  const problems = blocks.map(({ address, blockClass }) =>
    tools.arenas.claim(address, blockBytes(blockClass)),
  );
  const missing = problems.findIndex((problem) => problem !== null);
  const blockCount = missing < 0 ? blocks.length : missing;
  let rest: readonly number[];
  try {
    walkBlocks(tools, walk, blockCount);
    scanRest(tools, walk, blockCount);
    if (walk.proven <= goodPlace(walk)) checkBodies(tools, walk);
    rest = scanRest(tools, walk, blockCount);
  } catch (error) {
    return unreadableResult(tools, walk, unreadable(error));
  }
  const arenaProblem = problems[missing] ?? null;
  if (arenaProblem !== null) return damagedResult(walk, missing, arenaProblem);
  if (walk.proven > goodPlace(walk)) return damagedResult(walk, -1, GONE);
  const problem = options.rewrites ? rewriteUnproven(tools, walk) : null;
  if (problem !== null) return unreadableResult(tools, walk, problem);
  return cutOff(tools, walk, rest);
}

const GONE = 'what was durable there is not valid any more';

function unreadableResult(tools: Tools, walk: Walk, problem: string): Recovered {
  tools.peeker.reset(); // its slice may be of no one place
  const { log, blockIndex } = walk;
  const block = log.record.blocks[blockIndex];
  if (block) block.end = walk.position;
  return damagedResult(walk, -1, problem);
}

/** Writes the good part again from the proven place on. @returns what cannot be read of it, else null */
function rewriteUnproven(tools: Tools, walk: Walk): string | null {
  const { blocks } = walk.log.record;
  const first = Math.floor(walk.proven / BLOCK_SPAN);
  for (let i = first; i <= walk.blockIndex; i += 1) {
    const block = blocks[i];
    if (!block) break;
    const bytes = new Uint8Array(Math.min(REWRITE_BYTES, block.end));
    for (let at = i === first ? walk.proven % BLOCK_SPAN : 0; at < block.end;) {
      const slice = bytes.subarray(0, Math.min(bytes.length, block.end - at));
      try {
        tools.arenas.read(slice, block.address + at);
      } catch (error) {
        return unreadable(error);
      }
      tools.arenas.write(slice, block.address + at);
      at += slice.length;
    }
  }
  return null;
}

function goodPlace(walk: Walk): number {
  return walk.blockIndex < 0 ? 0 : walk.blockIndex * BLOCK_SPAN + walk.position;
}

function walkBlocks(tools: Tools, walk: Walk, blockCount: number): void {
  const { log } = walk;
  for (let i = 0; i < blockCount; i += 1) {
    const block = log.record.blocks[i];
    if (!block || !openBlock(tools, walk, block, i)) return;
    walk.blockIndex = i;
    walk.position = BLOCK_DATA_START;
    log.sizeBytes += BLOCK_DATA_START;
    while (tools.peeker.peek(block, walk.position) && acceptFrame(walk, tools.peeker.frame)) {
      walk.position += frameBytes(tools.peeker.frame.batchLength);
    }
    block.end = walk.position;
  }
}

/** Whether a block's header is the one that follows the good part. */
function openBlock(tools: Tools, walk: Walk, block: BlockRef, sequence: number): boolean {
  const bytes = new Uint8Array(BLOCK_DATA_START);
  tools.arenas.read(bytes, block.address);
  walk.markedPlace = decodeMark(bytes, block);
  walk.proven = Math.max(walk.proven, walk.markedPlace);
  const header = decodeBlockHeader(bytes);
  const { record } = walk.log;
  return (
    header !== null &&
    isHeaderOfBlock(header, record, block, sequence) &&
    continuesLog(header, walk.log)
  );
}

function continuesLog(header: BlockHeader, log: ReplicaLog): boolean {
  return (
    header.startOffset === log.tail &&
    header.digestHigh === log.digest.high &&
    header.digestLow === log.digest.low
  );
}

/** Adds a frame to the good part when it continues it. */
function acceptFrame(walk: Walk, frame: Frame): boolean {
  const { log } = walk;
  if (frame.baseOffset !== log.tail) return false;
  const digest = { high: log.digest.high, low: log.digest.low };
  chainDigest(digest, frame.baseOffset, frame.count, frame.crc);
  if (digest.high !== frame.digestHigh || digest.low !== frame.digestLow) return false;
  log.noteBatch(goodPlace(walk), frame.baseOffset);
  log.digest.high = digest.high;
  log.digest.low = digest.low;
  log.tail += frame.count;
  log.maxTimestamp = Math.max(log.maxTimestamp, frame.maxTimestamp);
  log.sizeBytes += frameBytes(frame.batchLength);
  walk.proven = Math.max(walk.proven, frame.syncedPlace);
  return true;
}

/** Looks behind the good part for frames and marks: what they prove. Returns the addresses of the frames. */
function scanRest(tools: Tools, walk: Walk, blockCount: number): number[] {
  const found: number[] = [];
  for (let i = Math.max(0, walk.blockIndex); i < blockCount; i += 1) {
    const block = walk.log.record.blocks[i];
    if (!block) continue;
    const isEndBlock = i === walk.blockIndex;
    if (!isEndBlock) {
      const bytes = new Uint8Array(BLOCK_DATA_START);
      tools.arenas.read(bytes, block.address);
      walk.proven = Math.max(walk.proven, decodeMark(bytes, block));
    }
    scanBlock(tools, walk, block, { from: isEndBlock ? walk.position : BLOCK_DATA_START, found });
  }
  return found;
}

function scanBlock(
  tools: Tools,
  walk: Walk,
  block: BlockRef,
  scan: { readonly from: number; readonly found: number[] },
): void {
  const { peeker } = tools;
  const last = blockBytes(block.blockClass) - FRAME_PEEK_BYTES;
  let position = scan.from;
  while (position <= last) {
    let at = peeker.load(block, position, FRAME_PEEK_BYTES);
    const end = at + (peeker.loadedUntil - (block.address + position)) - FRAME_PEEK_BYTES;
    const first = at;
    while (at <= end && peeker.view.getUint32(at, true) !== FRAME_MAGIC) at += 8;
    position += at - first;
    if (at > end || position > last) continue;
    if (peeker.peek(block, position)) {
      walk.proven = Math.max(walk.proven, peeker.frame.syncedPlace);
      scan.found.push(block.address + position);
    }
    position += 8;
  }
}

/** Checks the bodies from the proven place on; the good part ends before the first wrong one. */
function checkBodies(tools: Tools, walk: Walk): void {
  const { log } = walk;
  // Nothing is proven before the first sync: then all bodies are checked, from the first batch on.
  const entry = log.index.floorByPlace(Math.max(walk.proven, BLOCK_DATA_START));
  if (!entry) return; // an empty log
  const endPlace = goodPlace(walk);
  const cursor = log.cursorAt(entry.place);
  const state = { tail: entry.offset, high: entry.digestHigh, low: entry.digestLow };
  let maxTimestamp = entry.maxTimestampBefore;
  while (state.tail < log.tail) {
    const block = log.settle(cursor);
    const place = cursor.blockIndex * BLOCK_SPAN + cursor.position;
    if (!tools.peeker.peek(block, cursor.position) || place >= endPlace) break;
    const { frame } = tools.peeker;
    if (place >= walk.proven && !isBodyRight(tools, block, cursor.position, frame.batchLength)) {
      walk.blockIndex = cursor.blockIndex;
      walk.position = cursor.position;
      block.end = cursor.position;
      log.tail = state.tail;
      Object.assign(log.digest, { high: state.high, low: state.low });
      log.maxTimestamp = maxTimestamp;
      log.index.truncate(place);
      return;
    }
    state.tail = frame.baseOffset + frame.count;
    state.high = frame.digestHigh;
    state.low = frame.digestLow;
    maxTimestamp = Math.max(maxTimestamp, frame.maxTimestamp);
    cursor.position += frameBytes(frame.batchLength);
  }
}

function isBodyRight(tools: Tools, block: BlockRef, position: number, length: number): boolean {
  const batch = new Uint8Array(length);
  tools.arenas.read(batch, block.address + position + FRAME_HEADER_BYTES);
  return computeBatchCrc(batch, 0, length) === crcOf(batch);
}

function damagedResult(walk: Walk, missing: number, problem: string): Recovered {
  const { log } = walk;
  const index = missing >= 0 ? missing : Math.max(0, walk.blockIndex);
  const damage = damageError({
    segmentId: log.record.segmentId,
    offset: log.tail,
    block: log.record.blocks[index],
    position: missing >= 0 ? 0 : walk.position,
    problem,
  });
  return { damage, removedBlocks: [], isTorn: false, needsMark: false };
}

/** Erases what is behind the good part, all of it never known to be durable. */
function cutOff(tools: Tools, walk: Walk, rest: readonly number[]): Recovered {
  const { log } = walk;
  const { blocks } = log.record;
  for (const address of rest) tools.arenas.write(new Uint8Array(FRAME_HEADER_BYTES), address);
  tools.peeker.reset();
  const removedBlocks = blocks.splice(walk.blockIndex + 1);
  log.sizeBytes = 0;
  for (const block of blocks) log.sizeBytes += block.end;
  const needsMark = blocks.length > 0 && walk.markedPlace !== goodPlace(walk);
  const isTorn = rest.length > 0 || removedBlocks.length > 0;
  return { damage: null, removedBlocks, isTorn, needsMark };
}

/** Whether the header of a block is the one that its replica wrote: for recovery and for the scrub. */
import { BLOCK_DATA_START, decodeBlockHeader, type BlockHeader } from './blockHeader.ts';
import { unreadable } from './damage.ts';
import { blockBytes } from './geometry.ts';
import type { BlockRef, ReplicaRecord } from './replicaRecord.ts';
import type { StorageContext } from './storageContext.ts';

/** Whether a header belongs to the block with this sequence of a replica. */
export function isHeaderOfBlock(
  header: BlockHeader,
  { segmentId }: ReplicaRecord,
  block: BlockRef,
  sequence: number,
): boolean {
  return (
    header.segmentId === segmentId &&
    header.epoch.boot === block.boot &&
    header.epoch.count === block.count &&
    header.sizeBytes === blockBytes(block.blockClass) &&
    header.sequence === sequence
  );
}

export interface BadHeader {
  readonly sequence: number;
  readonly problem: string;
}

/** The first of a replica's blocks from one to another, both included, whose header is wrong; null for none. */
export function firstBadHeader(
  { arenas }: Pick<StorageContext, 'arenas'>,
  record: ReplicaRecord,
  range: { readonly first: number; readonly last: number },
): BadHeader | null {
  const bytes = new Uint8Array(BLOCK_DATA_START);
  for (let sequence = range.first; sequence <= range.last; sequence += 1) {
    const block = record.blocks[sequence];
    if (block === undefined) continue;
    try {
      arenas.read(bytes, block.address);
    } catch (error) {
      return { sequence, problem: unreadable(error) };
    }
    const header = decodeBlockHeader(bytes);
    if (header === null || !isHeaderOfBlock(header, record, block, sequence)) {
      return { sequence, problem: 'the header of the block is wrong' };
    }
  }
  return null;
}

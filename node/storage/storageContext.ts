/** What all replicas of a disk share. */
import type { ArenaSet } from './arenaSet.ts';
import type { BlockAllocator } from './blockAllocator.ts';
import type { BlockEpoch } from './blockHeader.ts';
import type { CatalogRecord } from './catalogRecord.ts';
import type { FrameHeader } from './frame.ts';
import type { FramePeeker } from './framePeeker.ts';
import type { GroupCommit } from './groupCommit.ts';
import type { RunPool } from './writeRun.ts';

/** Where a replica notes what changes about it. */
export interface CatalogLog {
  append(record: CatalogRecord): void;
}

export interface StorageContext {
  readonly arenas: ArenaSet;
  readonly allocator: BlockAllocator;
  readonly catalog: CatalogLog;
  readonly commit: GroupCommit;
  readonly runs: RunPool;
  readonly peeker: FramePeeker;
  /** Used again for each append, so that it makes no object. */
  readonly frameHeader: { -readonly [Key in keyof FrameHeader]: FrameHeader[Key] };
  /** An epoch that no block of this disk has ever had. */
  readonly nextBlockEpoch: () => BlockEpoch;
  /** A replica was found damaged. Called in the middle of whatever found it. */
  readonly onDamage: (segmentId: number) => void;
}

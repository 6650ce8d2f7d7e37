/** Gives an empty data directory an identity (DESIGN I1). */
import { WalrusError } from '../../base/errors.ts';
import type { Disk } from '../../base/disk.ts';
import { randomHex, type Random } from '../../base/random.ts';
import type { NodeId } from '../../base/units.ts';
import { Catalog } from './catalog.ts';
import { FORMAT_VERSION, LOCK_PATH, STORAGE_DIRECTORY } from './geometry.ts';
import { createSuperblocks, readSuperblocks, type Superblock } from './superblock.ts';
import type { DiskIdentity } from './types.ts';

export interface FormatDiskOptions {
  readonly disk: Disk;
  readonly random: Random;
  readonly clusterId: string;
  readonly nodeId: NodeId;
}

/**
 * Formats a disk that holds nothing of the storage engine; its boot epoch is 0 until it is opened.
 * @throws {WalrusError} WRONG_DATA_DIR when there is anything, DATA_DIR_LOCKED when it is in use
 */
export function formatDisk(options: FormatDiskOptions): DiskIdentity {
  const { disk } = options;
  const lock = disk.lock(LOCK_PATH);
  try {
    // A catalog without superblocks is what a crash leaves of a format that was not finished.
    const names = disk.list(STORAGE_DIRECTORY);
    const left = names.filter((name) => !name.endsWith('.new') && name !== 'catalog');
    if (left.length > 0) {
      const message =
        `Cannot format the data directory: it holds ${left.slice(0, 3).join(', ')}; ` +
        'give an empty directory, or remove the old data on purpose';
      throw new WalrusError('WRONG_DATA_DIR', message);
    }
    disk.makeDirectory(STORAGE_DIRECTORY);
    const superblock: Superblock = {
      formatVersion: FORMAT_VERSION,
      clusterId: options.clusterId,
      nodeId: options.nodeId,
      diskId: randomHex(options.random, 16),
      bootEpoch: 0,
      bootNonce: '0'.repeat(32),
      writes: 1,
      isRegistered: true, // so that the first boot counts up
    };
    Catalog.create(disk);
    createSuperblocks(disk, superblock);
    return superblock;
  } finally {
    lock.release();
  }
}

/**
 * The identity of a formatted disk, without opening it; null when it was never formatted.
 * @throws {WalrusError} WRONG_DATA_DIR, UNSUPPORTED_VERSION
 */
export function readDiskIdentity(disk: Disk): DiskIdentity | null {
  return readSuperblocks(disk)?.newest ?? null;
}

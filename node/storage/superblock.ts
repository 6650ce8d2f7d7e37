/**
 * The two superblocks: who this disk is (DESIGN I1, I2). One file with two slots, 4096 bytes apart. A new state goes
 * to both, one after the other, the older or damaged one first: a torn write leaves the other, and a slot that is
 * damaged later was no newer than the one that is left.
 *
 * | at | bytes | field                                   |
 * |---:|------:|-----------------------------------------|
 * |  0 |     8 | magic `WALRUSDK`                         |
 * |  8 |     4 | format version (the same place for ever) |
 * | 12 |     4 | CRC-32C of bytes 0..11 and 16..95        |
 * | 16 |    16 | clusterId                                |
 * | 32 |    16 | diskId                                   |
 * | 48 |     8 | nodeId                                   |
 * | 56 |     8 | bootEpoch                                |
 * | 64 |    16 | bootNonce                                |
 * | 80 |     8 | how often the superblocks were written   |
 * | 88 |     4 | 1: the metadata have this boot, else 0   |
 * | 92 |     4 | zeros                                    |
 *
 * A boot that the metadata are not known to have is tried again with its epoch and nonce; it does not count up
 * (ADR 0101). The number of writes tells which slot is newer, and one process life from another of the same boot.
 */
import { fromHex, toHex, ByteWriter, encodeUtf8, bytesEqual } from '../../base/bytes.ts';
import { crc32c } from '../../base/crc32c.ts';
import type { Disk, DiskFile } from '../../base/disk.ts';
import { isWalrusError, WalrusError } from '../../base/errors.ts';
import { isCount, nodeId } from '../../base/units.ts';
import { FORMAT_VERSION, STORAGE_DIRECTORY } from './geometry.ts';
import type { DiskIdentity } from './types.ts';

export const SUPERBLOCK_PATH = `${STORAGE_DIRECTORY}/superblock`;
const SLOT_BYTES = 4096;
const SUPERBLOCK_BYTES = 96;
const MAGIC = encodeUtf8('WALRUSDK');

/** What the superblocks hold. */
export interface Superblock extends DiskIdentity {
  /** How often the superblocks were written: each start begins with a write. */
  readonly writes: number;
  /** Whether the metadata are known to have this boot. */
  readonly isRegistered: boolean;
}

/** The bytes of one superblock. */
export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const writer = new ByteWriter(SUPERBLOCK_BYTES);
  writer.raw(MAGIC).u32(superblock.formatVersion).u32(0);
  writer.raw(fromHex(superblock.clusterId)).raw(fromHex(superblock.diskId));
  writer.u64(superblock.nodeId).u64(superblock.bootEpoch).raw(fromHex(superblock.bootNonce));
  writer
    .u64(superblock.writes)
    .u32(superblock.isRegistered ? 1 : 0)
    .u32(0);
  const bytes = writer.finish();
  writer.patchU32(12, checksum(bytes));
  return writer.finish();
}

function checksum(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(16, SUPERBLOCK_BYTES), crc32c(bytes.subarray(0, 12)));
}

/**
 * What a slot holds; null when it is damaged.
 * @throws {WalrusError} UNSUPPORTED_VERSION
 */
export function decodeSuperblock(bytes: Uint8Array): Superblock | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!bytesEqual(bytes.subarray(0, 8), MAGIC)) return null;
  if (view.getUint32(12, true) !== checksum(bytes)) return null;
  const formatVersion = view.getUint32(8, true);
  if (formatVersion !== FORMAT_VERSION) {
    const message =
      `Cannot open the data directory: its format version is ${formatVersion} and this build knows ` +
      `${FORMAT_VERSION}; start the version of walrus that wrote it, or give another directory`;
    throw new WalrusError('UNSUPPORTED_VERSION', message);
  }
  const u64 = (at: number): number =>
    view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  if (!isCount(u64(48)) || u64(48) < 1 || !isCount(u64(56)) || !isCount(u64(80))) return null;
  return {
    formatVersion,
    clusterId: toHex(bytes.subarray(16, 32)),
    diskId: toHex(bytes.subarray(32, 48)),
    nodeId: nodeId(u64(48)),
    bootEpoch: u64(56),
    bootNonce: toHex(bytes.subarray(64, 80)),
    writes: u64(80),
    isRegistered: view.getUint32(88, true) === 1,
  };
}

/** A superblock file that was read: what the newer slot holds and the slot to be written next. */
export interface Superblocks {
  readonly newest: Superblock;
  readonly nextSlot: 0 | 1;
  /** A slot was damaged; the other one served. */
  readonly isDamaged: boolean;
}

/**
 * Reads both slots; null when there is no superblock file.
 * @throws {WalrusError} UNSUPPORTED_VERSION, DISK_FAILED or WRONG_DATA_DIR when neither slot can be used
 */
export function readSuperblocks(disk: Disk): Superblocks | null {
  if (!disk.exists(SUPERBLOCK_PATH)) return null;
  const file = disk.open(SUPERBLOCK_PATH);
  const slots = [readSlot(file, 0), readSlot(file, 1)] as const;
  file.close();
  const [first, second] = slots.map(({ superblock }) => superblock);
  if (!first && !second) throw unusable(slots);
  if (!second) return { newest: first as Superblock, nextSlot: 1, isDamaged: true };
  if (!first) return { newest: second, nextSlot: 0, isDamaged: true };
  if (first.diskId !== second.diskId || first.clusterId !== second.clusterId) {
    const message =
      'Cannot open the data directory: its superblocks name two disks ' +
      `(${first.diskId} and ${second.diskId}); it was put together from parts and cannot be used`;
    throw new WalrusError('WRONG_DATA_DIR', message);
  }
  return first.writes >= second.writes
    ? { newest: first, nextSlot: 1, isDamaged: false }
    : { newest: second, nextSlot: 0, isDamaged: false };
}

/** Why no slot can be used. */
function unusable(slots: readonly Slot[]): WalrusError {
  const cause = slots.find(({ error }) => error !== null)?.error;
  const problem = cause
    ? `no superblock can be read (${cause.message})`
    : 'both superblocks are damaged, or are of something else';
  const message =
    `Cannot open the data directory: ${problem}; ` +
    'the disk must be replaced: give an empty directory and let the cluster copy its data';
  return new WalrusError(cause ? 'DISK_FAILED' : 'WRONG_DATA_DIR', message, { cause });
}

interface Slot {
  readonly superblock: Superblock | null;
  /** Why it cannot be read: then the other one serves, as for a damaged one. */
  readonly error: WalrusError | null;
}

function readSlot(file: DiskFile, slot: number): Slot {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  try {
    const isWhole = file.read(bytes, slot * SLOT_BYTES) === SUPERBLOCK_BYTES;
    return { superblock: isWhole ? decodeSuperblock(bytes) : null, error: null };
  } catch (error) {
    if (!isWalrusError(error, 'DISK_FAILED')) throw error;
    return { superblock: null, error };
  }
}

/** Makes a superblock durable in both slots, `firstSlot` first. */
export function writeSuperblocks(disk: Disk, superblock: Superblock, firstSlot: 0 | 1): void {
  const file = disk.open(SUPERBLOCK_PATH);
  const bytes = encodeSuperblock(superblock);
  for (const slot of [firstSlot, 1 - firstSlot]) {
    file.write(bytes, slot * SLOT_BYTES);
    file.sync();
  }
  file.close();
}

/** Makes the superblock file, with the same in both slots, appear at once and durably. */
export function createSuperblocks(disk: Disk, superblock: Superblock): void {
  const path = `${SUPERBLOCK_PATH}.new`;
  if (disk.exists(path)) disk.remove(path);
  const file = disk.create(path);
  const bytes = new Uint8Array(2 * SLOT_BYTES);
  bytes.set(encodeSuperblock(superblock), 0);
  bytes.set(encodeSuperblock(superblock), SLOT_BYTES);
  file.write(bytes, 0);
  file.sync();
  file.close();
  disk.rename(path, SUPERBLOCK_PATH);
  disk.syncDirectory(STORAGE_DIRECTORY);
  disk.syncDirectory('.');
}

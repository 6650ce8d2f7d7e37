/** Whether members could tell that a disk was put back to an earlier state: only then a run may do it (ADR 0121). */
import { BOOT_TABLE_SLOT_BYTES, decodeBootTable } from '../raft/boot/bootTable.ts';
import type { BootTableState } from '../raft/boot/bootTable.ts';
import { serverId } from '../raft/types.ts';
import { decodeSuperblock, SUPERBLOCK_PATH } from '../storage/superblock.ts';
import type { Superblock } from '../storage/superblock.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import type { SimDiskState } from './simDisk.ts';

const BOOT_TABLE_PATH = 'raft/boots';
const SUPERBLOCK_SLOT_BYTES = 4096;
const SUPERBLOCK_BYTES = 96;

function slots<T>(
  state: SimDiskState,
  { path, sizeBytes }: { readonly path: string; readonly sizeBytes: number },
  decode: (bytes: Uint8Array) => T | null,
): T[] {
  const file = state.files.get(path);
  return [0, 1].flatMap((slot) => {
    const bytes = new Uint8Array(sizeBytes);
    const count = file?.read(bytes, slot * sizeBytes) ?? 0;
    return decode(bytes.subarray(0, count)) ?? [];
  });
}

function newest<T extends { readonly writes: number }>(found: readonly T[]): T | undefined {
  return found.toSorted((a, b) => b.writes - a.writes)[0];
}

function bootsOf(state: SimDiskState): BootTableState | undefined {
  const where = { path: BOOT_TABLE_PATH, sizeBytes: BOOT_TABLE_SLOT_BYTES };
  return newest(slots(state, where, decodeBootTable));
}

function superblockOf(state: SimDiskState): Superblock | undefined {
  const where = { path: SUPERBLOCK_PATH, sizeBytes: SUPERBLOCK_SLOT_BYTES };
  return newest(
    slots(state, where, (bytes) =>
      bytes.length < SUPERBLOCK_BYTES ? null : decodeSuperblock(bytes),
    ),
  );
}

/** The disk has made another start since, which was registered, and of which every other member has heard. */
export function isRollBackDetectable(
  { machines }: SimCluster,
  machine: Machine,
  image: SimDiskState,
): boolean {
  const now = machine.disk.snapshotState();
  const [own, then] = [bootsOf(now)?.own, bootsOf(image)?.own];
  const [disk, diskThen] = [superblockOf(now), superblockOf(image)];
  if (!machine.isServing || !own || !then || !disk || !diskThen) return false;
  if (own.epoch <= then.epoch || disk.bootEpoch <= diskThen.bootEpoch) return false;
  const id = serverId(disk.nodeId, disk.diskId);
  return machines.every((other) => {
    const heard = bootsOf(other.disk.snapshotState())?.heard.get(id);
    return other === machine || (heard !== undefined && heard.epoch >= own.epoch);
  });
}

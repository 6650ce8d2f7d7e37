/** MarkDiskLost: a disk is given up for ever (DESIGN I3). Nothing waits for it, and it never registers again. */
import { assertDefined } from '../../../base/assert.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import type { DiskRecord, SegmentRecord } from '../types.ts';
import { putOrRemove } from './deletion.ts';

/** Marks a disk LOST; harmless when it is. The node keeps its record until it registers a new disk. */
export function markDiskLost(
  state: MutableMetadata,
  command: CommandOf<'MarkDiskLost'>,
): ApplyResult {
  const disk = state.disks.get(command.diskId);
  if (disk === undefined) {
    return refuse('DISK_REFUSED', `Cannot declare disk ${command.diskId} lost: it is not known`);
  }
  if (disk.state === 'REGISTERED') loseDisk(state, disk);
  return done();
}

/** Marks a registered disk LOST and takes it off every list of copies that somebody waits for. */
export function loseDisk(state: MutableMetadata, disk: DiskRecord): void {
  state.putDisk({ ...disk, state: 'LOST' });
  const ids = [...(state.segmentsByDisk.get(disk.diskId) ?? [])];
  for (const id of ids) {
    const segment = assertDefined(state.segments.get(id), `Segment ${id} must be indexed rightly`);
    putOrRemove(state, withoutExtraCopies(segment, disk.diskId));
  }
}

function withoutExtraCopies(segment: SegmentRecord, diskId: string): SegmentRecord {
  return {
    ...segment,
    partialPlaces: segment.partialPlaces.filter((place) => place.diskId !== diskId),
    formerPlaces: segment.formerPlaces.filter((place) => place.diskId !== diskId),
  };
}

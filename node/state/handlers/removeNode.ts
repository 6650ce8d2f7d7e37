/** RemoveNode: the end of a decommissioning, or of a node whose disk is lost. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import { loseDisk } from './markDiskLost.ts';

/** Forgets a node whose registered disk, if any, holds nothing; harmless when the node is not known. */
export function removeNode(state: MutableMetadata, command: CommandOf<'RemoveNode'>): ApplyResult {
  const disks = [...state.disks.values()].filter(
    (disk) => disk.nodeId === command.nodeId && disk.state === 'REGISTERED',
  );
  for (const disk of disks) {
    const count = state.segmentsByDisk.get(disk.diskId)?.size ?? 0;
    if (count > 0) {
      return refuse(
        'CONFLICT',
        `Cannot remove node ${command.nodeId}: its disk ${disk.diskId} still holds ` +
          `${count} segments; move them away first, or declare the disk lost`,
      );
    }
  }
  for (const disk of disks) loseDisk(state, disk);
  if (state.nodes.has(command.nodeId)) state.removeNode(command.nodeId);
  return done();
}

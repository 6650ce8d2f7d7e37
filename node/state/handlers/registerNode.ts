/**
 * RegisterNode: a node's start. Keeps a disk's identity honest (DESIGN I1-I3): a rolled-back, cloned, foreign or
 * replaced disk never starts under an identity that is not its own.
 *
 * A repeat of the same boot is refused like a clone's, since the two cannot be told apart. A node that does not
 * know the outcome of its registration increments its boot epoch (fsync) and registers again.
 */
import { isCount } from '../../../base/units.ts';
import type { NodeId } from '../../../base/units.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_DISKS, MAX_NODES } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { DiskRecord, NodeRecord } from '../types.ts';
import { isIdentifier, isLabel } from './names.ts';

/** Registers a boot; the value is the node. */
export function registerNode(
  state: MutableMetadata,
  command: CommandOf<'RegisterNode'>,
): ApplyResult {
  const { node, bootEpoch } = command;
  const refusal =
    checkFields(node, bootEpoch) ?? checkIdentity(state, node, bootEpoch) ?? checkRoom(state, node);
  if (refusal !== null) return refusal;
  state.putDisk({ diskId: node.diskId, nodeId: node.nodeId, bootEpoch, state: 'REGISTERED' });
  state.putNode({ ...node });
  return accept({ type: 'Node', nodeId: node.nodeId });
}

function checkFields(node: NodeRecord, bootEpoch: number): Refusal | null {
  if (!isIdentifier(node.diskId)) {
    return refuse('MALFORMED', 'Cannot register a node: a disk id is 32 lower-case hex digits');
  }
  if (!isCount(bootEpoch) || bootEpoch < 1) {
    return refuse('MALFORMED', 'Cannot register a node: the boot epoch starts at 1');
  }
  const labels = [node.peerAddress, node.clientAddress, node.httpAddress, node.zone, node.version];
  if (!labels.every(isLabel)) {
    return refuse('MALFORMED', 'Cannot register a node: an address, zone or version is not text');
  }
  return null;
}

function checkIdentity(
  state: MutableMetadata,
  node: NodeRecord,
  bootEpoch: number,
): Refusal | null {
  const disk = state.disks.get(node.diskId);
  if (disk === undefined) return checkReplacement(state, node);
  if (disk.nodeId !== node.nodeId) {
    return refuse(
      'DISK_REFUSED',
      `Disk ${disk.diskId} belongs to node ${disk.nodeId}, not to node ${node.nodeId}: ` +
        'start it with its own node id, or give this node an empty data directory',
    );
  }
  return checkReturn(disk, bootEpoch);
}

/** I2: every boot of a disk has a higher epoch; a LOST disk never comes back. */
function checkReturn(disk: DiskRecord, bootEpoch: number): Refusal | null {
  if (disk.state === 'LOST') {
    return refuse(
      'DISK_REFUSED',
      `Disk ${disk.diskId} of node ${disk.nodeId} was declared lost and cannot come back: ` +
        'give the node an empty data directory, so that it joins with a new disk',
    );
  }
  if (bootEpoch <= disk.bootEpoch) {
    return refuse(
      'DISK_REFUSED',
      `Disk ${disk.diskId} starts with boot epoch ${bootEpoch}, but ${disk.bootEpoch} is ` +
        'registered: it is an older state or a copy of the disk; declare it lost and give the ' +
        'node an empty data directory',
    );
  }
  return null;
}

/** I3: a new disk takes the place of disks that are LOST, never of one that may be alive. */
function checkReplacement(state: MutableMetadata, node: NodeRecord): Refusal | null {
  const current = registeredDiskOf(state, node.nodeId);
  if (current === undefined) return null;
  return refuse(
    'DISK_REFUSED',
    `Node ${node.nodeId} is registered with disk ${current.diskId}, not with ${node.diskId}: ` +
      'start it with that disk, or declare that disk lost first',
  );
}

function registeredDiskOf(state: MutableMetadata, nodeId: NodeId): DiskRecord | undefined {
  for (const disk of state.disks.values()) {
    if (disk.nodeId === nodeId && disk.state === 'REGISTERED') return disk;
  }
  return undefined;
}

function checkRoom(state: MutableMetadata, node: NodeRecord): Refusal | null {
  if (!state.nodes.has(node.nodeId) && state.nodes.size >= MAX_NODES) {
    return refuse('LIMIT_REACHED', `Cannot register a node: a cluster has up to ${MAX_NODES}`);
  }
  if (!state.disks.has(node.diskId) && state.disks.size >= MAX_DISKS) {
    return refuse('LIMIT_REACHED', `Cannot register a disk: a cluster knows up to ${MAX_DISKS}`);
  }
  return null;
}

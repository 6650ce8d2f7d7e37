/**
 * RegisterNode: a node's start. Keeps a disk's identity honest (DESIGN I1-I3): a rolled-back, cloned, foreign or
 * replaced disk never starts under an identity that is not its own.
 *
 * A boot is registered once; a repeat of it (the same epoch and nonce: its answer was lost, or the process crashed
 * before it noted it) is accepted again, whatever has changed beside. A boot that skips an epoch is refused, too: an
 * intact disk counts up only when it knows that its last boot is registered, so another copy of this one was (ADR 0101).
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

type Registration = CommandOf<'RegisterNode'>;

/** Registers a boot; the value is the node. */
export function registerNode(state: MutableMetadata, command: Registration): ApplyResult {
  const { node, bootEpoch, bootNonce } = command;
  const refusal = checkFields(command) ?? checkIdentity(state, command) ?? checkRoom(state, node);
  if (refusal !== null) return refusal;
  const { diskId, nodeId } = node;
  state.putDisk({ diskId, nodeId, bootEpoch, bootNonce, state: 'REGISTERED' });
  state.putNode({ ...node });
  return accept({ type: 'Node', nodeId: node.nodeId });
}

function checkFields({ node, bootEpoch, bootNonce }: Registration): Refusal | null {
  if (!isIdentifier(node.diskId) || !isIdentifier(bootNonce)) {
    const problem = 'a disk id and a nonce are 32 lower-case hex digits';
    return refuse('MALFORMED', `Cannot register a node: ${problem}`);
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

function checkIdentity(state: MutableMetadata, command: Registration): Refusal | null {
  const { node } = command;
  const disk = state.disks.get(node.diskId);
  if (disk === undefined) return checkReplacement(state, node);
  if (disk.nodeId !== node.nodeId) {
    return refuse(
      'DISK_REFUSED',
      `Disk ${disk.diskId} belongs to node ${disk.nodeId}, not to node ${node.nodeId}: ` +
        'start it with its own node id, or give this node an empty data directory',
    );
  }
  return checkReturn(disk, command);
}

/** I2: the next boot of a disk, or the last one again; a LOST disk never comes back. */
function checkReturn(disk: DiskRecord, { bootEpoch, bootNonce }: Registration): Refusal | null {
  if (disk.state === 'LOST') {
    return refuse(
      'DISK_REFUSED',
      `Disk ${disk.diskId} of node ${disk.nodeId} was declared lost and cannot come back: ` +
        'give the node an empty data directory, so that it joins with a new disk',
    );
  }
  const isNext = bootEpoch === disk.bootEpoch + 1;
  const isRepeat = bootEpoch === disk.bootEpoch && bootNonce === disk.bootNonce;
  if (isNext || isRepeat) return null;
  const found =
    bootEpoch === disk.bootEpoch
      ? `starts boot ${bootEpoch}, which another process has registered`
      : `starts boot ${bootEpoch}, but boot ${disk.bootEpoch} is registered`;
  return refuse(
    'DISK_REFUSED',
    `Disk ${disk.diskId} ${found}: it is an older state or a copy of the disk; ` +
      'declare it lost and give the node an empty data directory',
  );
}

/** I3: a new disk takes the place of disks that are LOST, never of one that may be alive. */
function checkReplacement(state: MutableMetadata, node: NodeRecord): Refusal | null {
  const current = registeredDiskOf(state, node.nodeId);
  if (current === undefined) return null;
  return refuse(
    'DISK_REFUSED',
    `Node ${node.nodeId} is registered with disk ${current.diskId}, not with ${node.diskId}: ` +
      'start it with that disk, or, if that disk is lost, with --replace-disk',
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

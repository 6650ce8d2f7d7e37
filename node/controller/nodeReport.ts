/** What a node says of itself with each heartbeat. The disk is looked at, too: nobody else does while nothing is written. */
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { HeartbeatRequest } from '../../protocol/peer/requests.ts';
import type { RaftNode } from '../raft/types.ts';
import type { DiskIdentity, StorageEngine } from '../storage/types.ts';
import type { Repair } from './repair.ts';
import type { SegmentManager } from './segmentManager.ts';

export interface Reporter {
  readonly identity: DiskIdentity;
  readonly storage: StorageEngine;
  readonly raft: RaftNode;
  readonly segments: SegmentManager;
  readonly repair: Repair;
}

export function nodeReport(reporter: Reporter, isDraining: boolean): HeartbeatRequest {
  const { identity, storage, raft, segments, repair } = reporter;
  const health = storage.checkDisk();
  const usage = storage.usage();
  return {
    nodeId: identity.nodeId,
    diskId: identity.diskId,
    bootEpoch: identity.bootEpoch,
    appliedIndex: raft.status().lastApplied,
    isDiskWritable: health.state === 'HEALTHY',
    isDiskFull: usage.freeBytes <= 0,
    usedBytes: usage.usedBytes,
    isDraining,
    damagedSegmentIds: storage.damaged().slice(0, DAMAGED_IDS_MAX),
    incompleteCopies: repair.incomplete().size,
    isCatchingUp: repair.isCatchingUp(),
    behindNodeIds: segments.takeBehindNodeIds(),
  };
}

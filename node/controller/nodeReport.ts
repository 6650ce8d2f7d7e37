/** What a node says of itself with each heartbeat. The disk is looked at, too: nobody else does while nothing is written. */
import type { SegmentId } from '../../base/units.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { HeartbeatRequest } from '../../protocol/peer/requests.ts';
import type { RaftNode } from '../raft/types.ts';
import { isUnsealed } from '../state/queries.ts';
import type { Metadata } from '../state/types.ts';
import type { DiskIdentity, StorageEngine } from '../storage/types.ts';
import type { Repair } from './repair.ts';
import type { SegmentManager } from './segmentManager.ts';
import type { MetadataService } from './types.ts';

export interface Reporter {
  readonly identity: DiskIdentity;
  readonly storage: StorageEngine;
  readonly raft: RaftNode;
  readonly metadata: MetadataService;
  readonly segments: SegmentManager;
  readonly repair: Repair;
}

export function nodeReport(reporter: Reporter, isDraining: boolean): HeartbeatRequest {
  const { identity, storage, raft, metadata, segments, repair } = reporter;
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
    damagedSegmentIds: mostUrgent(storage.damaged(), metadata.metadata),
    incompleteCopies: repair.incomplete().size,
    isCatchingUp: repair.isCatchingUp(),
    behindNodeIds: segments.takeBehindNodeIds(),
    unledSegmentIds: segments.takeUnledSegmentIds(),
  };
}

/** Those first that somebody writes to: only the metadata leader can help them, sealed ones are repaired here. */
export function mostUrgent(
  damaged: readonly SegmentId[],
  { segments }: Pick<Metadata, 'segments'>,
): readonly SegmentId[] {
  const isWritten = (id: SegmentId): boolean => {
    const segment = segments.get(id);
    return segment !== undefined && isUnsealed(segment);
  };
  const written = damaged.filter(isWritten);
  return [...written, ...damaged.filter((id) => !isWritten(id))].slice(0, DAMAGED_IDS_MAX);
}

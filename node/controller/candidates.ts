/** The disks that a segment can be put on, as the metadata leader sees them now. */
import { randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { OpenPlan } from '../state/commands.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { registeredDisk } from '../state/queries.ts';
import type { Replication } from '../state/types.ts';
import { choosePlacement } from './placement.ts';
import type { Candidate, PreviousLeader } from './placement.ts';
import type { Sessions } from './sessions.ts';

const TOKEN_BYTES = 16;

/** One candidate for each node whose disk is registered, by node id. */
export function gatherCandidates(metadata: IndexedMetadata, sessions: Sessions): Candidate[] {
  const candidates: Candidate[] = [];
  for (const node of metadata.nodes.values()) {
    const disk = registeredDisk(metadata, node);
    if (disk === undefined) continue;
    const beat = sessions.beatOf(node.nodeId);
    candidates.push({
      place: { nodeId: node.nodeId, diskId: node.diskId },
      bootEpoch: disk.bootEpoch,
      zone: node.zone,
      isHealthy: beat !== null && beat.isDiskWritable && !beat.isDiskFull,
      isDraining: beat?.isDraining ?? false,
      copyCount: metadata.segmentsByDisk.get(node.diskId)?.size ?? 0,
      ledCount: metadata.unsealedByLeader.get(node.nodeId)?.size ?? 0,
    });
  }
  return candidates.sort((a, b) => a.place.nodeId - b.place.nodeId);
}

/** Where the next segment of a partition goes. */
export interface PlanRequest {
  readonly replication: Replication;
  readonly previous: PreviousLeader | null;
}

/**
 * Plans a segment: its places and a token that was never used.
 * @throws {WalrusError} NOT_ENOUGH_REPLICAS
 */
export function planOpen(
  candidates: readonly Candidate[],
  request: PlanRequest,
  random: Random,
): OpenPlan {
  const placement = choosePlacement(candidates, request.replication, request.previous);
  return { token: randomHex(random, TOKEN_BYTES), ...placement };
}

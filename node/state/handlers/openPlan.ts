/** Checks a plan for a new segment, and opens it (DESIGN I4, W1, W7). */
import type { Offset, SegmentId } from '../../../base/units.ts';
import type { OpenPlan } from '../commands.ts';
import type { MutableMetadata, MutableTopic } from '../mutableMetadata.ts';
import { refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import type { Replication } from '../types.ts';
import { isIdentifier } from './names.ts';
import { checkDistinctNodes, checkRegistered, includesPlace } from './places.ts';

/** Why a plan cannot be opened as the state is now, or null. */
export function checkPlan(
  state: MutableMetadata,
  plan: OpenPlan,
  replication: Replication,
): Refusal | null {
  return (
    checkToken(state, plan) ??
    checkSize(plan, replication) ??
    checkDistinctNodes(plan.ensemble) ??
    checkRegistered(state, plan.ensemble) ??
    checkLeader(state, plan)
  );
}

function checkToken(state: MutableMetadata, plan: OpenPlan): Refusal | null {
  if (!isIdentifier(plan.token)) {
    return refuse('MALFORMED', 'Cannot open a segment: a token is 32 lower-case hex digits');
  }
  const user = state.segmentByToken.get(plan.token);
  if (user === undefined) return null;
  return refuse('CONFLICT', `Cannot open a segment: segment ${user} has its session token`);
}

/** W7: W <= n <= R. */
function checkSize(plan: OpenPlan, replication: Replication): Refusal | null {
  const { replicas, ackQuorum } = replication;
  const size = plan.ensemble.length;
  if (size < ackQuorum) {
    return refuse(
      'NOT_ENOUGH_REPLICAS',
      `Cannot open a segment on ${size} disks: its ack quorum needs ${ackQuorum}`,
    );
  }
  if (size > replicas) {
    return refuse('MALFORMED', `Cannot open a segment on ${size} disks: it has ${replicas} copies`);
  }
  return null;
}

/** W1: the leader is the process that the plan was made for, not a later one on the same disk. */
function checkLeader(state: MutableMetadata, plan: OpenPlan): Refusal | null {
  if (!includesPlace(plan.ensemble, plan.leader)) {
    return refuse('MALFORMED', 'Cannot open a segment: its leader is not in its ensemble');
  }
  const bootEpoch = state.disks.get(plan.leader.diskId)?.bootEpoch;
  if (bootEpoch === plan.leaderBootEpoch) return null;
  return refuse(
    'CONFLICT',
    `Cannot open a segment: its leader, node ${plan.leader.nodeId}, has restarted ` +
      `(boot epoch ${bootEpoch ?? 0}, not ${plan.leaderBootEpoch})`,
  );
}

/** Opens a checked plan at the end of a partition. */
export function openSegment(
  state: MutableMetadata,
  at: { topic: MutableTopic; partition: number; baseOffset: Offset; nowMs: number },
  plan: OpenPlan,
): SegmentId {
  const { topic } = at;
  const segmentId = state.takeSegmentId();
  state.putSegment({
    segmentId,
    topic: topic.name,
    topicId: topic.topicId,
    partition: at.partition,
    state: 'OPEN',
    baseOffset: at.baseOffset,
    endOffset: null,
    digest: null,
    epoch: 0,
    token: plan.token,
    leader: plan.leader,
    leaderBootEpoch: plan.leaderBootEpoch,
    ensemble: plan.ensemble,
    partialPlaces: [],
    formerPlaces: [],
    ackQuorum: topic.replication.ackQuorum,
    isUnderReplicated: plan.ensemble.length < topic.replication.replicas,
    openedAtMs: at.nowMs,
    sealedAtMs: null,
    lossy: null,
  });
  topic.partitions[at.partition]?.segments.push(segmentId);
  state.touchTopic(topic.name);
  return segmentId;
}

/** What was observed, put together by node: what the steps of a plan ask about. */
import type { MemberStatus, NodeStatus, Verdict } from '../../protocol/admin/types.ts';
import { BOOTSTRAP_DISK_ANNOTATION, CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import { FIRST_ORDINAL } from '../desired/names.ts';
import { isIdle } from '../observe/types.ts';
import type { Observed, PodView, StatefulSetView } from '../observe/types.ts';

/** One place of the StatefulSet, and the node of the same number. */
export interface Place {
  readonly ordinal: number;
  readonly pod: PodView | null;
  /** What the node says of itself; null when it cannot be asked. */
  readonly node: NodeStatus | null;
  /** What the cluster says of it; null while it is no member. */
  readonly member: MemberStatus | null;
  readonly canRestart: Verdict | null;
  /** Up, ready, and with all that the others have: nothing is waited for. */
  readonly isWhole: boolean;
  /** Of the revision that new pods get. */
  readonly isCurrent: boolean;
}

export interface Situation {
  readonly observed: Observed;
  readonly statefulSet: StatefulSetView | null;
  /** The StatefulSet is what the spec asks for: it is not about to be written. */
  readonly isApplied: boolean;
  /** Those of the StatefulSet's replicas, in order. */
  readonly places: readonly Place[];
  /** The ordinal of the metadata leader. */
  readonly leader: number | null;
  /** The annotations of ADR 0150. */
  readonly clusterId: string | null;
  readonly bootstrapDisk: string | null;
}

export function situationOf(observed: Observed, isApplied = true): Situation {
  const { cluster, statefulSet, admin } = observed;
  const { annotations = {} } = cluster.metadata;
  const leader = admin.cluster?.leader;
  return {
    observed,
    statefulSet,
    isApplied,
    places: Array.from({ length: statefulSet?.replicas ?? 0 }, (_, index) =>
      placeOf(observed, FIRST_ORDINAL + index),
    ),
    leader: leader?.isFresh === true ? leader.nodeId : null,
    clusterId: annotations[CLUSTER_ID_ANNOTATION] ?? null,
    bootstrapDisk: annotations[BOOTSTRAP_DISK_ANNOTATION] ?? null,
  };
}

function placeOf({ pods, admin, statefulSet }: Observed, ordinal: number): Place {
  const pod = pods.find((candidate) => candidate.ordinal === ordinal) ?? null;
  const node = admin.nodes.get(ordinal) ?? null;
  const member = admin.cluster?.nodes.find(({ nodeId }) => nodeId === ordinal) ?? null;
  return {
    ordinal,
    pod,
    node,
    member,
    canRestart: admin.canRestart.get(ordinal) ?? null,
    isWhole: isUp(pod) && node?.phase === 'Serving' && isInStep(member),
    isCurrent: pod !== null && pod.revision === statefulSet?.updateRevision,
  };
}

function isUp(pod: PodView | null): boolean {
  return pod?.isReady === true && !pod.isDeleting;
}

function isInStep(member: MemberStatus | null): boolean {
  return member?.isAlive === true && member.isCaughtUp;
}

/** Whether the StatefulSet's status speaks of the wanted template: before that nobody knows which pods are old. */
export function isRevisionKnown({ statefulSet, isApplied }: Situation): boolean {
  return (
    isApplied && statefulSet !== null && statefulSet.observedGeneration === statefulSet.generation
  );
}

/**
 * It is known to serve nothing, so that its restart costs nothing. That a pod is not ready says little: its host, or all of
 * them, may only be cut off from the API server and from us, and serve on.
 */
export function servesNothing({ leader }: Situation, { pod, node, member }: Place): boolean {
  if (pod === null || pod.isReady || member?.isAlive === true) return false;
  if (node !== null) return isIdle(node);
  return pod.trouble !== null || pod.phase === 'Pending' || leader !== null;
}

/** spec.upgrade.strategy: all pods are kept on what they run. */
export function isPaused({ observed }: Situation): boolean {
  return observed.cluster.spec.upgrade?.strategy === 'Paused';
}

/** It has no host: it has not run, whatever it is made of. */
export function isUnschedulable({ phase, trouble }: PodView): boolean {
  return phase === 'Pending' && trouble === 'Unschedulable';
}

/**
 * Its pod has no host, and none to go back to. Given the host of a pod that is restarted it would take it, and that one, whose volume is
 * there, could not come back.
 */
export function isHomeless({ observed }: Situation, { ordinal, pod, member }: Place): boolean {
  if (pod !== null && (pod.phase !== 'Pending' || pod.nodeName !== null)) return false;
  const claim = observed.claims.find((candidate) => candidate.ordinal === ordinal);
  const neverJoined = observed.admin.cluster !== null && member === null;
  return neverJoined || (claim?.volumeName ?? null) === null;
}

/** Who would take the host of a pod that is restarted; before the cluster has begun nothing is lost by it. */
export function homelessPlace(situation: Situation): Place | null {
  if (situation.bootstrapDisk === null) return null;
  return situation.places.find((place) => isHomeless(situation, place)) ?? null;
}

/** A pod of the new revision that does not run; null: none is known. */
export function failingPlace(situation: Situation): Place | null {
  const isFailing = ({ isCurrent, pod }: Place): boolean => {
    if (!isCurrent || pod === null || pod.trouble === null || pod.isReady) return false;
    // One that finds no host says nothing about what it is made of: it is waited for.
    return !isUnschedulable(pod);
  };
  return situation.places.find(isFailing) ?? stillFailing(situation);
}

/** Between two crashes its container runs for a moment: it fails until it is ready, or another template is wanted. */
export function stillFailing({ places, observed }: Situation): Place | null {
  const said = lastFailure(observed);
  const isStill = ({ pod, isCurrent }: Place): boolean =>
    isCurrent && pod?.isReady === false && said?.startsWith(failureOf(pod)) === true;
  return places.find(isStill) ?? null;
}

/** How what is said of it begins: by that it is known again, whatever else was told meanwhile. */
export function failureOf({ name }: PodView): string {
  return `${name} of the new revision does not run`;
}

/** What was said last of a revision that does not run. */
export function lastFailure({ cluster }: Observed): string | null {
  const blocked = cluster.status?.conditions.find(({ type }) => type === 'UpgradeBlocked');
  const isFailure = blocked?.status === 'True' && blocked.reason === 'NewRevisionFails';
  return isFailure ? blocked.message : null;
}

/**
 * More nodes: one after the other, each a whole member before the next. Fewer: not done by this version, but for places at the
 * end that were never more than a pod without a host.
 */
import { FIRST_ORDINAL } from '../desired/names.ts';
import { placesHeld } from '../observe/types.ts';
import type { StatefulSetView } from '../observe/types.ts';
import { isUnschedulable } from './situation.ts';
import type { Place, Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Finding, Step } from './step.ts';
import type { Operation, RiskyAction } from './types.ts';

export function scale(situation: Situation): Step | null {
  const { observed, statefulSet, bootstrapDisk } = situation;
  if (statefulSet === null) return null;
  const wanted = observed.cluster.spec.replicas;
  const { replicas } = statefulSet;
  const held = placesHeld(observed);
  // Members, or volumes of an earlier life: with fewer nodes some of the data would be out of reach.
  if (bootstrapDisk !== null && replicas < held) {
    const findings = wanted < held ? [refusal(held, wanted)] : [];
    return { ...to(statefulSet, held), findings };
  }
  if (wanted < replicas && isTakenBack(situation)) return takingBack(statefulSet);
  if (wanted < Math.max(replicas, held)) {
    const finding = refusal(Math.max(replicas, held), wanted, bootstrapDisk !== null);
    return { findings: [finding], isLast: false };
  }
  return grow(situation, statefulSet, wanted);
}

function grow(situation: Situation, statefulSet: StatefulSetView, wanted: number): Step | null {
  const { places, bootstrapDisk, observed } = situation;
  const { replicas } = statefulSet;
  // No cluster yet, and so nothing to wait for: all of them wait to be begun.
  if (bootstrapDisk === null) {
    return wanted === replicas ? null : beginningWith(statefulSet, wanted);
  }
  // Who is a member is not known: the rest of the plan waits for the nodes.
  if (observed.admin.cluster === null) return null;
  const joining = places.find(({ member }) => member === null);
  if (joining !== undefined) {
    const kind =
      observed.cluster.status?.operation?.kind === 'Bootstrap' ? 'Bootstrap' : 'ScaleOut';
    return { ...waitingFor(joining, 'to join', kind), isAside: true };
  }
  if (wanted === replicas) return null;
  const missing = places.find(({ isWhole }) => !isWhole);
  if (missing !== undefined) return { ...waitingFor(missing, 'to serve'), isAside: true };
  return to(statefulSet, replicas + 1);
}

/**
 * The last place is, as a leader knows it, of no member, and cannot be about to be one: its pod has no host, and its claim no
 * volume, without which it does not start.
 */
function isTakenBack({ observed, places, leader, bootstrapDisk }: Situation): boolean {
  const last = places.at(-1);
  // Before the cluster has begun nobody joins.
  if (last === undefined || (bootstrapDisk !== null && leader === null)) return false;
  const { ordinal, pod, node, member } = last;
  const isUnknown = member === null && node === null && ordinal > placesHeld(observed);
  return isUnknown && (pod === null || isUnschedulable(pod));
}

function risky({ replicas, uid, resourceVersion }: StatefulSetView, size: number): RiskyAction {
  return { type: 'Scale', from: replicas, to: size, uid, resourceVersion };
}

function to(statefulSet: StatefulSetView, size: number): Step {
  const message = `Growing from ${statefulSet.replicas} to ${size} nodes`;
  return {
    risky: risky(statefulSet, size),
    operation: { kind: 'ScaleOut', ordinal: size, step: `adding node ${size}`, blockedBy: null },
    events: [{ type: 'Normal', reason: 'ScalingOut', message }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** Another size is wanted of what has not begun. */
function beginningWith(statefulSet: StatefulSetView, size: number): Step {
  const step = `making ${size} pods`;
  return {
    risky: risky(statefulSet, size),
    operation: { kind: 'Bootstrap', ordinal: FIRST_ORDINAL, step, blockedBy: null },
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

function takingBack(statefulSet: StatefulSetView): Step {
  const ordinal = statefulSet.replicas;
  const step = `taking back node ${ordinal}, which found no host and never joined`;
  const message = `Taking back node ${ordinal}, which found no host and never joined`;
  return {
    risky: risky(statefulSet, ordinal - 1),
    operation: { kind: 'ScaleIn', ordinal, step, blockedBy: null },
    events: [{ type: 'Normal', reason: 'ScalingIn', message }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** What is waited for does not keep the other nodes from being mended or rolled. */
function waitingFor(
  { ordinal, pod }: Place,
  what: string,
  kind: Operation['kind'] = 'ScaleOut',
): Step {
  const step = `waiting for node ${ordinal} ${what}`;
  return {
    operation: { kind, ordinal, step, blockedBy: pod?.trouble ?? null },
    requeueAfterMs: POLL_MS,
    isLast: false,
  };
}

function refusal(from: number, wanted: number, hasBegun = true): Finding {
  const what = hasBegun
    ? `The cluster has ${from} nodes`
    : `There are pods with hosts, or volumes, of ${from} nodes, though the cluster has not begun`;
  const message =
    `${what}, and taking nodes away is not supported by this version: nothing is done. ` +
    `Set spec.replicas to ${from} (it is ${wanted})`;
  return { type: 'ConfigurationValid', reason: 'ScaleInNotSupported', message };
}

/**
 * A changed template reaches the pods one at a time: who is not ready first, the metadata leader last. Each restart
 * waits until the node before is whole again, and is asked of the nodes. A pod of the new revision that does not come
 * up stops the roll where it is.
 */
import { durationMs } from '../desired/duration.ts';
import {
  failingPlace,
  failureOf,
  homelessPlace,
  isPaused,
  isRevisionKnown,
  isUnschedulable,
  lastFailure,
  stillFailing,
} from './situation.ts';
import type { Place, Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Finding, Step } from './step.ts';
import type { Operation } from './types.ts';

const CATCH_UP_TIMEOUT = '10m';
const OF_WHICH_WAITS_ARE_PART = ['Roll', 'Bootstrap', 'ScaleOut'] as const;

export function roll(situation: Situation): Step | null {
  if (!isRevisionKnown(situation)) return takingUp(situation);
  const outdated = situation.places.filter(({ pod, isCurrent }) => pod !== null && !isCurrent);
  if (outdated.length === 0) return last(situation);
  if (isPaused(situation)) {
    const message = `${outdated.length} nodes wait for a change: spec.upgrade.strategy is Paused`;
    return blocked(null, { type: 'UpgradeBlocked', reason: 'StrategyPaused', message });
  }
  return (
    newRevisionFails(situation) ??
    unready(situation, outdated) ??
    comingUp(situation, true) ??
    next(situation, outdated)
  );
}

/** No pod is old any more. The last one that a roll restarted is part of it until it is whole. */
function last(situation: Situation): Step | null {
  const isRolling = wasRolling(situation) || lastFailure(situation.observed) !== null;
  return (isRolling ? newRevisionFails(situation) : null) ?? comingUp(situation, isRolling);
}

/** Another change on the way: nobody knows yet whom it concerns, and the roll is not over. */
function takingUp(situation: Situation): Step | null {
  if (!wasRolling(situation)) return null;
  return {
    operation: operation(null, 'applying the changed template'),
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

function operation(
  ordinal: number | null,
  step: string,
  blockedBy: string | null = null,
): Operation {
  return { kind: 'Roll', ordinal, step, blockedBy };
}

function blocked(ordinal: number | null, finding: Finding): Step {
  return {
    operation: operation(ordinal, 'stopped', finding.reason),
    findings: [finding],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** A member that is not whole, and is waited for. */
function comingUp(situation: Situation, isRolling: boolean): Step | null {
  if (isSilent(situation)) {
    const kind = kindOf(situation, null);
    const step = 'waiting for the nodes to answer';
    return {
      operation: { kind: isRolling ? 'Roll' : kind, ordinal: null, step, blockedBy: null },
      requeueAfterMs: POLL_MS,
      isLast: true,
    };
  }
  // Who never was a member is not the roll's concern.
  const down = situation.places.find(({ isWhole, member }) => member !== null && !isWhole);
  if (down === undefined) return null;
  if (isRolling && down.isCurrent && isLate(situation, down)) {
    const trouble = down.pod === null || down.pod.trouble === null ? '' : ` (${down.pod.trouble})`;
    const message = `Node ${down.ordinal} has not caught up within ${timeoutOf(situation)}${trouble}: the roll waits until it has`;
    return blocked(down.ordinal, { type: 'UpgradeBlocked', reason: 'CatchUpTimedOut', message });
  }
  return {
    operation: {
      kind: isRolling ? 'Roll' : kindOf(situation, down.ordinal),
      ordinal: down.ordinal,
      step: `waiting for node ${down.ordinal} to serve again`,
      blockedBy: down.pod?.trouble ?? null,
    },
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** It has begun, and no node says anything of it. */
function isSilent({ observed, bootstrapDisk }: Situation): boolean {
  return bootstrapDisk !== null && observed.admin.cluster === null;
}

/**
 * What a wait is part of. The last of a roll is part of it until it is whole, and so is a new node of the beginning, or of
 * growing; one that was whole before has been lost.
 */
function kindOf({ observed }: Situation, ordinal: number | null): Operation['kind'] {
  const { operation: last, nodes = [] } = observed.cluster.status ?? {};
  const wasWhole = nodes.some(
    ({ nodeId, ready, caughtUp }) =>
      ready && caughtUp === true && (ordinal === null || ordinal === nodeId),
  );
  const kind = OF_WHICH_WAITS_ARE_PART.find((candidate) => candidate === last?.kind);
  return kind === undefined || (wasWhole && kind !== 'Roll') ? 'Recover' : kind;
}

/** A pod of the new revision that does not run. */
function newRevisionFails(situation: Situation): Step | null {
  const failing = failingPlace(situation);
  if (failing?.pod === undefined || failing.pod === null) return null;
  const { ordinal, pod } = failing;
  const what = failureOf(pod);
  const said = lastFailure(situation.observed);
  // Its trouble changes with each crash; what is said of it does not.
  const message =
    said?.startsWith(what) === true
      ? said
      : `${what} (${pod.trouble}): the roll stops. Revert the change, or mend it`;
  return blocked(ordinal, { type: 'UpgradeBlocked', reason: 'NewRevisionFails', message });
}

/** In a pass that comes to no judgement: what was said of a pod that has not become ready since. */
export function stillSaid(situation: Situation, findings: readonly Finding[]): readonly Finding[] {
  const message = lastFailure(situation.observed);
  if (message === null || stillFailing(situation) === null) return [];
  if (findings.some(({ type }) => type === 'UpgradeBlocked')) return [];
  return [{ type: 'UpgradeBlocked', reason: 'NewRevisionFails', message }];
}

function wasRolling({ observed }: Situation): boolean {
  return observed.cluster.status?.operation?.kind === 'Roll';
}

function timeoutOf({ observed }: Situation): string {
  return observed.cluster.spec.upgrade?.catchUpTimeout ?? CATCH_UP_TIMEOUT;
}

/** Counted from its restart, or from when it was first seen behind: that is when the roll came to wait for it. */
function isLate(situation: Situation, { ordinal }: Place): boolean {
  const { cluster, nowMs } = situation.observed;
  const { operation: last } = cluster.status ?? {};
  if (last?.kind !== 'Roll' || last.ordinal !== ordinal) return false;
  return nowMs - Date.parse(last.startedAt) > durationMs(timeoutOf(situation));
}

/**
 * A member that is not whole with what it runs (not ready, drained by hand, behind): to wait for it might be in vain. Not
 * while one of the new revision is not whole: a revision that is no good stays where it is.
 */
function unready(situation: Situation, outdated: readonly Place[]): Step | null {
  const isComing = situation.places.some(
    ({ isCurrent, isWhole, member }) => isCurrent && !isWhole && member !== null,
  );
  if (isComing) return null;
  const place = outdated.find(
    ({ pod, member, isWhole }) => member !== null && !isWhole && pod?.isDeleting === false,
  );
  return place?.canRestart?.isAllowed === true ? restart(situation, place) : null;
}

/** All members are whole: the next one. Who never was one is not waited for: it is made anew once it is known to serve nothing. */
function next(situation: Situation, outdated: readonly Place[]): Step | null {
  const isKnown = situation.observed.admin.cluster !== null;
  const members = outdated.filter(({ member }) => member !== null);
  if (isKnown && members.length === 0) return null;
  const others = members.filter(({ ordinal }) => ordinal !== situation.leader);
  return restart(situation, others.at(-1) ?? members[0]);
}

function restart(situation: Situation, place: Place | undefined): Step {
  const { leader, observed } = situation;
  if (place?.pod === undefined || place.pod === null) return unknown('the nodes cannot be asked');
  const { ordinal, pod, canRestart } = place;
  const epoch = observed.admin.cluster?.epoch;
  if (leader === null || epoch === undefined) return unknown('the metadata have no leader');
  const homeless = homelessPlace(situation);
  if (homeless !== null) return hostWanted(ordinal, homeless);
  if (canRestart === null) return unknown(`whether node ${ordinal} can be restarted is not known`);
  if (!canRestart.isAllowed) {
    const message = `Node ${ordinal} cannot be restarted now (${canRestart.reason}): ${canRestart.message}`;
    return blocked(ordinal, { type: 'UpgradeBlocked', reason: 'RestartRefused', message });
  }
  if (ordinal === leader && hasHeir(situation, leader)) {
    return {
      risky: { type: 'TransferLeadership', from: leader, epoch },
      operation: operation(ordinal, `moving the metadata leadership off node ${ordinal}`),
      requeueAfterMs: POLL_MS,
      isLast: true,
    };
  }
  const why = 'its template has changed';
  return {
    risky: {
      type: 'RestartPod',
      ordinal,
      name: pod.name,
      uid: pod.uid,
      isGated: true,
      isWithinBudget: isBudgetOfMembers(situation),
      epoch: canRestart.epoch,
      why,
    },
    operation: operation(ordinal, `restarting ${pod.name}`),
    events: [
      {
        type: 'Normal',
        reason: 'RestartingPod',
        message: `Restarting ${pod.name}: ${why}`,
        subject: pod.uid,
      },
    ],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** Between its creation and the scheduler's word a pod only waits. */
function hostWanted(ordinal: number, { ordinal: homeless, pod }: Place): Step {
  if (pod === null || !isUnschedulable(pod)) return unknown(`node ${homeless} has no host yet`);
  const message =
    `Node ${homeless} finds no host, and would take that of node ${ordinal}, if it were restarted, whose volume is there. ` +
    `Give node ${homeless} a host, or set spec.replicas back if it is the last one`;
  return blocked(ordinal, { type: 'UpgradeBlocked', reason: 'NodeWithoutHost', message });
}

/**
 * A pod that never was a member and is not ready uses the budget up, for ever, and says nothing about the members. Nobody else can evict
 * one of them meanwhile.
 */
function isBudgetOfMembers({ places }: Situation): boolean {
  return places.every(({ pod, member }) => member !== null || pod?.isReady === true);
}

/** Another voter: with none, the metadata are without a leader while the only one restarts, as whoever wanted one chose. */
function hasHeir({ observed }: Situation, leader: number): boolean {
  const { nodes } = observed.admin.cluster ?? { nodes: [] };
  return nodes.some(({ nodeId, role }) => role === 'Voter' && nodeId !== leader);
}

function unknown(why: string): Step {
  return { operation: operation(null, 'waiting', why), requeueAfterMs: POLL_MS, isLast: true };
}

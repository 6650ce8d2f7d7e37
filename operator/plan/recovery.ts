/**
 * A pod that serves nothing and is of another revision than new pods get: it was stopped by what it was made with, and
 * the StatefulSet, which replaces nothing by itself, would leave it so. That is how reverting a bad change heals.
 * It may as well be starting again for a reason of its own: it is not moved to what does not run, or is not seen to run yet.
 */
import type { PodView } from '../observe/types.ts';
import {
  failingPlace,
  homelessPlace,
  isHomeless,
  isPaused,
  isRevisionKnown,
  isUnschedulable,
  servesNothing,
} from './situation.ts';
import type { Place, Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Step } from './step.ts';

/** Twice as long as the kubelet ever waits before it starts a container again. */
const LASTING_MS = 600_000;
/** In which a pod does not come back by itself. An image that cannot be pulled can be once its registry is there again. */
const LASTING_TROUBLES: ReadonlySet<string | null> = new Set([
  'CrashLoopBackOff',
  'CreateContainerConfigError',
  'Error',
  'InvalidImageName',
  'OOMKilled',
]);

export function recover(situation: Situation): Step | null {
  if (!isRevisionKnown(situation) || isPaused(situation)) return null;
  const isHostWanted = homelessPlace(situation) !== null;
  const broken = situation.places.find(
    (place) =>
      !place.isCurrent &&
      servesNothing(situation, place) &&
      place.pod?.isDeleting === false &&
      isToBeMoved(situation, place) &&
      (!isHostWanted || isHomeless(situation, place)),
  );
  if (broken?.pod === undefined || broken.pod === null) return null;
  const { name, uid, trouble } = broken.pod;
  const { ordinal } = broken;
  const why = `it serves nothing (${trouble ?? 'not ready'}) and is of an old revision`;
  return {
    risky: {
      type: 'RestartPod',
      ordinal,
      name,
      uid,
      isGated: false,
      isWithinBudget: false,
      epoch: null,
      why,
    },
    operation: { kind: 'Recover', ordinal, step: `restarting ${name}`, blockedBy: null },
    events: [
      {
        type: 'Normal',
        reason: 'RestartingPod',
        message: `Restarting ${name}: ${why}`,
        subject: uid,
      },
    ],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** A revision that does not run, or is not known to, is given only to what does not come back with what it runs. */
function isToBeMoved(situation: Situation, { pod }: Place): boolean {
  if (pod === null) return false;
  const isLong = situation.observed.nowMs - stoppedAtMs(pod) > LASTING_MS;
  if (isLong && LASTING_TROUBLES.has(pod.trouble)) return true;
  const failing = failingPlace(situation);
  if (failing !== null) return isLong && !mayComeBack(pod, failing);
  const coming = situation.places.filter((place) => isComing(situation, place));
  return coming.every((place) => !mayComeBack(pod, place));
}

/**
 * Of the wanted revision, and not whole: it may hang for ever without being in any trouble. A node that waits to join runs, and one
 * without a host says nothing about its revision.
 */
function isComing({ observed, bootstrapDisk }: Situation, place: Place): boolean {
  const { pod, isCurrent, isWhole, member, node } = place;
  if (!isCurrent || isWhole || node?.phase === 'Joining') return false;
  if (pod === null || isUnschedulable(pod)) return false;
  return member !== null || (observed.admin.cluster === null && bootstrapDisk !== null);
}

/** It ran when the newer revision was tried, and may again. After a revert it is itself the newer one, or was broken before. */
function mayComeBack(old: PodView, { pod: tried }: Place): boolean {
  if (tried === null || old.createdAtMs > tried.createdAtMs) return false;
  return stoppedAtMs(old) >= tried.createdAtMs || old.trouble === null;
}

function stoppedAtMs({ readyChangedAtMs, createdAtMs }: PodView): number {
  return readyChangedAtMs ?? createdAtMs;
}

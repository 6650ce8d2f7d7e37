/**
 * A pod that serves nothing and is of another revision than new pods get: it was stopped by what it was made with, and
 * the StatefulSet, which replaces nothing by itself, would leave it so. That is how reverting a bad change heals.
 * It may as well be starting again for a reason of its own: it is never moved to what is known not to run.
 */
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

export function recover(situation: Situation): Step | null {
  if (!isRevisionKnown(situation) || isPaused(situation)) return null;
  const isFailing = failingPlace(situation) !== null;
  const isHostWanted = homelessPlace(situation) !== null;
  const broken = situation.places.find(
    (place) =>
      !place.isCurrent &&
      servesNothing(situation, place) &&
      place.pod?.isDeleting === false &&
      (!isFailing || isBrokenForLong(situation, place)) &&
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

/** With what it runs it does not come back: even a revision that fails elsewhere takes nothing away. */
function isBrokenForLong({ observed }: Situation, { pod }: Place): boolean {
  if (pod === null || pod.trouble === null || isUnschedulable(pod)) return false;
  return observed.nowMs - (pod.readyChangedAtMs ?? pod.createdAtMs) > LASTING_MS;
}

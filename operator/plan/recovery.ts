/**
 * A pod that serves nothing and is of another revision than new pods get: it was stopped by what it was made with, and
 * the StatefulSet, which replaces nothing by itself, would leave it so. That is how reverting a bad change heals.
 */
import { isRevisionKnown, servesNothing } from './situation.ts';
import type { Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Step } from './step.ts';

export function recover(situation: Situation): Step | null {
  if (!isRevisionKnown(situation)) return null;
  const broken = situation.places.find(
    (place) =>
      !place.isCurrent && servesNothing(situation, place) && place.pod?.isDeleting === false,
  );
  if (broken?.pod === undefined || broken.pod === null) return null;
  const { name, uid, trouble } = broken.pod;
  const { ordinal } = broken;
  const why = `it serves nothing (${trouble ?? 'not ready'}) and is of an old revision`;
  return {
    risky: { type: 'RestartPod', ordinal, name, uid, isGated: false, epoch: null, why },
    operation: { kind: 'Recover', ordinal, step: `restarting ${name}`, blockedBy: null },
    events: [{ type: 'Normal', reason: 'RestartingPod', message: `Restarting ${name}: ${why}` }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

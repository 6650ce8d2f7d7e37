/** More nodes: one after the other, each a whole member before the next. Fewer: not done by this version. */
import type { Place, Situation } from './situation.ts';
import { POLL_MS } from './step.ts';
import type { Step } from './step.ts';
import type { Operation, RiskyAction } from './types.ts';

export function scale(situation: Situation): Step | null {
  const { observed, statefulSet, places, bootstrapDisk } = situation;
  if (statefulSet === null) return null;
  const wanted = observed.cluster.spec.replicas;
  const held = observed.claims.reduce((most, { ordinal }) => Math.max(most, ordinal), 0);
  // Volumes of an earlier life: with fewer nodes some of its data would be out of reach.
  if (wanted < statefulSet.replicas || wanted < held) {
    return refused(Math.max(statefulSet.replicas, held), wanted);
  }
  // Members that are down for want of a pod: the cluster was made again on its volumes.
  if (bootstrapDisk !== null && statefulSet.replicas < held) {
    return to(situation, statefulSet.replicas, held);
  }
  // No cluster yet, and so nothing to wait for: all of them wait to be begun.
  if (bootstrapDisk === null) {
    return wanted === statefulSet.replicas ? null : to(situation, statefulSet.replicas, wanted);
  }
  const joining = places.filter(({ member }) => member === null);
  const next = joining[0];
  if (next !== undefined) return waitingFor(next, 'to join');
  if (wanted === statefulSet.replicas) return null;
  const missing = places.find(({ isWhole }) => !isWhole);
  if (missing !== undefined) return waitingFor(missing, 'to serve');
  return to(situation, statefulSet.replicas, statefulSet.replicas + 1);
}

function operation(ordinal: number, step: string, blockedBy: string | null = null): Operation {
  return { kind: 'ScaleOut', ordinal, step, blockedBy };
}

function to({ statefulSet }: Situation, from: number, size: number): Step | null {
  if (statefulSet === null) return null;
  const { uid, resourceVersion } = statefulSet;
  const risky: RiskyAction = { type: 'Scale', from, to: size, uid, resourceVersion };
  const message = `Growing from ${from} to ${size} nodes`;
  return {
    risky,
    operation: operation(size, `adding node ${size}`),
    events: [{ type: 'Normal', reason: 'ScalingOut', message }],
    requeueAfterMs: POLL_MS,
    isLast: true,
  };
}

/** What is waited for does not keep the other nodes from being mended or rolled. */
function waitingFor({ ordinal, pod }: Place, what: string): Step {
  return {
    operation: operation(ordinal, `waiting for node ${ordinal} ${what}`, pod?.trouble ?? null),
    requeueAfterMs: POLL_MS,
    isLast: false,
  };
}

function refused(from: number, to_: number): Step {
  const message =
    `The cluster has ${from} nodes, and taking nodes away is not supported by this version: nothing is done. ` +
    `Set spec.replicas to ${from} (it is ${to_})`;
  return {
    findings: [{ type: 'ConfigurationValid', reason: 'ScaleInNotSupported', message }],
    isLast: false,
  };
}

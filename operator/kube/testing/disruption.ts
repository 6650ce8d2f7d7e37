/** Evictions, as the API server decides them by PodDisruptionBudgets; what their controller says is computed at once. */
import type { Stored } from '../listWatch.ts';
import { matches } from './address.ts';

interface Budget {
  readonly maxUnavailable: number;
  readonly unhealthyPodEvictionPolicy?: 'AlwaysAllow' | 'IfHealthyBudget';
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
}

export interface Namespace {
  readonly pods: readonly Stored[];
  readonly budgets: readonly Stored[];
  /** How many pods the StatefulSets want. */
  readonly sets: readonly Stored[];
}

export function isReady(pod: Stored): boolean {
  const { conditions = [] } = (pod['status'] ?? {}) as {
    conditions?: readonly { readonly type: string; readonly status: string }[];
  };
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}

function isHealthy(pod: Stored): boolean {
  return isReady(pod) && pod.metadata['deletionTimestamp'] === undefined;
}

/** Whether every budget of the pod allows it. What does not run, or is going anyhow, no budget keeps. */
export function mayBeEvicted(pod: Stored, { pods, budgets, sets }: Namespace): boolean {
  const { phase } = (pod['status'] ?? {}) as { phase?: string };
  if (phase === 'Pending' || pod.metadata['deletionTimestamp'] !== undefined) return true;
  return budgets
    .map((budget) => budget['spec'] as Budget)
    .filter(({ selector }) => isOf(selector, pod))
    .every(({ maxUnavailable, unhealthyPodEvictionPolicy, selector }) => {
      if (unhealthyPodEvictionPolicy === 'AlwaysAllow' && !isReady(pod)) return true;
      const guarded = pods.filter((other) => isOf(selector, other));
      const owners = new Set(guarded.flatMap((other) => ownersOf(other)));
      const expected = sets
        .filter(({ metadata }) => owners.has(metadata.uid))
        .reduce((sum, set) => sum + (set['spec'] as { replicas: number }).replicas, 0);
      const healthy = guarded.filter(isHealthy).length;
      return healthy > Math.max(expected, guarded.length) - maxUnavailable;
    });
}

function isOf({ matchLabels }: Budget['selector'], pod: Stored): boolean {
  const selector = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  return matches(selector.join(','), pod);
}

function ownersOf({ metadata }: Stored): readonly string[] {
  const owners = (metadata['ownerReferences'] ?? []) as readonly { readonly uid: string }[];
  return owners.map(({ uid }) => uid);
}

/** The status to write: as the last one, except for what has changed. */
import type { Condition } from '../api/conditions.ts';
import type { WalrusClusterStatus } from '../api/walrusCluster.ts';
import { podName, selectorOf } from '../desired/names.ts';
import type { Desired } from '../desired/types.ts';
import type { Observed } from '../observe/types.ts';
import { situationOf } from './situation.ts';
import type { Place } from './situation.ts';
import type { Plan } from './types.ts';

export function statusOf(desired: Desired, observed: Observed, plan: Plan): WalrusClusterStatus {
  const { cluster, nowMs } = observed;
  const { places, leader, clusterId } = situationOf(observed);
  const now = new Date(nowMs).toISOString();
  const versions = new Set(places.map(({ node }) => node?.version ?? null));
  const [version] = versions;
  return {
    observedGeneration: cluster.metadata.generation,
    replicas: places.length,
    readyReplicas: places.filter(({ pod }) => pod?.isReady === true).length,
    selector: Object.entries(selectorOf(cluster))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    ...(versions.size === 1 && typeof version === 'string' ? { version } : {}),
    ...(desired.version === null ? {} : { targetVersion: desired.version }),
    ...(clusterId === null ? {} : { clusterId }),
    ...(leader === null ? {} : { leader: podName(cluster, leader) }),
    nodes: places.map((place) => nodeStatus(observed, place)),
    ...operationOf(cluster.status, plan, now),
    conditions: conditions(cluster.status, plan, now),
  };
}

function nodeStatus(
  { cluster }: Observed,
  { ordinal, pod, node, member }: Place,
): WalrusClusterStatus['nodes'][number] {
  return {
    nodeId: ordinal,
    pod: podName(cluster, ordinal),
    ready: pod?.isReady === true,
    ...(node === null ? {} : { phase: node.phase, version: node.version }),
    ...(node === null || node.diskId === null ? {} : { diskId: node.diskId }),
    ...(member === null ? {} : { role: member.role, caughtUp: member.isCaughtUp }),
    ...(member === null || member.zone === '' ? {} : { zone: member.zone }),
  };
}

function operationOf(
  last: WalrusClusterStatus | undefined,
  { operation }: Plan,
  now: string,
): Pick<WalrusClusterStatus, 'operation'> {
  if (operation === null) return {};
  const { kind, ordinal, step, blockedBy } = operation;
  const before = last?.operation;
  const isSame = before?.kind === kind && before.ordinal === (ordinal ?? undefined);
  const startedAt = isSame ? before.startedAt : now;
  return {
    operation: {
      kind,
      ...(ordinal === null ? {} : { ordinal }),
      step,
      startedAt,
      ...(blockedBy === null ? {} : { blockedBy }),
    },
  };
}

/** A condition's time is that of its last change of status, as Kubernetes has it. */
function conditions(
  last: WalrusClusterStatus | undefined,
  plan: Plan,
  now: string,
): readonly Condition[] {
  return plan.conditions.map((condition) => {
    const before = last?.conditions.find(({ type }) => type === condition.type);
    const isSame = before?.status === condition.status;
    return { ...condition, lastTransitionTime: isSame ? before.lastTransitionTime : now };
  });
}

/** Objects of the API server as a plan sees them. */
import { BOOTSTRAP_DISK_ANNOTATION, CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { DATA, FIRST_ORDINAL, claimName, namesOf, podName } from '../desired/names.ts';
import type { Stored } from '../kube/listWatch.ts';
import type { ChildView, ClaimView, PodView, StatefulSetView } from './types.ts';

interface Meta {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly {
    readonly kind?: string;
    readonly name?: string;
    readonly uid: string;
    readonly controller?: boolean;
  }[];
}

function metaOf(object: Stored): Meta {
  return object.metadata as unknown as Meta;
}

export function isOwnedBy(object: Stored, uid: string): boolean {
  return (metaOf(object).ownerReferences ?? []).some(
    (owner) => owner.controller === true && owner.uid === uid,
  );
}

export function childView(kind: string, object: Stored, cluster: WalrusCluster): ChildView {
  const { name, uid, resourceVersion, deletionTimestamp } = metaOf(object);
  return {
    kind,
    name,
    uid,
    resourceVersion,
    object,
    isOwned: isOwnedBy(object, cluster.metadata.uid),
    isDeleting: deletionTimestamp !== undefined,
  };
}

export function statefulSetView(object: Stored, cluster: WalrusCluster): StatefulSetView {
  const { spec, status } = object as unknown as {
    spec: { replicas?: number };
    status?: { updateRevision?: string; observedGeneration?: number };
  };
  return {
    ...childView('StatefulSet', object, cluster),
    replicas: spec.replicas ?? 1,
    updateRevision: status?.updateRevision ?? '',
    observedGeneration: status?.observedGeneration ?? 0,
    generation: metaOf(object).generation ?? 0,
  };
}

/** `sea-3` -> 3, and null for the pods of others. */
function ordinalOf(name: string, nameOf: (ordinal: number) => string): number | null {
  const ordinal = Number(name.slice(name.lastIndexOf('-') + 1));
  if (!Number.isInteger(ordinal) || ordinal < FIRST_ORDINAL) return null;
  return nameOf(ordinal) === name ? ordinal : null;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string };
  readonly terminated?: { readonly reason?: string };
}
interface PodStatus {
  readonly phase?: PodView['phase'];
  readonly podIP?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
    readonly lastTransitionTime?: string;
  }[];
  readonly containerStatuses?: readonly {
    readonly restartCount?: number;
    readonly state?: ContainerState;
  }[];
}

/** What every pod goes through: no trouble. */
const ORDINARY = new Set(['ContainerCreating', 'PodInitializing']);

type Conditions = PodStatus['conditions'];

function conditionOf(conditions: Conditions, type: string): NonNullable<Conditions>[number] | null {
  return conditions?.find((condition) => condition.type === type) ?? null;
}

function troubleOf({ containerStatuses, conditions }: PodStatus): string | null {
  const { waiting, terminated } = containerStatuses?.[0]?.state ?? {};
  const reason = waiting?.reason ?? terminated?.reason;
  if (reason !== undefined && !ORDINARY.has(reason)) return reason;
  const scheduled = conditionOf(conditions, 'PodScheduled');
  return scheduled?.status === 'False' ? (scheduled.reason ?? 'Unschedulable') : null;
}

export function podView(object: Stored, cluster: WalrusCluster): PodView | null {
  const { name, uid, resourceVersion, labels, creationTimestamp, deletionTimestamp } =
    metaOf(object);
  const ordinal = ordinalOf(name, (candidate) => podName(cluster, candidate));
  if (ordinal === null) return null;
  const { spec, status = {} } = object as unknown as {
    spec: { nodeName?: string };
    status?: PodStatus;
  };
  return {
    ordinal,
    name,
    uid,
    resourceVersion,
    revision: labels?.['controller-revision-hash'] ?? '',
    isDeleting: deletionTimestamp !== undefined,
    nodeName: spec.nodeName ?? null,
    createdAtMs: Date.parse(creationTimestamp),
    ...statusView(status),
  };
}

type StatusView = Pick<
  PodView,
  'phase' | 'isReady' | 'ip' | 'trouble' | 'restarts' | 'readyChangedAtMs'
>;

function statusView(status: PodStatus): StatusView {
  const ready = conditionOf(status.conditions, 'Ready');
  const changed = ready?.lastTransitionTime;
  return {
    phase: status.phase ?? 'Unknown',
    isReady: ready?.status === 'True',
    ip: status.podIP ?? null,
    trouble: troubleOf(status),
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
    readyChangedAtMs: changed === undefined ? null : Date.parse(changed),
  };
}

/**
 * @param set - The UID of the StatefulSet; null: there is none. It owns the claims that go with it.
 */
export function claimView(
  object: Stored,
  cluster: WalrusCluster,
  set: string | null,
): ClaimView | null {
  const { name, uid, annotations = {}, deletionTimestamp } = metaOf(object);
  if (!name.startsWith(`${DATA}-`)) return null;
  const ordinal = ordinalOf(name, (candidate) => claimName(cluster, candidate));
  if (ordinal === null) return null;
  const { spec, status } = object as unknown as {
    spec: { volumeName?: string };
    status?: { phase?: ClaimView['phase'] };
  };
  return {
    ordinal,
    name,
    uid,
    phase: status?.phase ?? 'Pending',
    volumeName: spec.volumeName ?? null,
    clusterId: annotations[CLUSTER_ID_ANNOTATION] ?? null,
    bootstrapDisk: annotations[BOOTSTRAP_DISK_ANNOTATION] ?? null,
    isDeleting: deletionTimestamp !== undefined || isOrphan(object, cluster, set),
  };
}

/** All that it belongs to is an earlier StatefulSet, which is gone: the garbage collector only has not come to it yet. */
function isOrphan(object: Stored, cluster: WalrusCluster, set: string | null): boolean {
  const { ownerReferences = [] } = metaOf(object);
  const { statefulSet } = namesOf(cluster);
  return (
    ownerReferences.length > 0 &&
    ownerReferences.every(
      ({ kind, name, uid }) => kind === 'StatefulSet' && name === statefulSet && uid !== set,
    )
  );
}

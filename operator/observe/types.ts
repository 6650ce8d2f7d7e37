/**
 * What a pass of the operator knows: read once at its beginning, plain data, only what decisions need. The plan is a
 * pure function of it.
 */
import type { ClusterStatus, NodeStatus, Verdict } from '../../protocol/admin/types.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';

/** A child object as it is. */
export interface ChildView {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** As it was read, for comparing with what is desired. */
  readonly object: Readonly<Record<string, unknown>>;
  /** Whether its controller owner is this WalrusCluster (same UID). */
  readonly isOwned: boolean;
  readonly isDeleting: boolean;
}

export interface StatefulSetView extends ChildView {
  readonly replicas: number;
  /** Revision that new pods get. */
  readonly updateRevision: string;
  readonly observedGeneration: number;
  readonly generation: number;
}

export interface PodView {
  /** Of the StatefulSet; the node's id, since ordinals start at 1. */
  readonly ordinal: number;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly revision: string;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly isReady: boolean;
  readonly isDeleting: boolean;
  readonly nodeName: string | null;
  readonly ip: string | null;
  /** Not null: why its container waits or ended (`CrashLoopBackOff`, `ImagePullBackOff`, `Error` ...). */
  readonly trouble: string | null;
  readonly restarts: number;
  readonly createdAtMs: number;
  /** When the condition Ready changed last. */
  readonly readyChangedAtMs: number | null;
}

export interface ClaimView {
  readonly ordinal: number;
  readonly name: string;
  readonly uid: string;
  readonly phase: 'Pending' | 'Bound' | 'Lost';
  readonly volumeName: string | null;
  /** Annotation `walrus.io/cluster-id`: whose data it holds; null when there is none. */
  readonly clusterId: string | null;
  /** Annotation `walrus.io/bootstrap-disk`, since before that cluster began; null: it had not, or with an earlier version. */
  readonly bootstrapDisk: string | null;
  /** Or about to be, with the StatefulSet that it belonged to. It is there until no pod uses it any more. */
  readonly isDeleting: boolean;
}

/** By its own word it serves nothing: it is part of no cluster yet, or not again. */
export function isIdle({ phase }: NodeStatus): boolean {
  return phase === 'Joining' || phase === 'Registering';
}

/** What the nodes say. Absent is not false: what cannot be reached is unknown. */
export interface AdminView {
  /** The answers of each pod's own node, by ordinal. */
  readonly nodes: ReadonlyMap<number, NodeStatus>;
  /** The best answer to be had: one from a leader if there is one. */
  readonly cluster: ClusterStatus | null;
  /** `can-restart` of the nodes that the plan may want to restart. */
  readonly canRestart: ReadonlyMap<number, Verdict>;
  /** Why nothing could be reached, for people; null when something was. */
  readonly problem: string | null;
}

export interface Observed {
  readonly nowMs: number;
  readonly cluster: WalrusCluster;
  readonly statefulSet: StatefulSetView | null;
  /** All other children that exist, by `Kind/name`. */
  readonly children: ReadonlyMap<string, ChildView>;
  /** Kinds that this API server does not have, or does not show to us, and why. */
  readonly unserved: ReadonlyMap<string, string>;
  readonly pods: readonly PodView[];
  readonly claims: readonly ClaimView[];
  readonly admin: AdminView;
}

/** Up to which ordinal there are members, or volumes, which may hold data. A claim without a volume holds nothing. */
export function placesHeld({ claims, admin }: Pick<Observed, 'claims' | 'admin'>): number {
  const mounted = claims.filter(({ volumeName }) => volumeName !== null);
  const members = admin.cluster?.nodes ?? [];
  return Math.max(
    0,
    ...mounted.map(({ ordinal }) => ordinal),
    ...members.map(({ nodeId }) => nodeId),
  );
}

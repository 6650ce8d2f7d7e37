/**
 * What a pass will do. `plan(desired, observed)` is pure: it is what keeps a cluster safe, and is tested as such.
 *
 * Writes are safe at any time and in any number: they make children as they should be. Of what may cost availability
 * or data there is at most one action in a pass, and only when the nodes say that it is safe; each carries what it was
 * decided upon, and is refused by the API server or the node when that does not hold any more.
 */
import type { Condition } from '../api/conditions.ts';
import type { KubernetesObject } from '../desired/types.ts';

/** What cannot hurt. */
export type Write =
  /** Server-side apply of a child, whose content differs from what was applied last. */
  | {
      readonly type: 'Apply';
      readonly object: KubernetesObject;
      /** Of a StatefulSet that was just made: they have no owner of their own yet, and this apply does not name them. */
      readonly kept?: { readonly replicas: number; readonly resourceVersion: string };
    }
  /** A child that is not wanted any more (a PodMonitor that was switched off). */
  | {
      readonly type: 'Delete';
      readonly kind: string;
      readonly name: string;
      readonly uid: string;
    }
  /** On a volume claim: the cluster whose it is begins now, or has begun. It is never taken back. */
  | {
      readonly type: 'NoteClaim';
      readonly name: string;
      readonly uid: string;
      readonly bootstrapDisk: string;
      /** It has begun: the note is for its next life, and whoever refuses it holds up nothing. */
      readonly isPrecaution: boolean;
    }
  /** Durable intent on the WalrusCluster, by the resourceVersion that was read. */
  | {
      readonly type: 'Annotate';
      readonly annotations: Readonly<Record<string, string>>;
      readonly resourceVersion: string;
    };

/** What may hurt: one in a pass. */
export type RiskyAction =
  /** Begin the cluster on the disk that the annotation names. */
  | {
      readonly type: 'Bootstrap';
      readonly ordinal: number;
      readonly clusterId: string;
      readonly diskId: string;
    }
  /**
   * `replicas` of the StatefulSet, by the scale subresource: to the wanted number before the cluster has begun, to that of the volumes when it is
   * made again on them, by one in all other cases. Down only by a place that was never more than a pod without a host.
   */
  | {
      readonly type: 'Scale';
      readonly from: number;
      readonly to: number;
      readonly uid: string;
      readonly resourceVersion: string;
    }
  /** Move the metadata leadership away, before its node is restarted. */
  | { readonly type: 'TransferLeadership'; readonly from: number; readonly epoch: number }
  /** Ask the metadata leader for another number of voters. */
  | {
      readonly type: 'SetVoters';
      readonly leader: number;
      readonly metadataVoters: number;
      readonly epoch: number;
    }
  /** Evict or delete a pod, by UID: the StatefulSet makes it anew, of the update revision. */
  | {
      readonly type: 'RestartPod';
      readonly ordinal: number;
      readonly name: string;
      readonly uid: string;
      /** The node said that it can be restarted; false only for a pod that serves nothing anyhow. */
      readonly isGated: boolean;
      /** By an eviction, which the PodDisruptionBudget may refuse: somebody may be draining a host at the same time. */
      readonly isWithinBudget: boolean;
      readonly epoch: number | null;
      readonly why: string;
    };

export interface Event {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** What tells it from another one of the same words: the UID of a pod. */
  readonly subject?: string;
}

/** What is going on, for people; nothing is decided by it. */
export interface Operation {
  readonly kind:
    'Bootstrap' | 'ScaleOut' | 'ScaleIn' | 'Roll' | 'ChangeVoters' | 'Recover' | 'Delete';
  readonly ordinal: number | null;
  readonly step: string;
  readonly blockedBy: string | null;
}

export interface Plan {
  readonly writes: readonly Write[];
  readonly risky: RiskyAction | null;
  /** All conditions, in a fixed order, without times: the status keeps those of conditions that did not change. */
  readonly conditions: readonly Omit<Condition, 'lastTransitionTime'>[];
  readonly operation: Operation | null;
  readonly events: readonly Event[];
  /** Told once the risky action is done: it may be refused. */
  readonly eventsOfRisky: readonly Event[];
  /** When to look again without a change of anything that is watched; null: only the periodic resync. */
  readonly requeueAfterMs: number | null;
}

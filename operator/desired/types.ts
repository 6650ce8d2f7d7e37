/** Objects as the API server takes them, and what the builders are given besides the WalrusCluster. */

/** One of our children; pure data, keys in a fixed order. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
  readonly blockOwnerDeletion: true;
}

export interface OperatorDefaults {
  /** Of the operator's pods; absent: it is not in Kubernetes, or does not know. */
  readonly operatorNamespace?: string;
  /** Where alerts lead: see Runbook; absent: nowhere. */
  readonly runbookUrl?: string;
  /** For a cluster that names neither an image nor a version; absent: `imageRepository` with the operator's version. */
  readonly image?: string;
  /** For a cluster that names a version and no image; the tag is that version. */
  readonly imageRepository: string;
  /** The operator's own version: what a cluster runs that names none. */
  readonly version: string;
}

export interface DesiredOptions {
  readonly defaults: OperatorDefaults;
}

/** All children of one cluster. `replicas` is not in the StatefulSet: the plan alone sets it. */
export interface Desired {
  readonly statefulSet: KubernetesObject;
  readonly image: string;
  /** null: that of spec.image, whatever it is. */
  readonly version: string | null;
  /** Everything else, in the order in which it is applied. */
  readonly others: readonly KubernetesObject[];
}

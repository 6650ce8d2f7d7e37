/** Where each kind lives. */

export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
}

const kinds = (apiVersion: string, plurals: Readonly<Record<string, string>>): readonly Kind[] =>
  Object.entries(plurals).map(([kind, plural]) => ({ apiVersion, kind, plural }));

export const KINDS: readonly Kind[] = [
  ...kinds('v1', {
    ServiceAccount: 'serviceaccounts',
    Service: 'services',
    ConfigMap: 'configmaps',
    Event: 'events',
    Pod: 'pods',
    PersistentVolumeClaim: 'persistentvolumeclaims',
  }),
  ...kinds('apps/v1', { StatefulSet: 'statefulsets' }),
  ...kinds('policy/v1', { PodDisruptionBudget: 'poddisruptionbudgets' }),
  ...kinds('networking.k8s.io/v1', { NetworkPolicy: 'networkpolicies' }),
  ...kinds('coordination.k8s.io/v1', { Lease: 'leases' }),
  ...kinds('walrus.io/v1alpha1', { WalrusCluster: 'walrusclusters' }),
  ...kinds('monitoring.coreos.com/v1', {
    PodMonitor: 'podmonitors',
    PrometheusRule: 'prometheusrules',
  }),
];

/** @param kind - One of ours; anything else is a mistake of the program. */
export function kindOf(kind: string): Kind {
  const found = KINDS.find((candidate) => candidate.kind === kind);
  if (found === undefined) throw new TypeError(`The operator knows no kind ${kind}`);
  return found;
}

/** The collection of a kind. `namespace` null: in all namespaces. */
export function collectionPath({ apiVersion, plural }: Kind, namespace: string | null): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === null ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}

export function objectPath(kind: Kind, namespace: string, name: string): string {
  return `${collectionPath(kind, namespace)}/${name}`;
}

/** Names and labels of a cluster's children. */
import type { WalrusCluster } from '../api/walrusCluster.ts';

export const CLIENT_PORT = 9091;
export const PEER_PORT = 6001;
export const HTTP_PORT = 9191;

/** Of the first pod, and so the id of the first node (ADR 0150). */
export const FIRST_ORDINAL = 1;
/** The name of the volume claim template, and of the container. */
export const DATA = 'data';
export const NODE = 'node';

export interface Names {
  readonly statefulSet: string;
  readonly serviceAccount: string;
  /** Headless: the nodes' own names. */
  readonly nodes: string;
  /** For clients; named as the cluster. */
  readonly client: string;
  readonly admin: string;
  readonly disruptionBudget: string;
  readonly networkPolicy: string;
  readonly podMonitor: string;
  readonly prometheusRule: string;
}

export function namesOf({ metadata: { name } }: WalrusCluster): Names {
  return {
    statefulSet: name,
    serviceAccount: `${name}-node`,
    nodes: `${name}-nodes`,
    client: name,
    admin: `${name}-admin`,
    disruptionBudget: name,
    networkPolicy: name,
    podMonitor: name,
    prometheusRule: name,
  };
}

export function podName(cluster: WalrusCluster, ordinal: number): string {
  return `${cluster.metadata.name}-${ordinal}`;
}

export function claimName(cluster: WalrusCluster, ordinal: number): string {
  return `${DATA}-${podName(cluster, ordinal)}`;
}

/** A node's host name, which stays when its pod moves. */
export function nodeHost(cluster: WalrusCluster, pod: string): string {
  return `${pod}.${namesOf(cluster).nodes}.${cluster.metadata.namespace}.svc`;
}

/** What selects the pods of a cluster. Never changes: the StatefulSet's selector cannot. */
export function selectorOf(cluster: WalrusCluster): Readonly<Record<string, string>> {
  return {
    'app.kubernetes.io/name': 'walrus',
    'app.kubernetes.io/instance': cluster.metadata.name,
    'app.kubernetes.io/component': NODE,
  };
}

export function labelsOf(cluster: WalrusCluster): Readonly<Record<string, string>> {
  return { ...selectorOf(cluster), 'app.kubernetes.io/managed-by': 'walrus-operator' };
}

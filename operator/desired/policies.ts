/** What Kubernetes may do to the pods, and who may talk to them. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { CLIENT_PORT, HTTP_PORT, PEER_PORT, namesOf, selectorOf } from './names.ts';
import { child } from './object.ts';
import type { KubernetesObject, OperatorDefaults } from './types.ts';

export function serviceAccount(cluster: WalrusCluster): KubernetesObject {
  return child(
    cluster,
    ['v1', 'ServiceAccount'],
    { name: namesOf(cluster).serviceAccount },
    { automountServiceAccountToken: false },
  );
}

/** A label that the API server gives every namespace. */
const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

/** One at a time. A pod that is not ready anyhow may always go: to keep it would help nobody. */
export function disruptionBudget(cluster: WalrusCluster): KubernetesObject {
  return child(
    cluster,
    ['policy/v1', 'PodDisruptionBudget'],
    { name: namesOf(cluster).disruptionBudget },
    {
      spec: {
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: 'AlwaysAllow',
        selector: { matchLabels: selectorOf(cluster) },
      },
    },
  );
}

/**
 * Everybody may be a client. Peers are the nodes only, and the http port is for them, the operator and Prometheus: whoever reaches it may do
 * what the operator does. Anybody can give a pod of theirs a label, so that the namespaces are named, too.
 */
export function networkPolicy(
  cluster: WalrusCluster,
  { operatorNamespace }: Pick<OperatorDefaults, 'operatorNamespace'>,
): KubernetesObject {
  const pods = { matchLabels: selectorOf(cluster) };
  const tcp = (port: number): object => ({ protocol: 'TCP', port });
  const { namespace } = cluster.metadata;
  const { namespaces = [] } = cluster.spec.monitoring ?? {};
  const http = [
    { podSelector: pods },
    // One outside of Kubernetes is no pod.
    ...(operatorNamespace === undefined ? [] : [peer('walrus-operator', [operatorNamespace])]),
    peer('prometheus', [...new Set([namespace, ...namespaces])]),
  ];
  return child(
    cluster,
    ['networking.k8s.io/v1', 'NetworkPolicy'],
    { name: namesOf(cluster).networkPolicy },
    {
      spec: {
        podSelector: pods,
        policyTypes: ['Ingress'],
        ingress: [
          { ports: [tcp(CLIENT_PORT)] },
          { ports: [tcp(PEER_PORT)], from: [{ podSelector: pods }] },
          { ports: [tcp(HTTP_PORT)], from: http },
        ],
      },
    },
  );
}

/** Pods of that name in these namespaces. */
function peer(name: string, namespaces: readonly string[]): object {
  return {
    namespaceSelector: {
      matchExpressions: [{ key: NAMESPACE_NAME, operator: 'In', values: namespaces }],
    },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': name } },
  };
}

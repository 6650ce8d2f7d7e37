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
 * Everybody may be a client. Peers are the nodes only, and the http port is for them, the operator and Prometheus. Anybody can give a pod
 * the operator's label, so that it has to be in the operator's namespace, too.
 */
export function networkPolicy(
  cluster: WalrusCluster,
  { operatorNamespace }: Pick<OperatorDefaults, 'operatorNamespace'>,
): KubernetesObject {
  const pods = { matchLabels: selectorOf(cluster) };
  const tcp = (port: number): object => ({ protocol: 'TCP', port });
  const operator = {
    namespaceSelector:
      operatorNamespace === undefined
        ? {}
        : { matchLabels: { 'kubernetes.io/metadata.name': operatorNamespace } },
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'walrus-operator' } },
  };
  const prometheus = {
    namespaceSelector: {},
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
  };
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
          { ports: [tcp(HTTP_PORT)], from: [{ podSelector: pods }, operator, prometheus] },
        ],
      },
    },
  );
}

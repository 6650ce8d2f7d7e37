/** The Services: one that gives each node its name, one for clients, one for people who ask the admin API. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { CLIENT_PORT, HTTP_PORT, PEER_PORT, namesOf, selectorOf } from './names.ts';
import { child } from './object.ts';
import type { KubernetesObject } from './types.ts';

const SERVICE = ['v1', 'Service'] as const;
const CLIENT = { name: 'client', port: CLIENT_PORT, targetPort: 'client', protocol: 'TCP' };
const PEER = { name: 'peer', port: PEER_PORT, targetPort: 'peer', protocol: 'TCP' };
const HTTP = { name: 'http', port: HTTP_PORT, targetPort: 'http', protocol: 'TCP' };

/** Names are needed before a node is ready: to find each other, nodes that start must be found. */
export function nodesService(cluster: WalrusCluster): KubernetesObject {
  return child(
    cluster,
    SERVICE,
    { name: namesOf(cluster).nodes },
    {
      spec: {
        type: 'ClusterIP',
        clusterIP: 'None',
        publishNotReadyAddresses: true,
        selector: selectorOf(cluster),
        ports: [CLIENT, PEER, HTTP],
      },
    },
  );
}

export function clientService(cluster: WalrusCluster): KubernetesObject {
  const client = cluster.spec.listeners?.client;
  const { annotations } = client ?? {};
  return child(
    cluster,
    SERVICE,
    { name: namesOf(cluster).client, ...(annotations === undefined ? {} : { annotations }) },
    {
      spec: {
        type: client?.serviceType ?? 'ClusterIP',
        selector: selectorOf(cluster),
        ports: [CLIENT],
      },
    },
  );
}

export function adminService(cluster: WalrusCluster): KubernetesObject {
  return child(
    cluster,
    SERVICE,
    { name: namesOf(cluster).admin },
    { spec: { type: 'ClusterIP', selector: selectorOf(cluster), ports: [HTTP] } },
  );
}

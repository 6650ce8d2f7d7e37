/** A node's settings, as the environment of its container (docs/configuration.md). */
import { CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { CLIENT_PORT, FIRST_ORDINAL, HTTP_PORT, PEER_PORT, nodeHost, podName } from './names.ts';

/** As many nodes as no cluster of several ever falls below: they are always there to join by (ADR 0150). */
const JOIN_ORDINALS = 3;
export const DATA_DIR = '/var/lib/walrus';

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
}

function fromField(name: string, fieldPath: string): Variable {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** `maxFrameBytes` -> `WALRUS_MAX_FRAME_BYTES` */
function variableOf(setting: string): string {
  return `WALRUS_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function joinAddresses(cluster: WalrusCluster): string {
  return Array.from({ length: JOIN_ORDINALS }, (_, index) => {
    const pod = podName(cluster, FIRST_ORDINAL + index);
    return `${nodeHost(cluster, pod)}:${PEER_PORT}`;
  }).join(',');
}

/**
 * In a fixed order: a change of it would restart the nodes. So there is no number of metadata voters: it is asked of the
 * cluster (plan/voters.ts).
 */
export function environmentOf(cluster: WalrusCluster): readonly Variable[] {
  const { spec, metadata } = cluster;
  const host = nodeHost(cluster, '$(POD_NAME)');
  const settings = Object.entries(spec.config ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const fixed: Readonly<Record<string, string>> = {
    WALRUS_CLUSTER_ID: metadata.annotations?.[CLUSTER_ID_ANNOTATION] ?? '',
    WALRUS_DATA_DIR: DATA_DIR,
    WALRUS_JOIN: joinAddresses(cluster),
    WALRUS_CLIENT_HOST: '0.0.0.0',
    WALRUS_CLIENT_PORT: String(CLIENT_PORT),
    WALRUS_CLIENT_ADVERTISE_HOST: host,
    WALRUS_PEER_HOST: '0.0.0.0',
    WALRUS_PEER_PORT: String(PEER_PORT),
    WALRUS_PEER_ADVERTISE_HOST: host,
    WALRUS_HTTP_HOST: '0.0.0.0',
    WALRUS_HTTP_PORT: String(HTTP_PORT),
    WALRUS_HTTP_ADVERTISE_HOST: host,
    WALRUS_SHUTDOWN_TIMEOUT: spec.drainTimeout,
  };
  return [
    fromField('POD_NAME', 'metadata.name'),
    fromField('WALRUS_NODE_ID', "metadata.labels['apps.kubernetes.io/pod-index']"),
    fromField('WALRUS_ZONE', `metadata.labels['${spec.placement.topologyKey}']`),
    ...Object.entries(fixed).map(([name, value]) => ({ name, value })),
    ...settings.map(([name, value]) => ({ name: variableOf(name), value: String(value) })),
  ];
}

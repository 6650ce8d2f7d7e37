/** What tells a Prometheus operator of a cluster: made only when asked for, and when the API server has these kinds. */
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { clusterAlerts } from './alerts.ts';
import { namesOf, selectorOf } from './names.ts';
import { child } from './object.ts';
import type { KubernetesObject, OperatorDefaults } from './types.ts';

const API_VERSION = 'monitoring.coreos.com/v1';
/** Kinds that an API server may not have. */
export const MONITORING_KINDS = ['PodMonitor', 'PrometheusRule'] as const;
type MonitoringKind = (typeof MONITORING_KINDS)[number];

export function isMonitoring({ kind }: { readonly kind: string }): boolean {
  return (MONITORING_KINDS as readonly string[]).includes(kind);
}

type Links = Pick<OperatorDefaults, 'runbookUrl'>;
type Builder = (cluster: WalrusCluster, links: Links) => KubernetesObject;

const BUILDERS: Readonly<Record<MonitoringKind, Builder>> = {
  PodMonitor: podMonitor,
  PrometheusRule: prometheusRule,
};

export function requestedKinds({ spec }: WalrusCluster): readonly MonitoringKind[] {
  const isRequested = {
    PodMonitor: spec.monitoring?.podMonitor === true,
    PrometheusRule: spec.monitoring?.prometheusRule === true,
  };
  return MONITORING_KINDS.filter((kind) => isRequested[kind]);
}

export function monitoringObjects(
  cluster: WalrusCluster,
  links: Links,
): readonly KubernetesObject[] {
  return requestedKinds(cluster).map((kind) => BUILDERS[kind](cluster, links));
}

function metadataOf({ spec }: WalrusCluster, name: string): Parameters<typeof child>[2] {
  const labels = spec.monitoring?.labels;
  return labels === undefined ? { name } : { name, labels };
}

function podMonitor(cluster: WalrusCluster): KubernetesObject {
  return child(
    cluster,
    [API_VERSION, 'PodMonitor'],
    metadataOf(cluster, namesOf(cluster).podMonitor),
    {
      spec: {
        selector: { matchLabels: selectorOf(cluster) },
        podMetricsEndpoints: [
          {
            port: 'http',
            path: '/metrics',
            relabelings: [
              // What alerts and dashboards know a cluster by, beside the namespace.
              {
                sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_instance'],
                targetLabel: 'walrus_cluster',
              },
            ],
          },
        ],
      },
    },
  );
}

function prometheusRule(cluster: WalrusCluster, { runbookUrl }: Links): KubernetesObject {
  const { namespace, name } = cluster.metadata;
  return child(
    cluster,
    [API_VERSION, 'PrometheusRule'],
    metadataOf(cluster, namesOf(cluster).prometheusRule),
    { spec: { groups: clusterAlerts({ namespace, walrus_cluster: name }, runbookUrl ?? null) } },
  );
}

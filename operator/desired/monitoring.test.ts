import { describe, expect, test } from '@jest/globals';
import { API_VERSION, KIND } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { monitoringObjects } from './monitoring.ts';

function cluster(monitoring?: WalrusCluster['spec']['monitoring']): WalrusCluster {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: {
      name: 'sea',
      namespace: 'ocean',
      uid: 'u1',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      replicas: 3,
      storage: { size: '1Gi' },
      placement: { topologyKey: 'zone', allowSharedHosts: false },
      drainTimeout: '30s',
      networkPolicy: false,
      paused: false,
      ...(monitoring === undefined ? {} : { monitoring }),
    },
  };
}

describe('objects for the Prometheus operator', () => {
  test('are none unless asked for', () => {
    expect(monitoringObjects(cluster(), {})).toEqual([]);
    expect(monitoringObjects(cluster({ podMonitor: false, prometheusRule: false }), {})).toEqual(
      [],
    );
  });

  test('a PodMonitor selects the pods, and gives their series the name of the cluster', () => {
    const [monitor, ...others] = monitoringObjects(
      cluster({ podMonitor: true, prometheusRule: false, labels: { release: 'prom' } }),
      {},
    );
    expect(others).toEqual([]);
    expect(monitor).toEqual({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: {
        name: 'sea',
        namespace: 'ocean',
        labels: {
          release: 'prom',
          'app.kubernetes.io/name': 'walrus',
          'app.kubernetes.io/instance': 'sea',
          'app.kubernetes.io/component': 'node',
          'app.kubernetes.io/managed-by': 'walrus-operator',
        },
        ownerReferences: [expect.objectContaining({ uid: 'u1', controller: true })],
      },
      spec: {
        selector: {
          matchLabels: {
            'app.kubernetes.io/name': 'walrus',
            'app.kubernetes.io/instance': 'sea',
            'app.kubernetes.io/component': 'node',
          },
        },
        podMetricsEndpoints: [
          {
            port: 'http',
            path: '/metrics',
            relabelings: [
              {
                sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_instance'],
                targetLabel: 'walrus_cluster',
              },
            ],
          },
        ],
      },
    });
  });

  test('a PrometheusRule looks at the series of its own cluster only', () => {
    const [rule] = monitoringObjects(cluster({ podMonitor: false, prometheusRule: true }), {});
    const { groups } = rule?.['spec'] as { groups: { rules: { expr: string }[] }[] };
    const exprs = groups.flatMap(({ rules }) => rules.map(({ expr }) => expr));
    expect(exprs.length).toBeGreaterThan(10);
    for (const expr of exprs) {
      const rest = expr.replaceAll(/\w+\{([^}]*)\}/g, (_, matchers: string) => {
        expect(matchers).toContain('namespace="ocean", walrus_cluster="sea"');
        return '';
      });
      expect(rest).not.toBe(expr);
      expect(
        rest.match(/\b(?:walrus_\w+|up)\b/g)?.filter((n) => n !== 'walrus_cluster') ?? [],
      ).toEqual([]);
    }
  });

  test('alerts lead to the runbook where it is, and nowhere when nobody has said', () => {
    const withRule = cluster({ podMonitor: false, prometheusRule: true });
    const urls = (links: { runbookUrl?: string }): readonly unknown[] => {
      const [rule] = monitoringObjects(withRule, links);
      const { groups } = rule?.['spec'] as {
        groups: { rules: { annotations: { runbook_url?: string } }[] }[];
      };
      return groups.flatMap(({ rules }) => rules.map((each) => each.annotations.runbook_url));
    };
    const runbookUrl = 'https://git.example.com/walrus/docs/operations.md';
    expect(urls({ runbookUrl })).toContain(`${runbookUrl}#walrusnodedown`);
    expect(new Set(urls({}))).toEqual(new Set([undefined]));
  });
});

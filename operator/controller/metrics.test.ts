import { beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { ModelCluster } from '../plan/testing/model.ts';
import { OPERATOR_ANNOTATION } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { OperatorMetrics } from './metrics.ts';

const RESYNC_MS = 300_000;

const LEASE = 'system/walrus-operator';

function cluster(name: string, by = LEASE): WalrusCluster {
  const { cluster: model } = new ModelCluster(3).observe();
  const time = '2026-01-01T00:00:00Z';
  return {
    ...model,
    metadata: { ...model.metadata, name, annotations: { [OPERATOR_ANNOTATION]: by } },
    status: {
      observedGeneration: 1,
      replicas: 3,
      readyReplicas: 2,
      selector: '',
      targetVersion: '1',
      nodes: [],
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'NodesNotReady',
          message: 'node 2',
          observedGeneration: 1,
          lastTransitionTime: time,
        },
      ],
    },
  };
}

describe('the metrics of an operator', () => {
  let registry: Registry;
  let metrics: OperatorMetrics;
  let operator: {
    clusters: WalrusCluster[];
    queueDepth: number;
    lease: string;
    isLeading: boolean;
    isSynced: boolean;
  };

  beforeEach(() => {
    registry = new Registry();
    metrics = new OperatorMetrics(registry);
    operator = {
      clusters: [cluster('sea'), cluster('lake')],
      queueDepth: 4,
      lease: LEASE,
      isLeading: true,
      isSynced: true,
    };
    metrics.observe(operator, RESYNC_MS);
  });

  async function lines(about: string): Promise<string[]> {
    const text = await registry.metrics();
    return text.split('\n').filter((line) => line.startsWith(about));
  }

  test('say what it does, counters from zero on', async () => {
    expect(await lines('walrus_operator_actions_total')).toEqual([
      'walrus_operator_actions_total{action="Bootstrap"} 0',
      'walrus_operator_actions_total{action="Scale"} 0',
      'walrus_operator_actions_total{action="TransferLeadership"} 0',
      'walrus_operator_actions_total{action="RestartPod"} 0',
      'walrus_operator_actions_total{action="SetVoters"} 0',
    ]);
    metrics.acted('RestartPod');
    metrics.failed('conflict');
    metrics.asked({ verb: 'GET', code: '2xx', durationMs: 20 });
    metrics.asked({ verb: 'WATCH', code: '410', durationMs: 300_000 });
    const text = (await registry.metrics()).split('\n');
    for (const line of [
      'walrus_operator_actions_total{action="RestartPod"} 1',
      'walrus_operator_failures_total{kind="conflict"} 1',
      'walrus_operator_failures_total{kind="error"} 0',
      'walrus_operator_api_requests_total{verb="GET",code="2xx"} 1',
      'walrus_operator_api_requests_total{verb="WATCH",code="410"} 1',
      'walrus_operator_api_request_seconds_count{verb="GET"} 1',
      'walrus_operator_leading{lease="system/walrus-operator"} 1',
      'walrus_operator_synced 1',
      'walrus_operator_clusters 2',
      'walrus_operator_queue_depth 4',
      'walrus_operator_resync_seconds 300',
    ]) {
      expect(text).toContain(line);
    }
    expect(text.join('\n')).not.toContain('request_seconds_count{verb="WATCH"}');
  });

  test('say how its clusters are, and nothing of them once another operator leads', async () => {
    const about = 'walrus_operator_cluster_';
    const sea = 'namespace="ocean",walrus_cluster="sea"';
    metrics.passing(operator.clusters[0] as WalrusCluster)(true);
    const led = await lines(about);
    for (const line of [
      `walrus_operator_cluster_condition{${sea},type="Ready",status="False",reason="NodesNotReady"} 1`,
      `walrus_operator_cluster_nodes{${sea},state="wanted"} 3`,
      `walrus_operator_cluster_nodes{${sea},state="ready"} 2`,
    ]) {
      expect(led).toContain(line);
    }
    expect(await lines(`${about}last_pass`)).toHaveLength(1);
    operator.isLeading = false;
    expect(await lines(about)).toEqual([]);
    operator.isLeading = true;
    expect(await lines(`${about}last_pass`)).toEqual([]); // it was of another term
  });

  test('name the clusters that another installation looks after, and say nothing else of them', async () => {
    const about = 'walrus_operator_cluster_';
    const lake = cluster('lake', 'red/a');
    operator.clusters = [lake];
    metrics.passing(lake)(true);
    expect(await lines(about)).toEqual([
      `${about}of_other{namespace="ocean",walrus_cluster="lake",operator="red/a"} 1`,
    ]);
    operator.isLeading = false;
    expect(await lines(about)).toEqual([]);
  });

  test('forget a cluster that is gone; a pass that failed is not its last one', async () => {
    const about = 'walrus_operator_cluster_last_pass';
    const [sea, lake] = operator.clusters as [WalrusCluster, WalrusCluster];
    metrics.passing(sea)(true);
    metrics.passing(lake)(false);
    expect(await lines(about)).toHaveLength(1);
    operator.clusters = [lake];
    expect(await lines(about)).toEqual([]);
    expect(await lines('walrus_operator_pass_seconds_count')).toEqual([
      'walrus_operator_pass_seconds_count 2',
    ]);
  });
});

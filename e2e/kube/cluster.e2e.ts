import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../chaos/wait.ts';
import { LocalCluster, suiteCluster } from './cluster.ts';
import { PAUSE_IMAGE } from './nodeFiles.ts';

const NAMESPACE = 'cluster-e2e';
const READY_MS_MAX = 60_000;

interface Conditioned {
  readonly status: { readonly conditions?: readonly { type: string; status: string }[] };
}

interface Pod extends Conditioned {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly nodeName?: string };
}

function conditionOf(object: Conditioned): string | undefined {
  return object.status.conditions?.find(({ type }) => type === 'Ready')?.status;
}

/** What the harness promises to the tests that use it. On a cluster of somebody else there are no nodes to break. */
describe('a cluster of this machine', () => {
  let cluster: LocalCluster;

  beforeAll(async () => {
    const suite = await suiteCluster();
    if (!(suite instanceof LocalCluster)) throw new Error('E2E_KUBECONFIG: run without this file');
    cluster = suite;
    await cluster.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
      statefulSet(),
    ]);
    await waitFor(
      'three pods are ready',
      READY_MS_MAX,
      async () => (await readyPods()).length === 3,
    );
  });

  afterAll(async () => {
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait', '--timeout=60s']);
    await cluster.recycleVolumes();
  });

  function statefulSet() {
    const labels = { app: 'pause' };
    const requests = { storage: '1Gi' };
    const onOtherNodes = {
      labelSelector: { matchLabels: labels },
      topologyKey: 'kubernetes.io/hostname',
    };
    return {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'pause', namespace: NAMESPACE },
      spec: {
        serviceName: 'pause',
        replicas: 3,
        podManagementPolicy: 'Parallel',
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            affinity: {
              podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [onOtherNodes] },
            },
            containers: [
              {
                name: 'pause',
                image: PAUSE_IMAGE,
                volumeMounts: [{ name: 'data', mountPath: '/data' }],
              },
            ],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: 'data' },
            spec: { accessModes: ['ReadWriteOnce'], resources: { requests } },
          },
        ],
      },
    };
  }

  async function pods(): Promise<readonly Pod[]> {
    const { items } = (await cluster.get(['pods', '-n', NAMESPACE])) as { items: readonly Pod[] };
    return items;
  }

  async function readyPods(): Promise<readonly Pod[]> {
    return (await pods()).filter((pod) => conditionOf(pod) === 'True');
  }

  async function waitForNode(node: string, ...wanted: readonly string[]): Promise<void> {
    await waitFor(`${node} is ${wanted.join(' or ')}`, READY_MS_MAX, async () =>
      wanted.includes(conditionOf((await cluster.get(['node', node])) as Conditioned) ?? ''),
    );
  }

  const waitForAll = async (): Promise<void> =>
    waitFor('all pods are ready', READY_MS_MAX, async () => (await readyPods()).length === 3);

  test('pods are on local volumes, one on each node, and the nodes in three zones', async () => {
    const nodes = (await readyPods()).map(({ spec }) => spec.nodeName);
    expect(new Set(nodes).size).toBe(3);
    expect(new Set(cluster.nodes.map((node) => cluster.zoneOf(node))).size).toBe(3);
    const labels = await cluster.kubectl(['get', 'nodes', '-L', 'topology.kubernetes.io/zone']);
    for (const node of cluster.nodes)
      expect(labels).toMatch(new RegExp(`^${node} .* ${cluster.zoneOf(node)}$`, 'm'));
  });

  test('a node that is cut off is lost to Kubernetes, and its pod runs on', async () => {
    const before = (await pods()).map(({ metadata }) => metadata.uid);
    await cluster.cutNetwork('n2');
    await waitForNode('n2', 'Unknown');
    await cluster.healNetwork('n2');
    await waitForNode('n2', 'True');
    await waitForAll();
    expect((await pods()).map(({ metadata }) => metadata.uid)).toEqual(before);
  });

  test('a node without power comes back with its disks', async () => {
    await cluster.powerOff('n3');
    await waitForNode('n3', 'Unknown');
    await cluster.powerOn('n3');
    await waitForNode('n3', 'True');
    await waitForAll();
  });

  test('containers run on while their kubelet is stopped', async () => {
    await cluster.stopOnNode('n1', 'kubelet');
    await waitForNode('n1', 'Unknown');
    await cluster.startOnNode('n1', 'kubelet');
    await waitForNode('n1', 'True');
    await waitForAll();
  });

  test('the API server goes away and comes back', async () => {
    await cluster.stopApiServer();
    await expect(cluster.kubectl(['get', 'nodes'])).rejects.toThrow(/refused/);
    await cluster.startApiServer();
    for (const node of cluster.nodes) await waitForNode(node, 'True');
  });
});

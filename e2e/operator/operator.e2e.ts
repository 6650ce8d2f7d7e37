import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import path from 'node:path';
import { waitFor } from '../chaos/wait.ts';
import { loadSuiteImage } from '../image.ts';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { CommandError, run } from '../kube/commands.ts';
import { isDefinitionOurs, removeDefinition } from '../kube/definition.ts';
import { ROOT } from '../kube/root.ts';
import { pathsOf } from '../kube/spec.ts';

const NAMESPACE = 'operator-e2e';
const NAME = 'sea';
const CHART = path.join(ROOT, 'helm', 'walrus');
const READY_MS_MAX = 180_000;
const RECORDS = Array.from({ length: 200 }, (_, index) => `record ${index}`);

interface Status {
  readonly conditions?: readonly { type: string; status: string; reason: string }[];
  readonly operation?: unknown;
  readonly clusterId?: string;
}

interface Item {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

describe('a WalrusCluster on a real Kubernetes', () => {
  let cluster: KubeCluster;
  let isOurs = false;
  let image: string;

  beforeAll(async () => {
    cluster = await suiteCluster();
    isOurs = await isDefinitionOurs(cluster);
    image = await loadSuiteImage(cluster);
    const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await cluster.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels: restricted } },
    ]);
    const colon = image.lastIndexOf(':');
    await helm([
      'upgrade',
      '--install',
      'walrus',
      CHART,
      ...['--set', `image.repository=${image.slice(0, colon)}`],
      ...['--set-string', `image.tag=${image.slice(colon + 1)}`],
      ...['--set', `operator.watchNamespace=${NAMESPACE}`],
      '--wait',
      '--timeout=120s',
    ]);
    await cluster.apply([walrusCluster({})]);
    await ready();
  });

  afterAll(async () => {
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait', '--timeout=120s']);
    if (isOurs) await removeDefinition(cluster);
    if (cluster instanceof LocalCluster) await cluster.recycleVolumes();
  });

  function walrusCluster(spec: Readonly<Record<string, unknown>>) {
    const storage = { size: '1Gi' };
    const resources = { requests: { cpu: '50m', memory: '128Mi' } };
    return {
      apiVersion: 'walrus.io/v1alpha1',
      kind: 'WalrusCluster',
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: { replicas: 3, image, storage, resources, ...spec },
    };
  }

  async function helm(args: readonly string[]): Promise<string> {
    const binary =
      cluster instanceof LocalCluster ? path.join(pathsOf(cluster.spec.dir).bin, 'helm') : 'helm';
    return run(binary, [...args, '--namespace', NAMESPACE, '--kubeconfig', cluster.kubeconfig]);
  }

  async function statusOf(): Promise<Status> {
    const found = (await cluster.get(['wc', NAME, '-n', NAMESPACE])) as { status?: Status };
    return found.status ?? {};
  }

  async function reasonOf(type: string): Promise<string> {
    const { conditions = [] } = await statusOf();
    return conditions.find((condition) => condition.type === type)?.reason ?? '';
  }

  async function becomes(type: string, reason: string): Promise<void> {
    await waitFor(
      `${type} is ${reason}`,
      READY_MS_MAX,
      async () => (await reasonOf(type)) === reason,
    );
  }

  async function ready(): Promise<void> {
    await becomes('Ready', 'AllNodesServe');
  }

  async function patch(spec: Readonly<Record<string, unknown>>): Promise<void> {
    const body = JSON.stringify({ spec });
    await cluster.kubectl(['patch', 'wc', NAME, '-n', NAMESPACE, '--type=merge', '-p', body]);
  }

  async function podUids(): Promise<ReadonlyMap<string, string>> {
    const selector = `app.kubernetes.io/instance=${NAME}`;
    const { items } = (await cluster.get(['pods', '-n', NAMESPACE, '-l', selector])) as {
      items: readonly Item[];
    };
    return new Map(items.map(({ metadata }) => [metadata.name, metadata.uid]));
  }

  async function walrus(node: number, args: readonly string[], input = ''): Promise<string> {
    const pod = ['-i', `${NAME}-${node}`, '-n', NAMESPACE, '--', 'walrus'];
    return cluster.kubectl(['exec', ...pod, ...args, '--addr', 'localhost:9091'], input);
  }

  async function consumed(node: number): Promise<string[]> {
    const out = await walrus(node, ['consume', 'greetings', '--max', String(RECORDS.length)]);
    return out.trimEnd().split('\n');
  }

  test('takes records through one node and gives them through another', async () => {
    await walrus(1, ['topic', 'create', 'greetings']);
    await walrus(2, ['produce', 'greetings'], `${RECORDS.join('\n')}\n`);
    expect(await consumed(3)).toEqual(RECORDS);
  });

  test('an idle cluster causes no write to the API server but the lease', async () => {
    const kinds = 'wc,sts,pod,svc,sa,pdb,pvc';
    const versions = async () => {
      const { items } = (await cluster.get([kinds, '-n', NAMESPACE])) as { items: readonly Item[] };
      return items.map(
        ({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`,
      );
    };
    const before = await versions();
    const renewed = await leaseVersion();
    // The operator has been alive and looked at it: its lease was renewed several times.
    let renewals = 0;
    await waitFor('the lease is renewed', READY_MS_MAX, async () => {
      const now = await leaseVersion();
      if (now !== renewed) renewals += 1;
      return renewals >= 5;
    });
    expect(await versions()).toEqual(before);
  });

  async function leaseVersion(): Promise<string> {
    const lease = (await cluster.get(['lease', 'walrus-operator', '-n', NAMESPACE])) as Item;
    return lease.metadata.resourceVersion;
  }

  test('a changed setting restarts the pods one after the other, also when the operators die meanwhile', async () => {
    const before = await podUids();
    await patch({ config: { logLevel: 'warn' } });
    await waitFor('the first pod is restarted', READY_MS_MAX, async () => {
      const now = await podUids();
      return [...before].some(([name, uid]) => now.get(name) !== uid);
    });
    const operators = 'app.kubernetes.io/name=walrus-operator';
    await cluster.kubectl(['delete', 'pod', '-n', NAMESPACE, '-l', operators, '--wait=false']);
    await waitFor('all pods are restarted', READY_MS_MAX, async () => {
      const now = await podUids();
      return now.size === 3 && [...before].every(([name, uid]) => now.get(name) !== uid);
    });
    await ready();
    expect(await consumed(1)).toEqual(RECORDS);
  });

  test('a new image that cannot run stops at one pod, and reverting it heals', async () => {
    const before = await podUids();
    await patch({ image: 'walrus.local/nothing:1' });
    await becomes('UpgradeBlocked', 'NewRevisionFails');
    const now = await podUids();
    expect([...before].filter(([name, uid]) => now.get(name) !== uid)).toHaveLength(1);
    expect(await reasonOf('Available')).toBe('QuorumServes');
    await patch({ image });
    await ready();
    expect(await consumed(2)).toEqual(RECORDS);
  });

  test('fewer nodes are refused with a condition', async () => {
    await patch({ replicas: 1 });
    await becomes('ConfigurationValid', 'ScaleInNotSupported');
    expect((await podUids()).size).toBe(3);
    await patch({ replicas: 3 });
    await ready();
  });

  test('all pods gone at once come back with what they had', async () => {
    const selector = `app.kubernetes.io/instance=${NAME}`;
    await cluster.kubectl(['delete', 'pod', '-n', NAMESPACE, '-l', selector, '--wait']);
    await ready();
    expect(await consumed(3)).toEqual(RECORDS);
  });

  test('deleted and made again on the same volumes it is the same cluster', async () => {
    const { clusterId } = await statusOf();
    await cluster.kubectl([
      'delete',
      'wc',
      NAME,
      '-n',
      NAMESPACE,
      '--cascade=foreground',
      '--wait',
    ]);
    await waitFor('its pods are gone', READY_MS_MAX, async () => (await podUids()).size === 0);
    await cluster.apply([walrusCluster({})]);
    await ready();
    expect((await statusOf()).clusterId).toBe(clusterId);
    expect(await consumed(1)).toEqual(RECORDS);
  });

  test.each([
    [{ replicas: 2 }, 'with two nodes'],
    [{ replicas: 1, metadataVoters: 3 }, 'metadataVoters'],
    [{ storage: { size: '1Mi' } }, 'at least 256Mi'],
    [{ drainTimeout: 'soon' }, 'drainTimeout'],
    [{ config: { logLevel: 'loud' } }, 'logLevel'],
  ])('the API server refuses %j', async (spec, why) => {
    const object = { ...walrusCluster(spec), metadata: { name: 'other', namespace: NAMESPACE } };
    const refused = cluster.apply([object]).catch((error: unknown) => error);
    const error = await refused;
    expect(error).toBeInstanceOf(CommandError);
    expect((error as CommandError).message).toContain(why);
  });
});

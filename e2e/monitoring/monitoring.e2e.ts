/**
 * What people see: a real Prometheus reads three real nodes under load and an operator with the permissions of the
 * chart, and every panel of every dashboard has data; and the objects for a Prometheus operator come and go.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DASHBOARDS } from '../../scripts/monitoring/dashboards/index.ts';
import { Cluster } from '../chaos/cluster.ts';
import { waitFor } from '../chaos/wait.ts';
import { cacheDir } from '../kube/cache.ts';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { isDefinitionOurs, removeDefinition } from '../kube/definition.ts';
import { ROOT } from '../kube/root.ts';
import { cacheRoot } from '../kube/spec.ts';
import { Load } from './load.ts';
import { OperatorProcess } from './operatorProcess.ts';
import { PrometheusProcess } from './prometheusProcess.ts';
import type { Target } from './prometheusProcess.ts';

const NAMESPACE = 'monitoring-e2e';
const NAME = 'sea';
const SETUP_MS_MAX = 25 * 60_000; // with building Prometheus
const SHOWN_MS_MAX = 90_000;
const CONDITION_MS_MAX = 90_000;
/** Definitions are removed only from a cluster of our own: elsewhere people's objects would go with them. */
const ofOurOwn = (process.env['E2E_KUBECONFIG'] ?? '') === '' ? describe : describe.skip;
/** What the nodes of this machine are called for Prometheus. */
const NODES = { namespace: 'ocean', walrus_cluster: 'sea' };

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

const QUERIES = DASHBOARDS.flatMap(({ uid, title, rows }) =>
  rows.flatMap(({ panels }) =>
    panels.flatMap((panel) =>
      panel.queries.map(({ expr }) => ({ name: `${title}: ${panel.title}: ${expr}`, uid, expr })),
    ),
  ),
);

/** A query with the variables of its dashboard filled in. */
function filled(expr: string, uid: string): string {
  const isOperator = uid === 'walrus-operator';
  const values = {
    namespace: isOperator ? NAMESPACE : NODES.namespace,
    cluster: isOperator ? NAME : NODES.walrus_cluster,
    pod: '.*',
    __rate_interval: '10s',
  };
  return Object.entries(values).reduce((text, [k, value]) => text.replaceAll(`$${k}`, value), expr);
}

describe('monitoring', () => {
  let kube: KubeCluster;
  let isOurs = false;
  let folder: string;
  let nodes: Cluster | undefined;
  let load: Load | undefined;
  let operator: OperatorProcess | undefined;
  let prometheus: PrometheusProcess | undefined;

  beforeAll(async () => {
    kube = await suiteCluster();
    isOurs = await isDefinitionOurs(kube);
    folder = await fs.mkdtemp(path.join(os.tmpdir(), 'walrus-monitoring-'));
    await removeMonitoringCrds();
    await kube.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }]);
    operator = await OperatorProcess.start({ cluster: kube, namespace: NAMESPACE, folder });
    await apply({ podMonitor: true, prometheusRule: true, labels: { release: 'prom' } });
    nodes = await Cluster.start({
      nodesCount: 3,
      directory: path.join(folder, 'nodes'),
      command: ['cli/main.ts', 'node'],
      settings: ['--log-level', 'warn'],
    });
    load = await Load.start(nodes.addresses);
    prometheus = await PrometheusProcess.start(path.join(folder, 'prometheus'), targets());
  }, SETUP_MS_MAX);

  afterAll(async () => {
    await prometheus?.stop();
    await load?.stop();
    await nodes?.end();
    await operator?.stop();
    await kube.kubectl(['delete', 'namespace', NAMESPACE, '--wait', '--timeout=120s']);
    if (isOurs) await removeDefinition(kube);
    await removeMonitoringCrds();
    await fs.rm(folder, { recursive: true, force: true });
  }, SETUP_MS_MAX);

  function targets(): readonly Target[] {
    const ofNodes = (nodes?.nodes ?? []).map(({ nodeId, ports }) => ({
      address: `127.0.0.1:${ports.http}`,
      labels: { ...NODES, pod: `${NAME}-${nodeId}` },
    }));
    const labels = { namespace: 'walrus-system', pod: 'walrus-operator-0' };
    return [...ofNodes, { address: `127.0.0.1:${operator?.port}`, labels }];
  }

  /** Its pods find no image: an operator has enough to say of them. */
  async function apply(monitoring: Readonly<Record<string, unknown>>): Promise<void> {
    await kube.apply([
      {
        apiVersion: 'walrus.io/v1alpha1',
        kind: 'WalrusCluster',
        metadata: { name: NAME, namespace: NAMESPACE },
        spec: {
          replicas: 3,
          image: 'walrus.local/nothing:1',
          imagePullPolicy: 'Never',
          storage: { size: '1Gi' },
          monitoring,
        },
      },
    ]);
  }

  async function removeMonitoringCrds(): Promise<void> {
    if (!(kube instanceof LocalCluster)) return;
    const kinds = ['podmonitors', 'servicemonitors', 'prometheusrules'];
    const names = kinds.map((kind) => `${kind}.monitoring.coreos.com`);
    await kube.kubectl(['delete', 'crd', ...names, '--ignore-not-found', '--wait']);
  }

  async function monitored(): Promise<string> {
    const found = (await kube.get(['wc', NAME, '-n', NAMESPACE])) as {
      status?: { conditions?: readonly Condition[] };
    };
    const of = found.status?.conditions?.find(({ type }) => type === 'Monitored');
    return `${of?.status} ${of?.reason}`;
  }

  async function becomes(wanted: string): Promise<void> {
    await waitFor(`Monitored is ${wanted}`, CONDITION_MS_MAX, async () => {
      return (await monitored()) === wanted;
    });
  }

  async function monitoringObjects(): Promise<readonly string[]> {
    const kinds = 'podmonitor,prometheusrule';
    return (await kube.kubectl(['get', kinds, '-n', NAMESPACE, '-o', 'name']))
      .split('\n')
      .filter((line) => line !== '');
  }

  async function logLines(...words: readonly string[]): Promise<readonly string[]> {
    const log = await fs.readFile(path.join(folder, 'operator.log'), 'utf8');
    return log.split('\n').filter((line) => words.every((word) => line.includes(word)));
  }

  test('every panel of every dashboard has data', async () => {
    let missing: readonly string[] = [];
    const look = async (): Promise<boolean> => {
      const answers = await Promise.all(
        QUERIES.map(async ({ name, uid, expr }) => {
          const samples = (await prometheus?.api.query(filled(expr, uid))) ?? [];
          return samples.some(({ value }) => !Number.isNaN(value)) ? [] : [name];
        }),
      );
      missing = answers.flat();
      return missing.length === 0;
    };
    await waitFor('all have data', SHOWN_MS_MAX, look).catch(() => undefined);
    expect(missing).toEqual([]);
  });

  test('every choice at the top of a dashboard has values', async () => {
    for (const { uid, variables } of DASHBOARDS) {
      for (const { name, query } of variables) {
        const { series = '', label = '' } =
          /^label_values\((?<series>.+), (?<label>\w+)\)$/.exec(query)?.groups ?? {};
        const values = await prometheus?.api.get(`label/${label}/values`, {
          'match[]': filled(series, uid),
        });
        expect([name, values]).not.toEqual([name, []]);
      }
    }
  });

  test('every alert can be evaluated, and none fires while all is well', async () => {
    const { groups } = (await prometheus?.api.get('rules')) as {
      groups: readonly { rules: readonly { name: string; health: string; state: string }[] }[];
    };
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(({ health }) => health === 'err')).toEqual([]);
    expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
  });

  ofOurOwn('objects for a Prometheus operator', () => {
    test('an API server without the kinds is told of, in a condition and an event', async () => {
      await becomes('False ApiMissing');
      const { items } = (await kube.get(['events.events.k8s.io', '-n', NAMESPACE])) as {
        items: readonly { readonly reason: string; readonly note: string }[];
      };
      const told = items.filter(({ reason }) => reason === 'MonitoringApiMissing');
      expect(told.map(({ note }) => note)).toEqual([expect.stringContaining('PodMonitor')]);
    });

    test('the kinds are noticed when they come, and the objects are made', async () => {
      const crds = path.join(await cacheDir(cacheRoot(process.env)), 'crds');
      await kube.kubectl(['apply', '--server-side', '-f', crds]);
      await becomes('True Created');
      expect(await monitoringObjects()).toEqual([
        'podmonitor.monitoring.coreos.com/sea',
        'prometheusrule.monitoring.coreos.com/sea',
      ]);
    });

    test('what is changed by hand is put right, and what is not asked for any more is removed', async () => {
      await kube.kubectl(['delete', 'podmonitor', NAME, '-n', NAMESPACE, '--wait']);
      await waitFor('it is made again', CONDITION_MS_MAX, async () => {
        return (await monitoringObjects()).length === 2;
      });
      await apply({ podMonitor: false, prometheusRule: true });
      await waitFor('the PodMonitor is removed', CONDITION_MS_MAX, async () => {
        return (await monitoringObjects()).join() === 'prometheusrule.monitoring.coreos.com/sea';
      });
      await becomes('True Created');
      // Nothing was written twice, though there were passes all the time.
      expect(await logLines('applying a child', '"kind":"PrometheusRule"')).toHaveLength(1);
      expect(await logLines('applying a child', '"kind":"PodMonitor"')).toHaveLength(2);
    });

    test('the kinds may go again', async () => {
      await removeMonitoringCrds();
      await becomes('False ApiMissing');
      expect(await logLines('did not come to its end', '"level":"error"')).toEqual([]);
    });

    test('the API server takes the objects of the chart', async () => {
      const crds = path.join(await cacheDir(cacheRoot(process.env)), 'crds');
      await kube.kubectl(['apply', '--server-side', '-f', crds]);
      const golden = await fs.readFile(
        path.join(ROOT, 'helm', 'golden', 'monitoring.yaml'),
        'utf8',
      );
      const here = golden.replaceAll('namespace: walrus-system', `namespace: ${NAMESPACE}`);
      const args = ['apply', '--server-side', '--dry-run=server', '-f', '-'];
      const said = await kube.kubectl(args, here);
      expect(said).toContain('prometheusrule');
    });
  });
});

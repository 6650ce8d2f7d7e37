/**
 * Operators as processes of this machine against a real API server, under the chart's role and nothing else: two of them, twenty
 * clusters, kill -9. Pods are not needed: they are never scheduled.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { waitFor } from '../chaos/wait.ts';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { run } from '../kube/commands.ts';
import { isDefinitionOurs, removeDefinition } from '../kube/definition.ts';
import type { KubeObject } from '../kube/manifests.ts';
import { ROOT } from '../kube/root.ts';
import { pathsOf } from '../kube/spec.ts';

const NAMESPACE = 'operators-e2e';
const SYSTEM = 'operators-e2e-system';
const CLUSTERS = Array.from({ length: 20 }, (_, index) => `sea-${index + 1}`);
const NODES = 3;
/** A ServiceAccount, three Services, a PodDisruptionBudget and a StatefulSet. */
const CHILDREN = { serviceaccounts: 1, services: 3, poddisruptionbudgets: 1, statefulsets: 1 };
const MS_MAX = 120_000;
const MEMORY_BYTES_MAX = 250 * 1024 * 1024;
/** Leases of two operators: each asks every two seconds, and one of them writes. */
const IDLE_S = 20;
const IDLE_REQUESTS_MAX = 2 * IDLE_S;

interface Item extends KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly replicas?: number; readonly holderIdentity?: string };
}

interface OperatorProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly port: number;
}

describe('operators on a real API server', () => {
  let cluster: KubeCluster;
  let isOurs = false;
  let dir: string;
  const operators: OperatorProcess[] = [];

  beforeAll(async () => {
    cluster = await suiteCluster();
    isOurs = await isDefinitionOurs(cluster);
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-operators-'));
    await cluster.apply(
      [NAMESPACE, SYSTEM].map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name },
      })),
    );
    const objects = await chart();
    const left = ['Deployment', ...(isOurs ? [] : ['CustomResourceDefinition'])];
    await cluster.apply(objects.filter(({ kind }) => !left.includes(kind)));
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd/walrusclusters.walrus.io']);
    await writeKubeconfig();
    // The first start of a checkout compiles it, which takes memory that no later one takes.
    await stop(await start('zero'));
    operators.push(await start('one'), await start('two'));
  });

  afterAll(async () => {
    for (const { child } of operators) child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true });
    for (const namespace of [NAMESPACE, SYSTEM])
      await cluster.kubectl(['delete', 'namespace', namespace, '--wait', '--timeout=180s']);
    if (isOurs) await removeDefinition(cluster);
  });

  /** What the chart installs for one namespace: the definition and the roles are what counts here. */
  async function chart(): Promise<readonly KubeObject[]> {
    const helm =
      cluster instanceof LocalCluster ? path.join(pathsOf(cluster.spec.dir).bin, 'helm') : 'helm';
    const values = ['--include-crds', '--skip-tests', `--set=operator.watchNamespace=${NAMESPACE}`];
    const args = ['template', 'walrus', path.join(ROOT, 'helm', 'walrus'), `--namespace=${SYSTEM}`];
    const made = await run(helm, [...args, ...values]);
    return parseAllDocuments(made).flatMap(
      (document) => (document.toJS() as KubeObject | null) ?? [],
    );
  }

  /** The service account's, instead of the administrator's. */
  async function writeKubeconfig(): Promise<void> {
    const user = {
      token: (await cluster.kubectl(['create', 'token', 'walrus-operator', '-n', SYSTEM])).trim(),
    };
    const config = parse(fs.readFileSync(cluster.kubeconfig, 'utf8')) as {
      users: readonly { name: string }[];
    };
    const users = config.users.map(({ name }) => ({ name, user }));
    fs.writeFileSync(path.join(dir, 'kubeconfig'), stringify({ ...config, users }));
  }

  async function start(name: string): Promise<OperatorProcess> {
    const args = ['operator', '--namespace', NAMESPACE, '--lease-namespace', SYSTEM];
    const log = path.join(dir, `${name}.log`);
    const out = fs.openSync(log, 'w');
    const child = spawn(
      process.execPath,
      [path.join(ROOT, 'cli', 'walrus.mjs'), ...args, '--host', '127.0.0.1', '--port', '0'],
      {
        env: { ...process.env, KUBECONFIG: path.join(dir, 'kubeconfig'), POD_NAME: name },
        stdio: ['ignore', out, out],
      },
    );
    let port = 0;
    await waitFor(`operator ${name} runs`, MS_MAX, () => {
      port = Number(/http port (\d+)/.exec(fs.readFileSync(log, 'utf8'))?.[1] ?? 0);
      return Promise.resolve(port > 0);
    });
    return { name, child, port };
  }

  /** @returns Its exit code. */
  async function stop({ child }: OperatorProcess): Promise<unknown> {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    return ended;
  }

  async function list(kind: string, namespace = NAMESPACE): Promise<readonly Item[]> {
    return ((await cluster.get([kind, '-n', namespace])) as { items: readonly Item[] }).items;
  }

  async function holder(): Promise<string> {
    const [lease] = await list('leases', SYSTEM);
    return lease?.spec.holderIdentity ?? '';
  }

  function walrusCluster(name: string, drainTimeout = '30s'): KubeObject {
    return {
      apiVersion: 'walrus.io/v1alpha1',
      kind: 'WalrusCluster',
      metadata: { name, namespace: NAMESPACE },
      spec: {
        replicas: NODES,
        drainTimeout,
        storage: { size: '1Gi' },
        placement: { nodeSelector: { 'walrus.io/nowhere': 'true' } },
      },
    };
  }

  async function metric({ port }: OperatorProcess, name: string): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    const lines = (await response.text()).split('\n').filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  function residentBytes({ child }: OperatorProcess): number {
    const status = fs.readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  }

  /** Grace periods, by which a changed spec is seen to have arrived. */
  async function graces(): Promise<ReadonlySet<number>> {
    const sets = await list('statefulsets');
    return new Set(
      sets.map(({ spec }) => {
        const { template } = spec as unknown as {
          template: { spec: { terminationGracePeriodSeconds: number } };
        };
        return template.spec.terminationGracePeriodSeconds;
      }),
    );
  }

  test('one of two leads, and twenty clusters have all their children', async () => {
    await cluster.apply(CLUSTERS.map((name) => walrusCluster(name)));
    await waitFor('all children are there', MS_MAX, async () => {
      for (const [kind, count] of Object.entries(CHILDREN)) {
        const made = (await list(kind)).filter(({ metadata }) => metadata.name.startsWith('sea-'));
        if (made.length !== count * CLUSTERS.length) return false;
      }
      return (await list('statefulsets')).every(({ spec }) => spec.replicas === NODES);
    });
    const ids = (await list('walrusclusters')).map(
      ({ metadata }) => metadata.annotations?.['walrus.io/cluster-id'],
    );
    expect(new Set(ids).size).toBe(CLUSTERS.length);
    expect(await holder()).toMatch(/^(one|two)_/);
  });

  test('while nothing happens they ask for the lease only, and take little memory', async () => {
    const settled = async (): Promise<string> =>
      (await list('walrusclusters')).map(({ metadata }) => metadata.resourceVersion).join();
    let last = '';
    await waitFor('nothing happens any more', MS_MAX, async () => {
      const before = last;
      last = await settled();
      return last === before;
    });
    const requests = async (): Promise<number> => {
      const counts = operators.map((operator) =>
        metric(operator, 'walrus_operator_api_requests_total'),
      );
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };
    const renewed = (await list('leases', SYSTEM))[0]?.metadata.resourceVersion;
    const [before, startedMs] = [await requests(), performance.now()];
    let renewals = 0;
    let seen = renewed;
    await waitFor('the lease is renewed', MS_MAX, async () => {
      const now = (await list('leases', SYSTEM))[0]?.metadata.resourceVersion;
      if (now !== seen) renewals += 1;
      seen = now;
      return renewals >= IDLE_S / 2;
    });
    const passedS = (performance.now() - startedMs) / 1000;
    const asked = (await requests()) - before;
    expect(asked).toBeLessThanOrEqual(Math.ceil(IDLE_REQUESTS_MAX * Math.max(1, passedS / IDLE_S)));
    expect(await settled()).toBe(last);
    for (const operator of operators) {
      expect(residentBytes(operator)).toBeLessThan(MEMORY_BYTES_MAX);
    }
  });

  test('the one that leads is killed with kill -9: the other one goes on, and the first comes back as second', async () => {
    const leader = (await holder()).split('_')[0] ?? '';
    const index = operators.findIndex(({ name }) => name === leader);
    const other = operators[1 - index];
    const [before] = await graces();
    await cluster.apply(CLUSTERS.map((name) => walrusCluster(name, '60s')));
    operators[index]?.child.kill('SIGKILL');
    await waitFor('the other one leads', MS_MAX, async () =>
      (await holder()).startsWith(`${other?.name}_`),
    );
    await waitFor('all are changed', MS_MAX, async () => {
      const now = await graces();
      return now.size === 1 && !now.has(before ?? 0);
    });
    operators[index] = await start(leader);
    expect(await metric(operators[index], 'walrus_operator_leading')).toBe(0);
    expect(await holder()).toMatch(new RegExp(`^${other?.name}_`));
  });

  test('asked to stop it gives the lease back at once', async () => {
    const leader = (await holder()).split('_')[0] ?? '';
    const index = operators.findIndex(({ name }) => name === leader);
    const stopped = operators[index];
    expect(stopped && (await stop(stopped))).toBe(0);
    await waitFor('the other one leads', 10_000, async () => {
      const now = await holder();
      return now !== '' && !now.startsWith(`${leader}_`);
    });
    operators[index] = await start(leader);
  });

  /** Whether the operator's account may do it, by the API server's word. */
  async function mayDo(verb: string, resource: string, namespace = NAMESPACE): Promise<boolean> {
    const [path = '', group = ''] = resource.split(' of ');
    const [name, subresource = ''] = path.split('/');
    const resourceAttributes = { namespace, verb, group, resource: name, subresource };
    const user = `system:serviceaccount:${SYSTEM}:walrus-operator`;
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, resourceAttributes },
    };
    const answer = await cluster.kubectl(
      ['create', '-f', '-', '-o', 'json'],
      JSON.stringify(review),
    );
    return (JSON.parse(answer) as { status: { allowed: boolean } }).status.allowed;
  }

  test('its account may do what it needs, and nothing in another namespace', async () => {
    for (const [verb, resource] of [
      ['list', 'walrusclusters of walrus.io'],
      ['create', 'services'],
      ['delete', 'pods'],
    ] as const) {
      expect([verb, resource, await mayDo(verb, resource)]).toEqual([verb, resource, true]);
      expect([verb, resource, await mayDo(verb, resource, 'default')]).toEqual([
        verb,
        resource,
        false,
      ]);
    }
  });

  test.each([
    ['delete', 'statefulsets of apps'],
    ['get', 'secrets'],
    ['list', 'configmaps'],
    ['create', 'pods'],
    ['get', 'pods/log'],
    ['create', 'pods/exec'],
    ['delete', 'persistentvolumeclaims'],
    ['get', 'walrusclusters of walrus.io'],
    ['create', 'walrusclusters of walrus.io'],
    ['delete', 'walrusclusters of walrus.io'],
    ['list', 'nodes'],
    ['update', 'services'],
    ['deletecollection', 'services'],
    ['create', 'rolebindings of rbac.authorization.k8s.io'],
    ['impersonate', 'users'],
  ])('its account may not %s %s', async (verb, resource) => {
    expect(await mayDo(verb, resource)).toBe(false);
  });
});

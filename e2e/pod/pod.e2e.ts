import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from '../chaos/wait.ts';
import { loadSuiteImage } from '../image.ts';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { CommandError, run } from '../kube/commands.ts';

const NAMESPACE = 'pod-e2e';
const POD = 'walrus-0';
const READY_MS_MAX = 60_000;
const RECORDS = Array.from({ length: 100 }, (_, index) => `record ${index}`);

/** One node, put together as the operator will do it, as strict as Kubernetes can be about a pod. */
function objects(image: string) {
  const labels = { app: 'walrus' };
  const address = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };
  const advertise = ['CLIENT', 'PEER', 'HTTP'].flatMap((port) => [
    { name: `WALRUS_${port}_HOST`, value: '0.0.0.0' },
    { name: `WALRUS_${port}_ADVERTISE_HOST`, value: '$(POD_IP)' },
  ]);
  const probe = (path: string) => ({ httpGet: { path, port: 'http' }, periodSeconds: 1 });
  const container = {
    name: 'walrus',
    image,
    args: ['node'],
    env: [address, ...advertise],
    ports: [
      { name: 'client', containerPort: 9091 },
      { name: 'http', containerPort: 9191 },
    ],
    startupProbe: { ...probe('/livez'), failureThreshold: 60 },
    livenessProbe: probe('/livez'),
    readinessProbe: probe('/readyz'),
    resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  const spec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 20,
    // The image's own user: runAsNonRoot believes its number.
    securityContext: {
      runAsNonRoot: true,
      fsGroup: 10001,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
  };
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const resources = { requests: { storage: '1Gi' } };
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE, labels: restricted },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'walrus', namespace: NAMESPACE },
      spec: {
        serviceName: 'walrus',
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
        volumeClaimTemplates: [
          { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources } },
        ],
      },
    },
  ];
}

interface Pod {
  readonly metadata: { readonly uid: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly podIP: string;
    readonly conditions?: readonly { type: string; status: string }[];
    readonly containerStatuses?: readonly { restartCount: number }[];
  };
}

describe('the image in a pod', () => {
  let cluster: KubeCluster;

  beforeAll(async () => {
    cluster = await suiteCluster();
    await cluster.apply(objects(await loadSuiteImage(cluster)));
    await readyPod();
  });

  afterAll(async () => {
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait', '--timeout=60s']);
    if (cluster instanceof LocalCluster) await cluster.recycleVolumes();
  });

  /** Waits until the pod, another one than that of `formerUid`, is ready. */
  async function readyPod(formerUid?: string): Promise<Pod> {
    const found: { pod?: Pod } = {};
    await waitFor('the pod is ready', READY_MS_MAX, async () => {
      try {
        found.pod = (await cluster.get(['pod', POD, '-n', NAMESPACE])) as Pod;
      } catch (error) {
        if (error instanceof CommandError) return false; // there is none at the moment
        throw error;
      }
      const { metadata, status } = found.pod;
      const isReady = status.conditions?.some(
        (condition) => condition.type === 'Ready' && condition.status === 'True',
      );
      return metadata.uid !== formerUid && isReady === true;
    });
    return found.pod!;
  }

  async function exec(...command: readonly string[]): Promise<string> {
    return cluster.kubectl(['exec', POD, '-n', NAMESPACE, '--', ...command]);
  }

  /** Runs `walrus` on this machine, or in the pod of a cluster whose pods are not reached from here. */
  async function walrus(args: readonly string[], input = ''): Promise<string> {
    const { status } = (await cluster.get(['pod', POD, '-n', NAMESPACE])) as Pod;
    const all = [...args, '--addr', `${status.podIP}:9091`];
    if (cluster instanceof LocalCluster)
      return run(process.execPath, ['cli/walrus.mjs', ...all], { input });
    const command = ['exec', '-i', POD, '-n', NAMESPACE, '--', 'walrus', ...all];
    return cluster.kubectl(command, input);
  }

  async function consumed(): Promise<string[]> {
    const count = String(RECORDS.length);
    const out = await walrus(['consume', 'greetings', '--max', count]);
    return out.trimEnd().split('\n');
  }

  test('it holds the compiled program, a Node without tools, and no way to write', async () => {
    expect(await exec('walrus', '--version')).toMatch(/^walrus \d/);
    await expect(exec('sh', '-c', 'true')).rejects.toThrow(/sh/);
    const script = `
      const fs = require('node:fs');
      const refused = (file) => { try { fs.writeFileSync(file, ''); return false; } catch (e) { return e.code; } };
      console.log(JSON.stringify({
        uid: process.getuid(), pid1: fs.readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(0, 3),
        root: refused('/x'), app: refused('/app/x'), tmp: refused('/tmp/x'), data: refused('/data/x'),
        binding: fs.readdirSync('/app/node_modules/@node-rs').length,
        sources: fs.readdirSync('/app', { recursive: true }).filter((f) => !f.includes('node_modules') && f.endsWith('.ts')),
      }));`;
    expect(JSON.parse(await exec('node', '-e', script))).toEqual({
      uid: 10001,
      pid1: ['/usr/bin/node', '/usr/bin/walrus', 'node'],
      root: 'EROFS',
      app: 'EROFS',
      tmp: 'EROFS',
      data: false,
      binding: 2, // the package and the native part for this platform
      sources: [],
    });
  });

  test('records come back, also from the pod that takes its place on the same volume', async () => {
    await walrus(['topic', 'create', 'greetings']);
    await walrus(['produce', 'greetings'], `${RECORDS.join('\n')}\n`);
    expect(await consumed()).toEqual(RECORDS);
    const { metadata, spec } = await readyPod();
    await cluster.kubectl(['delete', 'pod', POD, '-n', NAMESPACE]);
    const next = await readyPod(metadata.uid);
    expect(next.spec.nodeName).toBe(spec.nodeName);
    expect(next.status.containerStatuses?.[0]?.restartCount).toBe(0);
    expect(await consumed()).toEqual(RECORDS);
  });
});

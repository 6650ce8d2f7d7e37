/** The operator as a process of this machine, with the permissions that the chart gives it and no others. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { freePorts } from '../chaos/ports.ts';
import { waitFor } from '../chaos/wait.ts';
import { LocalCluster } from '../kube/cluster.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import { run } from '../kube/commands.ts';
import { ROOT } from '../kube/root.ts';
import { pathsOf } from '../kube/spec.ts';

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 30_000;
const RELEASE = 'walrus';
const ACCOUNT = 'walrus-operator';

interface Kubeconfig {
  readonly clusters: readonly { readonly cluster: Readonly<Record<string, unknown>> }[];
}

export interface OperatorPlace {
  readonly cluster: KubeCluster;
  /** It looks after this namespace only, and is installed there. */
  readonly namespace: string;
  /** For its kubeconfig and its log. */
  readonly folder: string;
}

export class OperatorProcess {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  /** Installs the chart without a pod of the operator, and starts one here under its ServiceAccount. */
  static async start(place: OperatorPlace): Promise<OperatorProcess> {
    const { namespace, folder } = place;
    await installWithoutPods(place);
    const kubeconfig = path.join(folder, 'kubeconfig.json');
    await fs.writeFile(kubeconfig, await kubeconfigOf(place));
    const [port = 0] = await freePorts(1);
    const log = await fs.open(path.join(folder, 'operator.log'), 'a');
    const args = ['--namespace', namespace, '--lease-namespace', namespace, '--port', String(port)];
    const child = spawn(
      process.execPath,
      ['cli/main.ts', 'operator', ...args, '--host', '127.0.0.1', '--resync', '5'],
      {
        cwd: ROOT,
        stdio: ['ignore', log.fd, log.fd],
        env: { ...process.env, KUBECONFIG: kubeconfig },
      },
    );
    await log.close();
    const started = new OperatorProcess(port, child);
    await waitFor('the operator has read everything', START_MS_MAX, () => started.#isReady());
    return started;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await waitFor('the operator ends', STOP_MS_MAX, () => this.#child.exitCode !== null);
  }

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error('the operator has ended: see its log');
    return fetch(`http://127.0.0.1:${this.port}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  }
}

async function installWithoutPods({ cluster, namespace }: OperatorPlace): Promise<void> {
  const helm =
    cluster instanceof LocalCluster ? path.join(pathsOf(cluster.spec.dir).bin, 'helm') : 'helm';
  const values = `operator.replicas=0,operator.watchNamespace=${namespace}`;
  const chart = path.join(ROOT, 'helm', 'walrus');
  await run(helm, [
    ...['upgrade', '--install', RELEASE, chart, '--set', values],
    ...['--namespace', namespace, '--kubeconfig', cluster.kubeconfig],
  ]);
}

async function kubeconfigOf({ cluster, namespace }: OperatorPlace): Promise<string> {
  const token = await cluster.kubectl(['create', 'token', ACCOUNT, '-n', namespace]);
  const view = ['config', 'view', '--raw', '--minify', '-o', 'json'];
  const [found] = (JSON.parse(await cluster.kubectl(view)) as Kubeconfig).clusters;
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'e2e', cluster: found?.cluster }],
    users: [{ name: ACCOUNT, user: { token } }],
    contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: ACCOUNT, namespace } }],
    'current-context': 'e2e',
  });
}

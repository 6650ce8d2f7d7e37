/** The clients in a pod, seen from the test: their objects, their start, their end and what they said. */
import { waitFor } from '../chaos/wait.ts';
import { CommandError } from '../kube/commands.ts';
import type { KubeCluster } from '../kube/cluster.ts';
import type { ClientsPlan } from './clients.ts';
import { POD_MAIN, podFiles } from './podFiles.ts';
import { READY_LINE, parsePodOutput } from './podLines.ts';
import type { PodOutput } from './podLines.ts';

const START_MS_MAX = 60_000;
/** More than a producer tries. */
const END_MS_MAX = 150_000;
const LIFE_SECONDS_MAX = 900;
const NODE = '/usr/bin/node';
const STOP = "process.kill(1, 'SIGUSR2')";

export interface InsidePlace {
  readonly cluster: KubeCluster;
  readonly namespace: string;
  readonly name: string;
  readonly image: string;
  /** The Node that it runs on; any when absent. */
  readonly nodeName?: string | undefined;
}

export class InsideClients {
  readonly #place: InsidePlace;
  readonly #plan: ClientsPlan;

  private constructor(place: InsidePlace, plan: ClientsPlan) {
    this.#place = place;
    this.#plan = plan;
  }

  /** Returns when every writer in the pod has been served. */
  static async start(place: InsidePlace, plan: ClientsPlan): Promise<InsideClients> {
    const { cluster, namespace, name } = place;
    const data = await podFiles();
    await cluster.apply([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data },
      pod(place, plan),
    ]);
    const clients = new InsideClients(place, plan);
    await waitFor('the clients in the pod are served', START_MS_MAX, async () =>
      (await clients.#output()).includes(READY_LINE),
    );
    return clients;
  }

  /** Ends the writers, then the readers; the writers outside have ended before. */
  async finish(): Promise<PodOutput> {
    const { cluster, namespace, name } = this.#place;
    await cluster.kubectl(['exec', name, '-n', namespace, '--', NODE, '-e', STOP]);
    await waitFor('the clients in the pod have ended', END_MS_MAX, async () => {
      const phase = await cluster.kubectl(['get', 'pod', name, '-n', namespace, ...PHASE]);
      return phase === 'Succeeded' || phase === 'Failed';
    });
    const output = await this.#output();
    const parsed = parsePodOutput(this.#plan, output);
    if (parsed.outcome === null)
      throw new Error(`the clients in the pod failed: ${output.slice(-1000)}`);
    await this.remove();
    return parsed;
  }

  async remove(): Promise<void> {
    const { cluster, namespace, name } = this.#place;
    const what = [`pod/${name}`, `configmap/${name}`, '-n', namespace];
    await cluster.kubectl(['delete', ...what, '--ignore-not-found', '--now', '--wait=false']);
  }

  async #output(): Promise<string> {
    const { cluster, namespace, name } = this.#place;
    try {
      return await cluster.kubectl(['logs', name, '-n', namespace]);
    } catch (error) {
      if (error instanceof CommandError) return ''; // it has not started yet
      throw error;
    }
  }
}

const PHASE = ['-o', 'jsonpath={.status.phase}'];

function pod({ namespace, name, image, nodeName }: InsidePlace, plan: ClientsPlan) {
  const container = {
    name: 'load',
    image,
    command: [NODE, `/load/${POD_MAIN}`, JSON.stringify(plan)],
    volumeMounts: [{ name: 'load', mountPath: '/load' }],
    securityContext: {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
  };
  const hostname = { 'kubernetes.io/hostname': nodeName };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: LIFE_SECONDS_MAX,
      automountServiceAccountToken: false,
      ...(nodeName === undefined ? {} : { nodeSelector: hostname }),
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [container],
      volumes: [{ name: 'load', configMap: { name } }],
    },
  };
}

/** A WalrusCluster with its operator in a namespace of its own, and what tests ask of it and do to it. */
import { waitFor } from '../chaos/wait.ts';
import { loadSuiteImage } from '../image.ts';
import { LocalCluster, suiteCluster } from '../kube/cluster.ts';
import { CommandError, run } from '../kube/commands.ts';
import type { KubeObject } from '../kube/manifests.ts';
import path from 'node:path';
import { ROOT } from '../kube/root.ts';
import { pathsOf } from '../kube/spec.ts';
import { VerifiedLoad, showReport } from '../load/verifiedLoad.ts';
import type { LoadReport } from '../load/verifiedLoad.ts';

const READY_MS_MAX = 180_000;
/** Load alone, before anything is done: what it is compared with. */
const STEADY_MS = 5000;
const CHART = path.join(ROOT, 'helm', 'walrus');

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
}

export interface Status {
  readonly conditions?: readonly Condition[];
  readonly clusterId?: string;
  /** A pod. */
  readonly leader?: string;
  readonly nodes?: readonly { readonly nodeId: number; readonly role?: string }[];
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
  };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

interface Written {
  readonly kind: string;
  readonly metadata: {
    readonly uid: string;
    readonly generation?: number;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
  };
}

type Spec = Readonly<Record<string, unknown>>;

export class TestedCluster {
  readonly kube: LocalCluster;
  readonly namespace: string;
  readonly name: string;
  readonly image: string;

  private constructor(place: Pick<TestedCluster, 'kube' | 'namespace' | 'name' | 'image'>) {
    this.kube = place.kube;
    this.namespace = place.namespace;
    this.name = place.name;
    this.image = place.image;
  }

  /** Makes the namespace, which takes only pods that are as strict as can be. */
  static async open(namespace: string, name: string): Promise<TestedCluster> {
    const kube = await suiteCluster();
    if (!(kube instanceof LocalCluster))
      throw new Error('E2E_KUBECONFIG: run without e2e/cases, which breaks nodes');
    const image = await loadSuiteImage(kube);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await kube.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    ]);
    return new TestedCluster({ kube, namespace, name, image });
  }

  /** The operator by Helm, looking after this namespace only. */
  async helmInstall(values: readonly string[] = []): Promise<void> {
    const colon = this.image.lastIndexOf(':');
    await this.helm([
      ...['upgrade', '--install', 'walrus', CHART, '--wait', '--timeout=120s'],
      ...['--set', `image.repository=${this.image.slice(0, colon)}`],
      ...['--set-string', `image.tag=${this.image.slice(colon + 1)}`],
      ...['--set', `operator.watchNamespace=${this.namespace}`],
      ...values,
    ]);
  }

  async helm(args: readonly string[]): Promise<string> {
    const binary = path.join(pathsOf(this.kube.spec.dir).bin, 'helm');
    const where = ['--namespace', this.namespace, '--kubeconfig', this.kube.kubeconfig];
    return run(binary, [...args, ...where]);
  }

  async kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.kube.kubectl(['-n', this.namespace, ...args], input);
  }

  /** Three nodes that ask for little. */
  get smallSpec(): Spec {
    const resources = { requests: { cpu: '50m', memory: '128Mi' } };
    return { replicas: 3, image: this.image, storage: { size: '1Gi' }, resources };
  }

  async apply(spec: Spec = {}): Promise<void> {
    const object: KubeObject = {
      apiVersion: 'walrus.io/v1alpha1',
      kind: 'WalrusCluster',
      metadata: { name: this.name, namespace: this.namespace },
      spec: { ...this.smallSpec, ...spec },
    };
    await this.kube.apply([object]);
  }

  async spec(): Promise<Spec> {
    return ((await this.kube.get(['wc', this.name, '-n', this.namespace])) as { spec: Spec }).spec;
  }

  async patch(spec: Spec): Promise<void> {
    const body = JSON.stringify({ spec });
    await this.kubectl(['patch', 'wc', this.name, '--type=merge', '-p', body]);
  }

  /** Of the spec as it is now: empty until the operator has seen it. */
  async status(): Promise<Status> {
    const found = (await this.kube.get(['wc', this.name, '-n', this.namespace])) as {
      readonly metadata: { readonly generation: number };
      readonly status?: Status & { readonly observedGeneration?: number };
    };
    const isOfNow = found.status?.observedGeneration === found.metadata.generation;
    return isOfNow ? (found.status ?? {}) : {};
  }

  async reason(type: string): Promise<string> {
    const { conditions = [] } = await this.status();
    return conditions.find((condition) => condition.type === type)?.reason ?? '';
  }

  /** Waits until a condition has this reason, of the spec as it is now. */
  async becomes(type: string, reason: string): Promise<void> {
    await waitFor(`${type} is ${reason}`, READY_MS_MAX, async () => {
      return (await this.asked(() => this.reason(type))) === reason;
    });
  }

  async ready(): Promise<void> {
    await this.becomes('Ready', 'AllNodesServe');
  }

  /** undefined while the API server does not answer. */
  async asked<T>(question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      if (error instanceof CommandError) return undefined;
      throw error;
    }
  }

  async pods(): Promise<readonly Pod[]> {
    const selector = `app.kubernetes.io/instance=${this.name}`;
    const list = ['pods', '-n', this.namespace, '-l', selector];
    return ((await this.kube.get(list)) as { items: readonly Pod[] }).items;
  }

  async pod(ordinal: number): Promise<Pod> {
    const name = `${this.name}-${ordinal}`;
    return (await this.kube.get(['pod', name, '-n', this.namespace])) as Pod;
  }

  async uids(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.pods()).map(({ metadata }) => [metadata.name, metadata.uid]));
  }

  /** Waits until all pods are others than these. */
  async replaced(before: ReadonlyMap<string, string>): Promise<void> {
    await waitFor('all pods are others', READY_MS_MAX, async () => {
      const now = await this.uids();
      return now.size === before.size && [...before].every(([name, uid]) => now.get(name) !== uid);
    });
  }

  /** Waits until all three pods are ready, and the operator says so, too, which may know it later. */
  async whole(count = 3): Promise<void> {
    await waitFor(`${count} pods are ready`, READY_MS_MAX, async () => {
      const pods = (await this.asked(() => this.pods())) ?? [];
      return pods.filter(isReady).length === count;
    });
    await this.ready();
  }

  /** The pod of the metadata's leader. */
  async leader(): Promise<string> {
    const found: { pod?: string } = {};
    await waitFor('the metadata have a leader', READY_MS_MAX, async () => {
      const { leader } = await this.status();
      if (leader !== undefined) found.pod = leader;
      return leader !== undefined;
    });
    return found.pod ?? '';
  }

  async restarts(pod: string): Promise<number> {
    const { status } = (await this.kube.get(['pod', pod, '-n', this.namespace])) as Pod;
    return status.containerStatuses?.[0]?.restartCount ?? 0;
  }

  /** The Node of a pod, and another one. */
  async nodesOf(pod: string): Promise<{ cut: string; other: string }> {
    const { spec } = (await this.kube.get(['pod', pod, '-n', this.namespace])) as Pod;
    const cut = spec.nodeName ?? '';
    return { cut, other: this.kube.nodes.find((node) => node !== cut) ?? '' };
  }

  /** Waits until a Node's condition Ready is this. */
  async nodeBecomes(node: string, ready: 'True' | 'Unknown'): Promise<void> {
    await waitFor(`${node} is ${ready}`, READY_MS_MAX, async () => {
      const found = (await this.asked(() => this.kube.get(['node', node]))) as
        Pick<Pod, 'status'> | undefined;
      const { conditions = [] } = found?.status ?? {};
      return conditions.find(({ type }) => type === 'Ready')?.status === ready;
    });
  }

  /** `kill -9` of the node's process in a pod, from outside of the container. */
  async killContainer(pod: string): Promise<void> {
    const { spec } = (await this.kube.get(['pod', pod, '-n', this.namespace])) as Pod;
    await this.kube.killContainers(spec.nodeName ?? '', this.namespace, pod);
  }

  /**
   * `kill -9` of the operator that leads, each time when it has written something, until what is waited for is so.
   * @returns How often.
   */
  async killOperators(
    what: string,
    isDone: () => Promise<boolean>,
    msMax: number,
  ): Promise<number> {
    let written = await this.#written();
    const killed = new Set<string>();
    await waitFor(what, msMax, async () => {
      const before = written;
      written = await this.#written();
      if (written === before) return isDone();
      const leading = await this.#leadingOperator();
      // The lease names a dead one until another takes it.
      if (leading === '' || killed.has(leading)) return false;
      killed.add(leading);
      await this.killContainer(leading.split('_')[0] ?? '');
      return false;
    });
    return killed.size;
  }

  /** Changes with everything that only an operator writes. */
  async #written(): Promise<string> {
    const { items } = (await this.kube.get(['wc,sts,pod', '-n', this.namespace])) as {
      items: readonly Written[];
    };
    return items.map(({ kind, metadata }) => versionOf(kind, metadata)).join();
  }

  /** The pod and the process; empty when none leads. */
  async #leadingOperator(): Promise<string> {
    const { items } = (await this.kube.get(['lease', '-n', this.namespace])) as {
      items: readonly { readonly spec: { readonly holderIdentity?: string } }[];
    };
    return items[0]?.spec.holderIdentity ?? '';
  }

  /** @throws {CommandError} when a PodDisruptionBudget refuses it (429). */
  async evict(pod: string): Promise<void> {
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: pod, namespace: this.namespace },
    };
    const where = `/api/v1/namespaces/${this.namespace}/pods/${pod}/eviction`;
    await this.kubectl(['create', '--raw', where, '-f', '-'], JSON.stringify(eviction));
  }

  /** The same image by another name: a version that differs in nothing. */
  async tagImage(tag: string): Promise<string> {
    const name = `${this.image}-${tag}`;
    await this.kube.tagImage(this.image, name);
    return name;
  }

  /**
   * Does something under load, and reads everything back.
   * @param insideNode - Of the pod with clients; any when absent.
   */
  async underLoad(
    title: string,
    disturb: () => Promise<void>,
    { insideNode, hosts = 3 }: { readonly insideNode?: string; readonly hosts?: number } = {},
  ): Promise<LoadReport> {
    const { kube: cluster, namespace, name, image } = this;
    const options = { cluster, namespace, name, image, title };
    const load = await VerifiedLoad.start(
      insideNode === undefined ? options : { ...options, insideNode },
      hosts,
    );
    try {
      await load.steady(STEADY_MS);
      await load.during(disturb);
      const report = await load.finish();
      process.stderr.write(showReport(report));
      return report;
    } catch (error) {
      await load.abandon();
      throw error;
    }
  }

  async removeNamespace(): Promise<void> {
    const what = ['namespace', this.namespace, '--ignore-not-found'];
    await this.kube.kubectl(['delete', ...what, '--wait', '--timeout=120s']);
  }

  /** Removes everything, and offers the volumes again. */
  async remove(): Promise<void> {
    await this.removeNamespace();
    await this.kube.kubectl(['delete', '--ignore-not-found', 'crd', 'walrusclusters.walrus.io']);
    await this.kube.recycleVolumes();
  }
}

export function isReady({ status }: Pod): boolean {
  return (
    status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  );
}

/** What every case comes to: clients of the library saw no error, and everything acknowledged was read back once, in order. */
export const WHOLE = { errors: [], problems: [] };

/** The pods that are others than before. */
export function changed(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly string[] {
  return [...before].filter(([name, uid]) => now.get(name) !== uid).map(([name]) => name);
}

/** The controllers of Kubernetes write the status of the others. */
function versionOf(kind: string, { uid, generation, ...rest }: Written['metadata']): string {
  if (kind === 'WalrusCluster') return rest.resourceVersion;
  return `${uid} ${generation ?? 0} ${rest.deletionTimestamp ?? ''}`;
}

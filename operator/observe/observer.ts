/** Reads, once for a pass, all that a plan needs: the objects as the watches have them, and what the nodes say. */
import type { Clock } from '../../base/clock.ts';
import type { ClusterStatus, NodeStatus, Verdict } from '../../protocol/admin/types.ts';
import { CLUSTER_ID_ANNOTATION } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { namesOf } from '../desired/names.ts';
import type { Desired, KubernetesObject } from '../desired/types.ts';
import { isKubeError } from '../kube/api.ts';
import type { KubeApi } from '../kube/api.ts';
import type { Stored } from '../kube/listWatch.ts';
import { kindOf, objectPath } from '../kube/paths.ts';
import { keyOf } from '../plan/children.ts';
import type { AdminClient } from './adminClient.ts';
import type { AdminView, ChildView, Observed, PodView } from './types.ts';
import { childView, claimView, podView, statefulSetView } from './views.ts';

/** The objects of one kind that are known. */
export interface Store {
  readonly objects: ReadonlyMap<string, Stored>;
  /** Not null: why this kind cannot be had. */
  readonly absence: string | null;
}

export interface Stores {
  readonly statefulSets: Store;
  readonly pods: Store;
  readonly claims: Store;
  /** Children of other kinds, by kind. */
  readonly others: ReadonlyMap<string, Store>;
}

/** Nodes that are asked at once: one that hangs holds only its own place, and only until it times out. */
const ASKED_AT_ONCE_MAX = 32;

interface Asked {
  readonly ordinal: number;
  readonly ip: string;
}

export interface ObserverOptions {
  readonly api: KubeApi;
  readonly clock: Clock;
  readonly stores: Stores;
  readonly admin: AdminClient;
}

export class Observer {
  readonly #options: ObserverOptions;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  /** @throws {KubeError} */
  async observe(cluster: WalrusCluster, wanted: Desired): Promise<Observed> {
    const { clock, stores } = this.#options;
    const { namespace } = cluster.metadata;
    const within = (store: Store): readonly Stored[] =>
      [...store.objects.values()].filter((object) => object.metadata.namespace === namespace);
    const set =
      stores.statefulSets.objects.get(`${namespace}/${namesOf(cluster).statefulSet}`) ??
      (await this.#read(wanted.statefulSet));
    const pods = within(stores.pods).flatMap((pod) => podView(pod, cluster) ?? []);
    const statefulSet = set === null ? null : statefulSetView(set, cluster);
    return {
      nowMs: clock.wallMs(),
      cluster,
      statefulSet,
      children: await this.#children(cluster, wanted),
      unserved: this.#unserved(),
      pods,
      claims: within(stores.claims).flatMap(
        (claim) => claimView(claim, cluster, statefulSet?.uid ?? null) ?? [],
      ),
      admin: await this.#admin(cluster, pods, statefulSet?.updateRevision ?? null),
    };
  }

  #unserved(): ReadonlyMap<string, string> {
    const { others } = this.#options.stores;
    return new Map(
      [...others].flatMap(([kind, { absence }]) => (absence === null ? [] : [[kind, absence]])),
    );
  }

  /** Those that are ours, and whatever has the name of one that is wanted. */
  async #children(
    cluster: WalrusCluster,
    { others }: Desired,
  ): Promise<ReadonlyMap<string, ChildView>> {
    const known = [...this.#options.stores.others].flatMap(([kind, store]) =>
      [...store.objects.values()]
        .filter(({ metadata }) => metadata.namespace === cluster.metadata.namespace)
        .map((object) => childView(kind, object, cluster))
        .filter(({ isOwned }) => isOwned),
    );
    const views = new Map(known.map((view) => [keyOf(view), view]));
    const unserved = this.#unserved();
    for (const object of others) {
      const { kind, metadata } = object;
      if (unserved.has(kind)) continue;
      if (views.has(keyOf({ kind, name: metadata.name }))) continue;
      const found = await this.#read(object);
      if (found === null) continue;
      const view = childView(kind, found, cluster);
      views.set(keyOf(view), view);
    }
    return views;
  }

  /** Past the watches: they see only what has our labels, and may be late. */
  async #read({ kind, metadata }: KubernetesObject): Promise<Stored | null> {
    const path = objectPath(kindOf(kind), metadata.namespace, metadata.name);
    try {
      return (await this.#options.api.request({ method: 'GET', path })) as Stored;
    } catch (error) {
      if (isKubeError(error, 404)) return null;
      throw error;
    }
  }

  async #admin(
    { metadata }: WalrusCluster,
    pods: readonly PodView[],
    updateRevision: string | null,
  ): Promise<AdminView> {
    const id = metadata.annotations?.[CLUSTER_ID_ANNOTATION] ?? '';
    const asked = pods.flatMap(({ ordinal, ip }): Asked[] =>
      ip === null ? [] : [{ ordinal, ip }],
    );
    const outdated = pods.filter(({ revision }) => revision !== updateRevision);
    const answers = await inParallel(asked, (pod) => this.#ask(pod));
    const nodes = answers.flatMap(({ ordinal, node }) =>
      node?.nodeId === ordinal && isOf(id, node) ? [[ordinal, node] as const] : [],
    );
    const cluster = bestOf(
      answers.flatMap((answer) => (isOf(id, answer.cluster) ? answer.cluster : [])),
    );
    const problem = nodes.length > 0 ? null : 'No node answers on its admin API';
    return {
      nodes: new Map(nodes),
      cluster,
      canRestart: await this.#verdicts(cluster, { asked, outdated }),
      problem,
    };
  }

  async #ask({ ordinal, ip }: Asked): Promise<{
    ordinal: number;
    node: NodeStatus | null;
    cluster: ClusterStatus | null;
  }> {
    const { admin } = this.#options;
    const [node, cluster] = await Promise.all([admin.node(ip), admin.cluster(ip)]);
    return { ordinal, node, cluster };
  }

  /** All of them from one node: whoever is asked, the metadata leader decides. Only a pod that is outdated may be restarted. */
  async #verdicts(
    cluster: ClusterStatus | null,
    { asked, outdated }: { asked: readonly Asked[]; outdated: readonly PodView[] },
  ): Promise<ReadonlyMap<number, Verdict>> {
    const leader = cluster?.leader.isFresh === true ? cluster.leader.nodeId : null;
    const host = asked.find(({ ordinal }) => ordinal === leader)?.ip;
    if (host === undefined) return new Map();
    const verdicts = await inParallel(outdated, async ({ ordinal }) => {
      const verdict = await this.#options.admin.canRestart(host, ordinal);
      return verdict === null ? [] : [[ordinal, verdict] as const];
    });
    return new Map(verdicts.flat());
  }
}

/** In the order of the items. */
async function inParallel<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const answers: R[] = [];
  const left = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of left) answers[index] = await ask(item);
  };
  await Promise.all(Array.from({ length: Math.min(ASKED_AT_ONCE_MAX, items.length) }, work));
  return answers;
}

/** A leader's own answer if there is one, of the highest epoch; else what is remembered. */
function bestOf(answers: readonly ClusterStatus[]): ClusterStatus | null {
  const known = answers.filter(({ clusterId }) => clusterId !== '');
  const rank = (answer: ClusterStatus): number => (answer.leader.isFresh ? 1 : 0);
  return known.sort((a, b) => rank(b) - rank(a) || b.epoch - a.epoch)[0] ?? null;
}

/** Whether it is of this cluster: the address of a pod that has gone may be another cluster's by now. */
function isOf<T extends { readonly clusterId: string }>(id: string, answer: T | null): answer is T {
  return answer !== null && (answer.clusterId === id || answer.clusterId === '');
}

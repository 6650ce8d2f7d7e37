/**
 * A world for whole operators: an API server and a Kubernetes in memory, model nodes, virtual time, and any number of operators
 * that crash, hang and come back. It watches what they do, and says which promise they broke.
 */
import { SILENT } from '../../base/log.ts';
import type { Logger } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { Scheduler } from '../../node/sim/scheduler.ts';
import { SimClock, SimProcess } from '../../node/sim/simProcess.ts';
import {
  API_VERSION,
  KIND,
  OPERATOR_ANNOTATION,
  PLURAL,
  operatorOf,
} from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { Operator } from '../controller/operator.ts';
import { isReady } from '../kube/testing/disruption.ts';
import { FakeApiServer } from '../kube/testing/fakeApiServer.ts';
import type { Asked } from '../kube/testing/fakeApiServer.ts';
import { FakeClient } from '../kube/testing/fakeClient.ts';
import type { Stored } from '../kube/listWatch.ts';
import { kindOf, objectPath } from '../kube/paths.ts';
import type { ModelNodes } from '../plan/testing/nodes.ts';
import { ModelKubernetes } from './kubernetes.ts';
import type { Place } from './kubernetes.ts';
import { ModelAdmin } from './modelAdmin.ts';

export const NAMESPACE = 'ocean';
const LEASE_NAMESPACE = 'system';
/** Of an installation, unless another is named. */
const LEASE_NAME = 'operators';
const TICK_MS = 1000;
/** As `walrus operator` and the chart have it. */
export const RESYNC_S = 15;
const WALL_MS = 1_700_000_000_000;

const RESTARTS = new Set(['delete pods', 'create pods/eviction']);
const SCALES = new Set(['update statefulsets/scale', 'patch statefulsets']);

/** One process of an operator. */
export interface OperatorProcess {
  readonly name: string;
  readonly leaseName: string;
  readonly process: SimProcess;
  readonly operator: Operator;
  readonly client: FakeClient;
  readonly admin: ModelAdmin;
}

export interface Breach {
  readonly property: string;
  readonly detail: string;
}

export class World {
  readonly scheduler = new Scheduler();
  readonly server = new FakeApiServer(() => WALL_MS + this.scheduler.nowMs);
  readonly kubernetes = new ModelKubernetes(this.server);
  readonly #random: SeededRandom;
  readonly #operators = new Map<string, OperatorProcess>();
  /** Also of those that have been killed. */
  readonly #leaseNames = new Map<string, string>();
  readonly #breaches: Breach[] = [];
  /** Writes of operators, to the API server and to nodes, but for their leases. */
  readonly writes: string[] = [];
  /** Risky actions that operators have counted. */
  readonly actions: string[] = [];
  /** When operators began to look at a cluster. */
  readonly passes: { readonly name: string; readonly atMs: number }[] = [];
  logger: Logger = SILENT;
  /** Called after each write, the leases among them, while its answer is not there yet. */
  onWritten: (by: OperatorProcess) => void = () => undefined;

  constructor(seed = 1) {
    this.#random = new SeededRandom(seed);
    this.server.onRequest = (asked) => this.#watch(asked);
    this.#tick();
  }

  get breaches(): readonly Breach[] {
    return [...this.#breaches, ...this.kubernetes.clusters.flatMap(({ violations }) => violations)];
  }

  startOperator(name: string, leaseName = LEASE_NAME): OperatorProcess {
    const { scheduler, server, kubernetes } = this;
    const process = new SimProcess();
    const client = new FakeClient({ server, scheduler, process, user: name });
    const onAct = (what: string, nodes: ModelNodes): void => {
      this.#wrote(name, `POST ${what}`);
      const isOf = ({ metadata }: Stored): boolean =>
        this.kubernetes.nodesOf(metadata.namespace, metadata.name) === nodes;
      this.#checkOwner(name, what, isOf);
    };
    const admin = new ModelAdmin({ kubernetes, scheduler, process, onAct });
    const operator = new Operator({
      ...{ api: client, admin, logger: this.logger, random: this.#random.fork() },
      clock: new SimClock(scheduler, process, { offsetMs: WALL_MS }),
      defaults: { imageRepository: 'walrus', version: '1.0.0' },
      ...{ namespace: null, leaseNamespace: LEASE_NAMESPACE, leaseName, identity: name },
      resyncMs: RESYNC_S * 1000,
      onAction: ({ type }) => void this.actions.push(type),
      onFailure: () => undefined,
      onPass: ({ metadata }) => {
        this.passes.push({ name: metadata.name, atMs: scheduler.nowMs });
        return () => undefined;
      },
      onBroken: (error) => this.breach('NeverBreaks', String(error)),
    });
    const started = { name, leaseName, process, operator, client, admin };
    this.#leaseNames.set(name, leaseName);
    client.onWritten = () => this.onWritten(started);
    admin.onActed = () => this.onWritten(started);
    this.#operators.set(name, started);
    operator.start();
    return started;
  }

  /** As by kill -9. */
  kill({ name, process }: OperatorProcess): void {
    process.kill();
    this.#operators.delete(name);
  }

  /** A user's `kubectl apply`: made, or changed. */
  apply(name: string, spec: Partial<WalrusCluster['spec']>): void {
    const found = this.server.find(KIND, NAMESPACE, name) as unknown as WalrusCluster | null;
    this.server.put({
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { namespace: NAMESPACE, name },
      spec: { ...(found?.spec ?? DEFAULT_SPEC), ...spec },
    });
  }

  /** A user's `kubectl annotate`: another installation is to look after it. */
  handOver(name: string, leaseName: string): void {
    const annotations = {
      ...this.clusterOf(name).metadata.annotations,
      [OPERATOR_ANNOTATION]: `${LEASE_NAMESPACE}/${leaseName}`,
    };
    const metadata = { namespace: NAMESPACE, name, annotations };
    this.server.put({ kind: KIND, metadata });
  }

  /** Its StatefulSet is deleted, and its pods are left. */
  orphanPods(name: string): void {
    for (const { metadata } of this.server.all('Pod')) {
      const left = { namespace: NAMESPACE, name: metadata.name, ownerReferences: [] };
      this.server.put({ kind: 'Pod', metadata: left });
    }
    this.server.remove('StatefulSet', NAMESPACE, name);
  }

  /** A user drains its host: it is evicted, if the budget allows it. */
  evict(pod: Stored): void {
    const { namespace, name } = pod.metadata;
    const isGoing = pod.metadata['deletionTimestamp'] !== undefined;
    if (isGoing || !isReady(pod) || !this.server.mayBeEvicted(pod)) return;
    this.#checkOthers(pod, this.kubernetes.placeOf(pod));
    const path = `${objectPath(kindOf('Pod'), namespace, name)}/eviction`;
    this.server.request('user', { method: 'POST', path, body: { metadata: { namespace, name } } });
  }

  clusterOf(name: string): WalrusCluster {
    return this.server.find(KIND, NAMESPACE, name) as unknown as WalrusCluster;
  }

  async run(durationMs: number): Promise<void> {
    await this.scheduler.run(this.scheduler.nowMs + durationMs, () => this.breaches.length > 0);
  }

  /** Until a cluster is as its spec says, and says so. */
  async settle(name: string, withinMs: number): Promise<void> {
    const untilMs = this.scheduler.nowMs + withinMs;
    const isOver = (): boolean => this.breaches.length > 0 || this.isSettled(name);
    await this.scheduler.run(untilMs, isOver);
    if (!isOver()) this.breach('Converges', JSON.stringify(this.clusterOf(name).status ?? null));
  }

  isSettled(name: string): boolean {
    const { metadata, spec, status } = this.clusterOf(name);
    const ready = status?.conditions.find(({ type }) => type === 'Ready');
    if (ready?.status !== 'True' || status?.observedGeneration !== metadata.generation) {
      return false;
    }
    const nodes = this.kubernetes.nodesOf(NAMESPACE, name);
    const pods = this.server
      .all('Pod')
      .filter((pod) => this.kubernetes.placeOf(pod).nodes === nodes);
    return pods.length === spec.replicas && pods.every((pod) => this.#isAsWanted(pod, spec.image));
  }

  breach(property: string, detail: string): void {
    this.#breaches.push({ property, detail });
  }

  #isAsWanted(pod: ReturnType<FakeApiServer['all']>[number], image: string | undefined): boolean {
    const { nodes, ordinal } = this.kubernetes.placeOf(pod);
    const { containers } = pod['spec'] as { containers: readonly [{ image: string }] };
    return nodes.isCaughtUp(ordinal) && containers[0].image === image;
  }

  #tick(): void {
    this.kubernetes.tick();
    this.scheduler.schedule(TICK_MS, () => this.#tick());
  }

  /** What an operator asks of the API server, before it is done. */
  #watch(asked: Asked): void {
    const { user, verb, resource, namespace, name } = asked;
    const isRead = ['get', 'list', 'watch'].includes(verb);
    // A user's, another controller's.
    if (isRead || resource === 'leases' || !this.#leaseNames.has(user)) return;
    this.#wrote(user, `${verb} ${resource} ${name ?? ''}`);
    if (namespace === null || name === null || this.#isStale(asked)) return;
    const isOf = ({ metadata }: Stored): boolean =>
      metadata.namespace === namespace && `${name}-`.startsWith(`${metadata.name}-`);
    this.#checkOwner(user, `${verb} ${resource} ${name}`, isOf);
    if (RESTARTS.has(`${verb} ${resource}`)) this.#restarts(asked);
    if (SCALES.has(`${verb} ${resource}`)) this.#scales(asked);
  }

  /** By a version that is old by now: it is refused. */
  #isStale({ resource, namespace, name, body }: Asked): boolean {
    if (resource !== PLURAL) return false;
    const { resourceVersion } = (body as { metadata: { resourceVersion?: string } }).metadata;
    const found = this.server.find(KIND, namespace ?? '', name ?? '');
    const present = found?.metadata.resourceVersion;
    return (resourceVersion ?? present) !== present;
  }

  /** What is done to a cluster, its operator does. */
  #checkOwner(user: string, what: string, isOf: (cluster: Stored) => boolean): void {
    const lease = `${LEASE_NAMESPACE}/${this.#leaseNames.get(user)}`;
    for (const cluster of this.server.all(KIND).filter(isOf)) {
      const owner = operatorOf(cluster as unknown as WalrusCluster);
      if (owner === null || owner === lease) continue;
      this.breach('OneInstallationActs', `${user} of ${lease} did ${what}, of ${owner}'s cluster`);
    }
  }

  #restarts({ user, resource, namespace, name, body }: Asked): void {
    const pod = this.server.find('Pod', namespace ?? '', name ?? '');
    const isEviction = resource === 'pods/eviction';
    if (pod === null || (isEviction && !this.server.mayBeEvicted(pod))) return;
    // What is refused, or under way anyhow, is no restart.
    const { uid, resourceVersion } = { ...pod.metadata, ...preconditionsOf(isEviction, body) };
    const isSeen = pod.metadata.resourceVersion === resourceVersion;
    if (pod.metadata.uid !== uid || !isSeen || pod.metadata['deletionTimestamp'] !== undefined)
      return;
    const place = this.kubernetes.placeOf(pod);
    this.#checkOthers(pod, place);
    const isAsked = this.#operators.get(user)?.admin.isAllowed(place) === true;
    place.nodes.checkRestart(place.ordinal, isAsked);
  }

  /** @param pod - When it serves, and is being taken away, no other one that serves is. */
  #checkOthers(pod: Stored, { nodes, ordinal }: Place): void {
    if (!nodes.isUp(ordinal)) return;
    const gone = this.server
      .all('Pod')
      .filter((other) => {
        const place = this.kubernetes.placeOf(other);
        return place.nodes === nodes && place.ordinal !== ordinal && nodes.isUp(place.ordinal);
      })
      .filter(({ metadata }) => metadata['deletionTimestamp'] !== undefined)
      .map(({ metadata }) => metadata.name);
    if (gone.length > 0)
      this.breach('OneAtATime', `${pod.metadata.name} while ${gone.join(' and ')} goes`);
  }

  #scales({ namespace, name, body }: Asked): void {
    const set = this.server.find('StatefulSet', namespace ?? '', name ?? '');
    const { metadata, spec } = body as { metadata: object; spec: { replicas?: number } };
    const { resourceVersion } = metadata as { resourceVersion?: string };
    const isRefused =
      (resourceVersion ?? set?.metadata.resourceVersion) !== set?.metadata.resourceVersion;
    if (set === null || spec.replicas === undefined || isRefused) return;
    const { replicas } = set['spec'] as { replicas: number };
    this.kubernetes.nodesOf(namespace ?? '', name ?? '').checkScale(replicas, spec.replicas);
  }

  #wrote(user: string, what: string): void {
    this.writes.push(`${user}: ${what}`);
    const leaseName = this.#leaseNames.get(user) ?? '';
    const lease = this.server.find('Lease', LEASE_NAMESPACE, leaseName);
    const { holderIdentity = '' } = (lease?.['spec'] ?? {}) as { holderIdentity?: string };
    if (holderIdentity.startsWith(`${user}_`)) return;
    this.breach('DeposedWritesNothing', `${user} did ${what} while ${holderIdentity} leads`);
  }
}

/** Of the pod that is to go; nothing: whatever has the name. */
function preconditionsOf(
  isEviction: boolean,
  body: unknown,
): { uid?: string; resourceVersion?: string } {
  const options = isEviction ? (body as { deleteOptions?: unknown }).deleteOptions : body;
  return (options as { preconditions?: object } | undefined)?.preconditions ?? {};
}

const DEFAULT_SPEC: WalrusCluster['spec'] = {
  replicas: 3,
  storage: { size: '1Gi' },
  placement: { topologyKey: 'zone', allowSharedHosts: false },
  drainTimeout: '30s',
  networkPolicy: false,
  paused: false,
  image: 'good',
};

/** The operator: its watches, its lease, and, while it leads, its workers. All that it touches is passed in. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { randomHex } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import { Applier } from '../apply/applier.ts';
import { EventRecorder } from '../apply/events.ts';
import { MONITORING_KINDS } from '../desired/monitoring.ts';
import type { OperatorDefaults } from '../desired/types.ts';
import { isKubeError } from '../kube/api.ts';
import type { KubeApi } from '../kube/api.ts';
import { Deposed, LeaderElection } from '../kube/lease.ts';
import type { Term } from '../kube/lease.ts';
import { ListWatch } from '../kube/listWatch.ts';
import type { ListWatchOptions, Stored } from '../kube/listWatch.ts';
import { kindOf } from '../kube/paths.ts';
import type { AdminClient } from '../observe/adminClient.ts';
import { Observer } from '../observe/observer.ts';
import type { Stores } from '../observe/observer.ts';
import type { RiskyAction } from '../plan/types.ts';
import { Reconciler } from './reconciler.ts';
import { WorkQueue } from './workQueue.ts';

const WORKERS = 4;
const OURS = 'app.kubernetes.io/managed-by=walrus-operator';
const OF_NODES = 'app.kubernetes.io/name=walrus,app.kubernetes.io/component=node';
/** Children beside the StatefulSet, whose kinds every API server has. */
const OTHER_KINDS = ['ServiceAccount', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'];
const IDENTITY_BYTES = 4;
/** Before everything has been read, children would look as if they were not there. */
const NOT_SYNCED_MS = 200;

export interface OperatorOptions {
  readonly api: KubeApi;
  readonly admin: AdminClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly defaults: OperatorDefaults;
  /** Look after the clusters of one namespace only; null: of all. */
  readonly namespace: string | null;
  readonly leaseNamespace: string;
  readonly leaseName: string;
  /** Of this process; a pod's name. */
  readonly identity: string;
  /** A cluster in which nothing changes is looked at again after so long. */
  readonly resyncMs: number;
  readonly onAction: (action: RiskyAction) => void;
  readonly onFailure: (kind: 'conflict' | 'error') => void;
  /** Around each pass; what it returns is called at the end, with whether it was done. */
  readonly onPass: (cluster: WalrusCluster) => (isDone: boolean) => void;
  /** A watch has ended by a bug: the process cannot go on. */
  readonly onBroken: (error: unknown) => void;
}

/** The stores of what belongs to clusters. */
interface Watches extends Stores {
  readonly statefulSets: ListWatch;
  readonly pods: ListWatch;
  readonly claims: ListWatch;
  readonly others: ReadonlyMap<string, ListWatch>;
}

/** What is watched of a kind, and which cluster an object of it is about. */
type Watched = Pick<ListWatchOptions, 'labelSelector' | 'isOptional' | 'onServedChange'> & {
  readonly keyOf: (object: Stored) => string | null;
};

export class Operator {
  readonly #options: OperatorOptions;
  readonly #identity: string;
  readonly #clusters: ListWatch;
  readonly #watches: readonly ListWatch[];
  readonly #election: LeaderElection;
  readonly #observer: Observer;
  #queue: WorkQueue | null = null;
  #isStopping = false;

  constructor(options: OperatorOptions) {
    this.#options = options;
    const { api, admin, clock, random, logger, leaseNamespace, leaseName } = options;
    this.#identity = `${options.identity}_${randomHex(random, IDENTITY_BYTES)}`;
    this.#election = new LeaderElection({
      ...{ api, clock, random, logger, identity: this.#identity },
      namespace: leaseNamespace,
      name: leaseName,
      onStarted: (term) => this.#lead(term),
      onStopped: () => void this.#follow(),
    });
    this.#clusters = this.#watch('WalrusCluster', { keyOf });
    const stores = this.#childWatches();
    this.#observer = new Observer({ api, clock, stores, admin });
    const { statefulSets, pods, claims, others } = stores;
    this.#watches = [this.#clusters, statefulSets, pods, claims, ...others.values()];
  }

  /** Those that are known. */
  get clusters(): readonly WalrusCluster[] {
    return [...this.#clusters.objects.values()].map(asCluster);
  }

  get queueDepth(): number {
    return this.#queue?.depth ?? 0;
  }

  /** Its installation: the lease is one for all processes of it, and for them only. */
  get lease(): string {
    const { leaseNamespace, leaseName } = this.#options;
    return `${leaseNamespace}/${leaseName}`;
  }

  get isLeading(): boolean {
    return this.#election.isLeading;
  }

  /** Whether everything has been read from the API server once. */
  get isSynced(): boolean {
    return this.#watches.every((watch) => watch.isSynced);
  }

  start(): void {
    for (const watch of this.#watches) watch.run().catch(this.#options.onBroken);
    this.#campaign();
  }

  /** Not before it has read everything: one that may not would lead, and keep the lease from those that can act. */
  #campaign(): void {
    if (this.#isStopping) return;
    if (this.isSynced) this.#election.start();
    else this.#options.clock.setTimer(NOT_SYNCED_MS, () => this.#campaign());
  }

  /** Ends what is under way and gives the lease back. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    await this.#follow();
    await this.#election.stop();
    for (const watch of this.#watches) watch.stop();
  }

  #childWatches(): Watches {
    const child = { labelSelector: OURS, keyOf: ownerKeyOf };
    const ofNodes = { labelSelector: OF_NODES, keyOf: instanceKeyOf };
    const optional = { ...child, isOptional: true, onServedChange: () => this.#addAll() };
    return {
      statefulSets: this.#watch('StatefulSet', child),
      pods: this.#watch('Pod', ofNodes),
      claims: this.#watch('PersistentVolumeClaim', ofNodes),
      others: new Map([
        ...OTHER_KINDS.map((kind) => [kind, this.#watch(kind, child)] as const),
        ...MONITORING_KINDS.map((kind) => [kind, this.#watch(kind, optional)] as const),
      ]),
    };
  }

  #watch(kind: string, { keyOf: key, ...options }: Watched): ListWatch {
    const { api, clock, random, logger, namespace } = this.#options;
    return new ListWatch({
      ...{ api, clock, random, logger, namespace },
      ...options,
      kind: kindOf(kind),
      onChange: (object) => {
        const of = key(object);
        if (of !== null) this.#queue?.add(of);
      },
    });
  }

  /** All that writes is of this term. */
  #lead(term: Term): void {
    if (this.#isStopping) return;
    const { clock, random, logger } = this.#options;
    logger.log('info', 'this operator leads');
    const reconciler = this.#reconciler(term);
    this.#queue = new WorkQueue({
      ...{ clock, random, workers: WORKERS },
      work: (key) => this.#work(reconciler, key),
      onFailure: (key, error) => this.#failed(key, error),
    });
    this.#addAll();
  }

  #addAll(): void {
    for (const key of this.#clusters.objects.keys()) this.#queue?.add(key);
  }

  #reconciler(term: Term): Reconciler {
    const { api, admin, clock, random, logger, defaults, onAction, resyncMs } = this.#options;
    return new Reconciler({
      ...{ random, defaults, onAction, resyncMs, lease: this.lease },
      observer: this.#observer,
      applier: new Applier({ api, admin, logger, term }),
      events: new EventRecorder({ api, clock, logger, term, identity: this.#identity }),
    });
  }

  async #follow(): Promise<void> {
    const queue = this.#queue;
    this.#queue = null;
    await queue?.stop();
  }

  async #work(reconciler: Reconciler, key: string): Promise<number | null> {
    if (!this.isSynced) return NOT_SYNCED_MS;
    const found = this.#clusters.objects.get(key);
    if (found === undefined) {
      this.#queue?.forget(key);
      return null;
    }
    const cluster = asCluster(found);
    const onEnd = this.#options.onPass(cluster);
    let isDone = false;
    try {
      const delayMs = await reconciler.reconcile(cluster);
      isDone = true;
      return delayMs;
    } finally {
      onEnd(isDone);
    }
  }

  #failed(key: string, error: unknown): void {
    const isRace = isKubeError(error, 409) || error instanceof Deposed;
    this.#options.onFailure(isRace ? 'conflict' : 'error');
    this.#options.logger.log(isRace ? 'info' : 'error', 'a pass did not come to its end', {
      cluster: key,
      reason: messageOf(error),
    });
  }
}

function asCluster(object: Stored): WalrusCluster {
  return object as unknown as WalrusCluster;
}

function keyOf({ metadata: { namespace, name } }: Stored): string {
  return `${namespace}/${name}`;
}

function ownerKeyOf({ metadata }: Stored): string | null {
  const owners = (metadata['ownerReferences'] ?? []) as readonly {
    kind: string;
    name: string;
    controller?: boolean;
  }[];
  const owner = owners.find(
    ({ kind, controller }) => kind === 'WalrusCluster' && controller === true,
  );
  return owner === undefined ? null : `${metadata.namespace}/${owner.name}`;
}

/** Pods and claims belong to the StatefulSet; their label names the cluster. */
function instanceKeyOf({ metadata }: Stored): string | null {
  const labels = (metadata['labels'] ?? {}) as Readonly<Record<string, string>>;
  const name = labels['app.kubernetes.io/instance'];
  return name === undefined ? null : `${metadata.namespace}/${name}`;
}

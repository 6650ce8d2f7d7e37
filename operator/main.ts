/** The operator as a process: its watches, its lease, its workers and its http port. */
import { KubeConfig } from '@kubernetes/client-node';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { randomHex } from '../base/random.ts';
import { SOFTWARE_VERSION } from '../base/version.ts';
import { ConsoleLogger } from '../node/io/consoleLogger.ts';
import { startHttpServer } from '../node/io/httpServer.ts';
import type { Check, RunningHttpServer } from '../node/io/httpServer.ts';
import { RealClock } from '../node/io/realClock.ts';
import { RealRandom } from '../node/io/realRandom.ts';
import type { WalrusCluster } from './api/walrusCluster.ts';
import { Applier, Deposed } from './apply/applier.ts';
import { EventRecorder } from './apply/events.ts';
import { Reconciler } from './controller/reconciler.ts';
import { WorkQueue } from './controller/workQueue.ts';
import { HttpKubeApi, isKubeError } from './kube/api.ts';
import type { KubeApi } from './kube/api.ts';
import { LeaderElection } from './kube/lease.ts';
import { ListWatch } from './kube/listWatch.ts';
import type { Stored } from './kube/listWatch.ts';
import { kindOf } from './kube/paths.ts';
import { HttpAdminClient } from './observe/adminClient.ts';
import { Observer } from './observe/observer.ts';
import type { OperatorSettings } from './settings.ts';

const WORKERS = 4;
const LEASE_NAME = 'walrus-operator';
const OURS = 'app.kubernetes.io/managed-by=walrus-operator';
const OF_NODES = 'app.kubernetes.io/name=walrus,app.kubernetes.io/component=node';
/** Children beside the StatefulSet, whose kinds every API server has. */
const OTHER_KINDS = ['ServiceAccount', 'Service', 'PodDisruptionBudget', 'NetworkPolicy'];
const IDENTITY_BYTES = 4;

export interface RunningOperator {
  readonly port: number;
  /** Ends what is under way and gives the lease back. */
  stop(): Promise<void>;
}

/** @throws {WalrusError} ADDRESS_IN_USE */
export async function runOperator(
  settings: OperatorSettings,
  config: KubeConfig = defaultConfig(),
): Promise<RunningOperator> {
  const operator = new Operator(settings, new HttpKubeApi(config));
  await operator.start();
  return operator;
}

function defaultConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

class Operator implements RunningOperator {
  readonly #settings: OperatorSettings;
  readonly #api: KubeApi;
  readonly #clock: Clock = new RealClock();
  readonly #random = new RealRandom();
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #metrics: OperatorMetrics;
  readonly #clusters: ListWatch;
  readonly #watches: readonly ListWatch[];
  readonly #election: LeaderElection;
  readonly #reconciler: Reconciler;
  #queue: WorkQueue | null = null;
  #http: RunningHttpServer | null = null;
  #isStopping = false;

  constructor(settings: OperatorSettings, api: KubeApi) {
    this.#settings = settings;
    this.#api = api;
    this.#logger = new ConsoleLogger({ level: settings.logLevel });
    const identity = `${settings.identity}_${randomHex(this.#random, IDENTITY_BYTES)}`;
    const world = { api, clock: this.#clock, random: this.#random, logger: this.#logger };
    this.#election = new LeaderElection({
      ...world,
      namespace: settings.leaseNamespace,
      name: LEASE_NAME,
      identity,
      onStarted: () => this.#lead(),
      onStopped: () => void this.#follow(),
    });
    this.#clusters = this.#watch('WalrusCluster', undefined, (object) => keyOf(object));
    const statefulSets = this.#watch('StatefulSet', OURS, ownerKeyOf);
    const pods = this.#watch('Pod', OF_NODES, instanceKeyOf);
    const claims = this.#watch('PersistentVolumeClaim', OF_NODES, instanceKeyOf);
    const others = OTHER_KINDS.map((kind) => [kind, this.#watch(kind, OURS, ownerKeyOf)] as const);
    this.#watches = [
      this.#clusters,
      statefulSets,
      pods,
      claims,
      ...others.map(([, watch]) => watch),
    ];
    this.#metrics = new OperatorMetrics(this.#registry, {
      clusters: () => this.#clusters.objects.size,
      queueDepth: () => this.#queue?.depth ?? 0,
      isLeading: () => this.#election.isLeading,
    });
    const admin = new HttpAdminClient(settings.nodeHttpPort);
    const stores = { statefulSets, pods, claims, others: new Map(others) };
    this.#reconciler = new Reconciler({
      random: this.#random,
      defaults: { imageRepository: settings.imageRepository, version: SOFTWARE_VERSION },
      observer: new Observer({ api, clock: this.#clock, stores, admin }),
      applier: new Applier({
        api,
        admin,
        logger: this.#logger,
        mayWrite: () => this.#election.isLeading,
      }),
      events: new EventRecorder({ ...world, identity }),
      onAction: ({ type }) => this.#metrics.actions.inc({ action: type }),
      resyncMs: settings.resyncMs,
    });
  }

  get port(): number {
    return this.#http?.port ?? 0;
  }

  async start(): Promise<void> {
    this.#http = await startHttpServer({
      host: this.#settings.host,
      port: this.#settings.port,
      registry: this.#registry,
      logger: this.#logger,
      health: { live: () => ({ isOk: true, reasons: [] }), ready: () => this.#ready() },
    });
    for (const watch of this.#watches) this.#keep(watch.run());
    this.#election.start();
    this.#logger.log('info', 'the operator runs', {
      version: SOFTWARE_VERSION,
      namespace: this.#settings.namespace ?? '(all)',
    });
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    await this.#follow();
    await this.#election.stop();
    for (const watch of this.#watches) watch.stop();
    await this.#http?.close();
  }

  #watch(
    kind: string,
    labelSelector: string | undefined,
    key: (object: Stored) => string | null,
  ): ListWatch {
    return new ListWatch({
      api: this.#api,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      kind: kindOf(kind),
      namespace: this.#settings.namespace,
      ...(labelSelector === undefined ? {} : { labelSelector }),
      onChange: (object) => {
        const of = key(object);
        if (of !== null) this.#queue?.add(of);
      },
    });
  }

  #ready(): Check {
    const isSynced = this.#watches.every((watch) => watch.isSynced);
    const reasons = isSynced ? [] : ['Not everything has been read from the API server yet'];
    return { isOk: isSynced, reasons };
  }

  #lead(): void {
    this.#logger.log('info', 'this operator leads');
    this.#queue = new WorkQueue({
      clock: this.#clock,
      random: this.#random,
      workers: WORKERS,
      work: (key) => this.#work(key),
      onFailure: (key, error) => this.#failed(key, error),
    });
    for (const key of this.#clusters.objects.keys()) this.#queue.add(key);
  }

  async #follow(): Promise<void> {
    const queue = this.#queue;
    this.#queue = null;
    await queue?.stop();
  }

  async #work(key: string): Promise<number | null> {
    // Before everything is known, children would look as if they were not there.
    if (!this.#ready().isOk) return NOT_SYNCED_MS;
    const cluster = this.#clusters.objects.get(key);
    if (cluster === undefined) {
      this.#queue?.forget(key);
      return null;
    }
    const endTimer = this.#metrics.passes.startTimer();
    try {
      return await this.#reconciler.reconcile(cluster as unknown as WalrusCluster);
    } finally {
      endTimer();
    }
  }

  #failed(key: string, error: unknown): void {
    const isRace = isKubeError(error, 409) || error instanceof Deposed;
    this.#metrics.failures.inc({ kind: isRace ? 'conflict' : 'error' });
    this.#logger.log(isRace ? 'info' : 'error', 'a pass did not come to its end', {
      cluster: key,
      reason: messageOf(error),
    });
  }

  /** What must not end: if it does, Kubernetes starts the process again. */
  #keep(running: Promise<void>): void {
    running.catch((error: unknown) => {
      this.#logger.log('error', 'a watch has ended', { reason: messageOf(error) });
      setImmediate(() => {
        throw error;
      });
    });
  }
}

const NOT_SYNCED_MS = 200;

class OperatorMetrics {
  readonly actions: Counter<'action'>;
  readonly failures: Counter<'kind'>;
  readonly passes: Histogram;

  constructor(
    registry: Registry,
    source: { clusters: () => number; queueDepth: () => number; isLeading: () => boolean },
  ) {
    const registers = [registry];
    this.actions = new Counter({
      name: 'walrus_operator_actions_total',
      help: 'Risky actions: one at most in a pass.',
      labelNames: ['action'],
      registers,
    });
    this.failures = new Counter({
      name: 'walrus_operator_failures_total',
      help: 'Passes that did not come to their end; conflicts are looked at again at once.',
      labelNames: ['kind'],
      registers,
    });
    this.passes = new Histogram({
      name: 'walrus_operator_pass_seconds',
      help: 'How long a pass over a cluster takes.',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
      registers,
    });
    gauge(registers, 'walrus_operator_clusters', 'WalrusClusters that are known.', source.clusters);
    gauge(
      registers,
      'walrus_operator_queue_depth',
      'Clusters that wait for a pass.',
      source.queueDepth,
    );
    gauge(registers, 'walrus_operator_leading', '1 while this operator holds the lease.', () =>
      source.isLeading() ? 1 : 0,
    );
  }
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
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

/**
 * What the operator measures (`walrus_operator_*`, base units). What is about a cluster has its namespace and name as
 * labels, and only the operator that leads says it: one that follows would repeat the past.
 */
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { operatorOf } from '../api/walrusCluster.ts';
import type { WalrusCluster } from '../api/walrusCluster.ts';
import type { MeasuredRequest } from '../kube/measuredApi.ts';
import type { RiskyAction } from '../plan/types.ts';

const PASS_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30];
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15];
const ACTIONS = ['Bootstrap', 'Scale', 'TransferLeadership', 'RestartPod', 'SetVoters'] as const;
const FAILURES = ['error', 'conflict'] as const;
const CLUSTER_LABELS = ['namespace', 'walrus_cluster'] as const;
type ClusterLabel = (typeof CLUSTER_LABELS)[number];

/** An operator, as it is when somebody looks. */
export interface Watched {
  readonly clusters: readonly WalrusCluster[];
  readonly queueDepth: number;
  /** `namespace/name` of that which it holds, or waits for. */
  readonly lease: string;
  readonly isLeading: boolean;
  readonly isSynced: boolean;
}

export class OperatorMetrics {
  readonly #actions: Counter<'action'>;
  readonly #failures: Counter<'kind'>;
  readonly #passes: Histogram;
  readonly #requests: Counter<'verb' | 'code'>;
  readonly #requestSeconds: Histogram<'verb'>;
  readonly #registry: Registry;
  /** When a pass over a cluster (`namespace/name`) came to its end last. */
  readonly #passedAtMs = new Map<string, number>();

  constructor(registry: Registry) {
    this.#registry = registry;
    const registers = [registry];
    this.#actions = new Counter({
      name: 'walrus_operator_actions_total',
      help: 'Risky actions that were done: one at most in a pass',
      labelNames: ['action'],
      registers,
    });
    this.#failures = new Counter({
      name: 'walrus_operator_failures_total',
      help: 'Passes that did not come to their end, and are tried again; conflict: something had changed meanwhile',
      labelNames: ['kind'],
      registers,
    });
    this.#passes = new Histogram({
      name: 'walrus_operator_pass_seconds',
      help: 'How long a pass over a cluster takes',
      buckets: PASS_BUCKETS,
      registers,
    });
    this.#requests = new Counter({
      name: 'walrus_operator_api_requests_total',
      help: 'Requests to the API server; watches are counted when they end',
      labelNames: ['verb', 'code'],
      registers,
    });
    this.#requestSeconds = new Histogram({
      name: 'walrus_operator_api_request_seconds',
      help: 'How long the API server takes to answer, watches left out',
      labelNames: ['verb'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    for (const action of ACTIONS) this.#actions.inc({ action }, 0);
    for (const kind of FAILURES) this.#failures.inc({ kind }, 0);
  }

  /** Shows what an operator is doing. */
  observe(operator: Watched, resyncMs: number): void {
    addGauges(this.#registry, operator, resyncMs);
    addClusterGauges(this.#registry, operator);
    this.#addLastPasses(operator);
  }

  acted(action: RiskyAction['type']): void {
    this.#actions.inc({ action });
  }

  failed(kind: (typeof FAILURES)[number]): void {
    this.#failures.inc({ kind });
  }

  asked({ verb, code, durationMs }: MeasuredRequest): void {
    this.#requests.inc({ verb, code });
    if (verb !== 'WATCH') this.#requestSeconds.observe({ verb }, durationMs / 1000);
  }

  /** A pass begins. @returns What is called when it has ended. */
  passing(cluster: WalrusCluster): (isDone: boolean) => void {
    const endTimer = this.#passes.startTimer();
    return (isDone) => {
      endTimer();
      if (isDone) this.#passedAtMs.set(keyOf(cluster), Date.now());
    };
  }

  #addLastPasses(operator: Watched): void {
    addGauge(this.#registry, {
      name: 'walrus_operator_cluster_last_pass_timestamp_seconds',
      help: 'When a pass over the cluster came to its end last, in seconds since 1970',
      labelNames: CLUSTER_LABELS,
      read: (gauge) => {
        const known = new Map(led(operator).map((cluster) => [keyOf(cluster), cluster]));
        for (const [key, atMs] of this.#passedAtMs) {
          const cluster = known.get(key);
          // It is gone, or another operator's.
          if (cluster === undefined) this.#passedAtMs.delete(key);
          else gauge.set(labelsOf(cluster), atMs / 1000);
        }
      },
    });
  }
}

function keyOf({ metadata: { namespace, name } }: WalrusCluster): string {
  return `${namespace}/${name}`;
}

/** Those that it looks after. */
function led({ isLeading, clusters, lease }: Watched): readonly WalrusCluster[] {
  return isLeading ? clusters.filter((cluster) => operatorOf(cluster) === lease) : [];
}

function labelsOf({ metadata: { namespace, name } }: WalrusCluster): Record<ClusterLabel, string> {
  return { namespace, walrus_cluster: name };
}

/** A gauge that is read at the moment of a scrape. */
interface Read<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly L[];
  readonly read: (gauge: Gauge<L>) => void;
}

function addGauge<L extends string = never>(
  registry: Registry,
  { name, help, labelNames = [], read }: Read<L>,
): void {
  new Gauge<L>({
    name,
    help,
    labelNames,
    registers: [registry],
    collect(): void {
      this.reset();
      read(this);
    },
  });
}

function addGauges(registry: Registry, operator: Watched, resyncMs: number): void {
  addGauge(registry, {
    name: 'walrus_operator_clusters',
    help: 'WalrusClusters that are known',
    read: (gauge) => gauge.set(operator.clusters.length),
  });
  addGauge(registry, {
    name: 'walrus_operator_queue_depth',
    help: 'Clusters that wait for a pass',
    read: (gauge) => gauge.set(operator.queueDepth),
  });
  addGauge(registry, {
    name: 'walrus_operator_leading',
    help: '1 while this operator holds that lease',
    labelNames: ['lease'],
    read: (gauge) => gauge.set({ lease: operator.lease }, Number(operator.isLeading)),
  });
  addGauge(registry, {
    name: 'walrus_operator_synced',
    help: '1 when everything has been read from the API server once; before, an operator does not lead',
    read: (gauge) => gauge.set(Number(operator.isSynced)),
  });
  addGauge(registry, {
    name: 'walrus_operator_resync_seconds',
    help: 'A cluster in which nothing changes is looked at again after so long',
    read: (gauge) => gauge.set(resyncMs / 1000),
  });
}

function addClusterGauges(registry: Registry, operator: Watched): void {
  addGauge(registry, {
    name: 'walrus_operator_cluster_condition',
    help: 'Always 1: the status and the reason of each condition of a WalrusCluster',
    labelNames: [...CLUSTER_LABELS, 'type', 'status', 'reason'],
    read: (gauge) => {
      for (const cluster of led(operator)) {
        for (const { type, status, reason } of cluster.status?.conditions ?? [])
          gauge.set({ ...labelsOf(cluster), type, status, reason }, 1);
      }
    },
  });
  addGauge(registry, {
    name: 'walrus_operator_cluster_of_other',
    help: 'Always 1: a WalrusCluster that this operator sees and leaves alone, since another installation looks after it',
    labelNames: [...CLUSTER_LABELS, 'operator'],
    read: (gauge) => {
      if (!operator.isLeading) return;
      for (const cluster of operator.clusters) {
        const other = operatorOf(cluster);
        if (other !== null && other !== operator.lease)
          gauge.set({ ...labelsOf(cluster), operator: other }, 1);
      }
    },
  });
  addGauge(registry, {
    name: 'walrus_operator_cluster_nodes',
    help: 'Nodes of a WalrusCluster: those that its spec wants, those that there are, those that are ready',
    labelNames: [...CLUSTER_LABELS, 'state'],
    read: (gauge) => {
      for (const cluster of led(operator)) {
        const { replicas = 0, readyReplicas = 0 } = cluster.status ?? {};
        const counts = { wanted: cluster.spec.replicas, present: replicas, ready: readyReplicas };
        for (const [state, count] of Object.entries(counts))
          gauge.set({ ...labelsOf(cluster), state }, count);
      }
    },
  });
}

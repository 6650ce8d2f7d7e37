/**
 * The node's Prometheus metrics (names `walrus_*`, units last, base units: seconds and bytes).
 * Counters and histograms are fed by events; gauges are read from a snapshot at the moment of a scrape.
 */
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { ErrorCode } from '../../base/errors.ts';
import { SOFTWARE_VERSION } from '../../base/version.ts';
import type { Metrics, MetricsSnapshot, MetricsSource, Protocol } from '../metrics.ts';

/** From a tenth of a millisecond, what a good disk takes, to ten seconds, where time-outs are. */
const SECONDS_BUCKETS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
const GROUP_BYTES_BUCKETS = [1024, 4096, 16384, 65536, 262144, 1048576, 4194304];
/**
 * The library samples the event loop's delay with a timer, by default a hundred times a second: most of what an idle
 * node would do. So it hardly samples, and what it says of the samples is left out.
 */
const LAG_SAMPLE_MS = 60_000;
const LAG_STATISTICS = [
  ...['min_seconds', 'max_seconds', 'mean_seconds', 'stddev_seconds'],
  ...['p50_seconds', 'p90_seconds', 'p99_seconds'],
];
/** Of what clients are told when it is not their fault. They are there from the start: a rate needs a zero before the first one. */
const REFUSAL_CODES = [
  'NOT_ENOUGH_REPLICAS',
  'METADATA_UNAVAILABLE',
  'DISK_FULL',
  'DISK_FAILED',
  'OVERLOADED',
  'TIMED_OUT',
] as const satisfies readonly ErrorCode[];
const CLIENT_PROTOCOLS = ['text', 'binary'] as const satisfies readonly Protocol[];
const ROLL_REASONS = ['entries', 'bytes', 'age', 'member', 'handover'] as const;
const REPAIR_OUTCOMES = ['done', 'failed'] as const;
const ROLES = ['Follower', 'PreCandidate', 'Candidate', 'Leader', 'Learner'] as const;

/** Adds what Node itself knows (memory, event loop, garbage collection). Their timers stay until the process ends. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
  for (const name of LAG_STATISTICS) registry.removeSingleMetric(`nodejs_eventloop_lag_${name}`);
}

/** The counters and histograms of a node, in a registry. */
export class PrometheusMetrics implements Metrics {
  readonly #appendedRecords: Counter;
  readonly #appendedBytes: Counter;
  readonly #readRecords: Counter;
  readonly #readBytes: Counter;
  readonly #syncSeconds: Histogram;
  readonly #syncBytes: Histogram;
  readonly #commitSeconds: Histogram;
  readonly #requestSeconds: Histogram<'protocol'>;
  readonly #errors: Counter<'protocol' | 'code'>;
  readonly #rolls: Counter<'reason'>;
  readonly #recoverySeconds: Histogram;
  readonly #repairs: Counter<'outcome'>;
  readonly #scrubbedBytes: Counter;
  readonly #refused: Counter;
  readonly #dropped: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = <L extends string = never>(
      name: string,
      help: string,
      labelNames: L[] = [],
    ): Counter<L> => new Counter({ name, help, labelNames, registers });
    const seconds = <L extends string = never>(
      name: string,
      help: string,
      labelNames: L[] = [],
    ): Histogram<L> =>
      new Histogram({ name, help, labelNames, registers, buckets: SECONDS_BUCKETS });

    this.#appendedRecords = counter('walrus_appended_records_total', 'Records acknowledged');
    this.#appendedBytes = counter('walrus_appended_bytes_total', 'Bytes of acknowledged batches');
    this.#readRecords = counter('walrus_read_records_total', 'Records given to clients');
    this.#readBytes = counter('walrus_read_bytes_total', 'Bytes given to clients');
    this.#syncSeconds = seconds('walrus_sync_seconds', 'Time of one fdatasync of a group');
    this.#syncBytes = new Histogram({
      name: 'walrus_sync_group_bytes',
      help: 'Bytes made durable by one fdatasync',
      buckets: GROUP_BYTES_BUCKETS,
      registers,
    });
    this.#commitSeconds = seconds(
      'walrus_commit_seconds',
      'Time from accepting a batch to its commit by the ack quorum',
    );
    this.#requestSeconds = seconds('walrus_request_seconds', 'Time to answer a request', [
      'protocol',
    ]);
    this.#errors = counter('walrus_errors_total', 'Failed requests by code', ['protocol', 'code']);
    this.#rolls = counter('walrus_segment_rolls_total', 'Led segments closed, by reason', [
      'reason',
    ]);
    this.#recoverySeconds = seconds(
      'walrus_segment_recovery_seconds',
      'Time from the start of a segment recovery to its seal',
    );
    this.#repairs = counter(
      'walrus_segment_repairs_total',
      'Damaged segment copies made anew, and attempts that have to be repeated',
      ['outcome'],
    );
    this.#scrubbedBytes = counter(
      'walrus_scrubbed_bytes_total',
      'Bytes of sealed segments verified in the background',
    );
    this.#refused = counter(
      'walrus_connections_refused_total',
      'Connections refused because there were too many',
    );
    this.#dropped = counter(
      'walrus_peer_messages_dropped_total',
      'Messages to other nodes dropped because their queue was full',
    );
    this.#beginAtZero();
  }

  #beginAtZero(): void {
    for (const protocol of CLIENT_PROTOCOLS) {
      this.#requestSeconds.zero({ protocol });
      for (const code of REFUSAL_CODES) this.#errors.inc({ protocol, code }, 0);
    }
    for (const reason of ROLL_REASONS) this.#rolls.inc({ reason }, 0);
    for (const outcome of REPAIR_OUTCOMES) this.#repairs.inc({ outcome }, 0);
  }

  appended(records: number, bytes: number): void {
    this.#appendedRecords.inc(records);
    this.#appendedBytes.inc(bytes);
  }

  read(records: number, bytes: number): void {
    this.#readRecords.inc(records);
    this.#readBytes.inc(bytes);
  }

  synced(durationMs: number, bytes: number): void {
    this.#syncSeconds.observe(durationMs / 1000);
    this.#syncBytes.observe(bytes);
  }

  committed(durationMs: number): void {
    this.#commitSeconds.observe(durationMs / 1000);
  }

  requested(protocol: Protocol, durationMs: number): void {
    this.#requestSeconds.observe({ protocol }, durationMs / 1000);
  }

  failed(protocol: Protocol, code: ErrorCode): void {
    this.#errors.inc({ protocol, code });
  }

  rolled(reason: string): void {
    this.#rolls.inc({ reason });
  }

  recovered(durationMs: number): void {
    this.#recoverySeconds.observe(durationMs / 1000);
  }

  repaired(outcome: 'done' | 'failed'): void {
    this.#repairs.inc({ outcome });
  }

  scrubbed(bytes: number): void {
    this.#scrubbedBytes.inc(bytes);
  }

  connectionRefused(): void {
    this.#refused.inc();
  }

  peerMessageDropped(): void {
    this.#dropped.inc();
  }
}

/** One gauge and how it is read from a snapshot: a number, or numbers by label value; null: this node has none. */
interface GaugeSpec {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  readonly read: (snapshot: MetricsSnapshot) => number | Readonly<Record<string, number>> | null;
}

const GAUGES: readonly GaugeSpec[] = [
  {
    name: 'walrus_node_info',
    help: '1, with the version that this node runs',
    label: 'version',
    read: () => ({ [SOFTWARE_VERSION]: 1 }),
  },
  { name: 'walrus_raft_term', help: 'Raft term', read: ({ raft }) => raft.term },
  {
    name: 'walrus_raft_role',
    help: '1 for the present Raft role, 0 for the others',
    label: 'role',
    read: ({ raft }) => Object.fromEntries(ROLES.map((role) => [role, Number(role === raft.role)])),
  },
  {
    name: 'walrus_raft_has_leader',
    help: '1 when a metadata leader is known',
    read: ({ raft }) => Number(raft.hasLeader),
  },
  {
    name: 'walrus_raft_commit_index',
    help: 'Last committed Raft index',
    read: ({ raft }) => raft.commitIndex,
  },
  {
    name: 'walrus_raft_applied_index',
    help: 'Last applied Raft index',
    read: ({ raft }) => raft.lastApplied,
  },
  {
    name: 'walrus_raft_last_index',
    help: 'Last Raft index in the log',
    read: ({ raft }) => raft.lastIndex,
  },
  {
    name: 'walrus_led_segments',
    help: 'Open segments that this node leads',
    read: ({ ledSegments }) => ledSegments,
  },
  {
    name: 'walrus_replicas',
    help: 'Segment replicas on this node by state',
    label: 'state',
    read: ({ replicas }) => replicas,
  },
  { name: 'walrus_topics', help: 'Topics in the cluster', read: ({ topics }) => topics },
  {
    name: 'walrus_disk_read_only',
    help: '1 when the disk has failed and takes no more writes',
    read: ({ disk }) => Number(disk.isReadOnly),
  },
  {
    name: 'walrus_disk_used_bytes',
    help: 'Bytes of blocks that hold replicas',
    read: ({ disk }) => disk.usedBytes,
  },
  {
    name: 'walrus_disk_allocated_bytes',
    help: 'Bytes of all arena files',
    read: ({ disk }) => disk.allocatedBytes,
  },
  {
    name: 'walrus_disk_free_bytes',
    help: 'Bytes that the file system has left, less the ballast',
    read: ({ disk }) => disk.freeBytes,
  },
  {
    name: 'walrus_disk_pending_bytes',
    help: 'Bytes accepted and not yet durable',
    read: ({ disk }) => disk.pendingBytes,
  },
  {
    name: 'walrus_connections',
    help: 'Open connections by protocol',
    label: 'protocol',
    read: ({ connections }) => connections,
  },
  {
    name: 'walrus_peer_queue_bytes',
    help: 'Bytes that wait to be sent to other nodes',
    read: ({ peerQueueBytes }) => peerQueueBytes,
  },
  {
    name: 'walrus_in_flight_bytes',
    help: 'Bytes of client requests and replies in memory',
    read: ({ inFlightBytes }) => inFlightBytes,
  },
  {
    name: 'walrus_cluster_nodes',
    help: 'Nodes of the cluster by state; only the metadata leader says',
    label: 'state',
    read: ({ cluster }) => cluster?.nodes ?? null,
  },
  {
    name: 'walrus_cluster_segments',
    help: 'Segments of the cluster by state; only the metadata leader says',
    label: 'state',
    read: ({ cluster }) => cluster?.segments ?? null,
  },
  {
    name: 'walrus_cluster_segments_under_replicated',
    help: 'Segments with fewer whole copies than their topic asks for; only the metadata leader says',
    read: ({ cluster }) => cluster?.underReplicated ?? null,
  },
  {
    name: 'walrus_cluster_segments_unavailable',
    help: 'Unsealed segments without their ack quorum; only the metadata leader says',
    read: ({ cluster }) => cluster?.unavailable ?? null,
  },
];

/** Registers the gauges. `source` is asked once for each scrape, however many gauges there are. */
export function registerGauges(registry: Registry, source: MetricsSource): void {
  let snapshot: MetricsSnapshot | null = null;
  // Collectors run in the order of registration, all of one scrape before the next turn.
  const first = GAUGES[0];
  for (const spec of GAUGES) {
    new Gauge({
      name: spec.name,
      help: spec.help,
      labelNames: spec.label === undefined ? [] : [spec.label],
      registers: [registry],
      collect(): void {
        if (spec === first) snapshot = source();
        show(this, spec, snapshot);
      },
    });
  }
}

function show(gauge: Gauge, { label, read }: GaugeSpec, snapshot: MetricsSnapshot | null): void {
  gauge.reset();
  const value = snapshot === null ? null : read(snapshot);
  if (value === null) {
    if (label === undefined) gauge.remove(); // reset() has set it to 0; those with labels it has emptied
    return;
  }
  if (typeof value === 'number') gauge.set(value);
  else if (label !== undefined) {
    for (const [key, count] of Object.entries(value)) gauge.set({ [label]: key }, count);
  }
}

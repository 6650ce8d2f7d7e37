/** Alerts on what nodes measure (node/io/metrics.ts). */
import type { Rule, Select } from './alertRule.ts';

/** What names a cluster. */
const CLUSTER = 'namespace, walrus_cluster';
const OF = '{{ $labels.namespace }}/{{ $labels.walrus_cluster }}';
/** Codes with which a client is refused that did nothing wrong. */
const REFUSALS = [
  'NOT_ENOUGH_REPLICAS',
  'METADATA_UNAVAILABLE',
  'DISK_FULL',
  'DISK_FAILED',
  'OVERLOADED',
  'TIMED_OUT',
];
/** A second: more than an election, or a restart within a roll, leaves behind in five minutes. */
const REFUSALS_PER_SECOND = 0.05;
/** More than catching up after a restart takes for minutes. */
const BEHIND_ENTRIES = 10_000;

function p99(histogram: string, by: string): string {
  return `histogram_quantile(0.99, sum by (${by}, le) (rate(${histogram}[5m])))`;
}

export const CLUSTER_RULES: readonly Rule[] = [
  {
    alert: 'WalrusNoMetadataLeader',
    severity: 'critical',
    for: '1m',
    expr: (select) => `max by (${CLUSTER}) (${select('walrus_raft_has_leader')}) == 0`,
    summary: 'The metadata of a Walrus cluster have no leader.',
    description: `No node of ${OF} knows a metadata leader: fewer than a majority of the voters are up and reach each other. Nothing can be created, closed or led anew; appends stop when leases lapse.`,
  },
  {
    alert: 'WalrusSegmentsUnavailable',
    severity: 'critical',
    for: '2m',
    expr: (select) => `max by (${CLUSTER}) (${select('walrus_cluster_segments_unavailable')}) > 0`,
    summary: 'Open segments of a Walrus cluster have lost their quorum.',
    description: `{{ $value }} open segments of ${OF} have fewer members up than acknowledge an append: their partitions take no writes.`,
  },
  {
    alert: 'WalrusRecoveryStuck',
    severity: 'critical',
    for: '10m',
    expr: (select) =>
      `max by (${CLUSTER}) (${select('walrus_cluster_segments', 'state="recovering"')}) > 0`,
    summary: 'Segments of a Walrus cluster are not recovered.',
    description: `Of the segments of ${OF} that have lost their leader, {{ $value }} have been in recovery for ten minutes: their partitions take no writes.`,
  },
  {
    alert: 'WalrusDiskFailed',
    severity: 'critical',
    for: '0s',
    expr: (select) => `${select('walrus_disk_read_only')} == 1`,
    summary: 'The disk of a Walrus node has failed.',
    description: `A write or an fdatasync of {{ $labels.pod }} (${OF}) has failed. Its disk is read-only from then on; the other copies serve.`,
  },
  {
    alert: 'WalrusDiskFull',
    severity: 'critical',
    for: '5m',
    expr: (select) => `${fullness(select)} > 0.95`,
    summary: 'The disk of a Walrus node is full.',
    description: `{{ $labels.pod }} (${OF}) uses {{ $value | humanizePercentage }} of its disk: appends are, or soon will be, refused with DISK_FULL.`,
  },
  {
    alert: 'WalrusNodeDown',
    severity: 'warning',
    for: '2m',
    expr: (select) => `max by (${CLUSTER}) (${select('walrus_cluster_nodes', 'state="down"')}) > 0`,
    summary: 'Nodes of a Walrus cluster are down.',
    description: `The metadata leader of ${OF} has not heard of {{ $value }} of the nodes for two minutes.`,
  },
  {
    alert: 'WalrusNotScraped',
    severity: 'warning',
    for: '5m',
    expr: (select) => `${select('up')} == 0`,
    summary: 'A Walrus node does not give its metrics.',
    description: `Prometheus has not been able to read the metrics of {{ $labels.pod }} (${OF}) for five minutes.`,
  },
  {
    alert: 'WalrusNodeBehind',
    severity: 'warning',
    for: '10m',
    expr: (select) =>
      `max by (${CLUSTER}) (${select('walrus_raft_commit_index')}) - on (${CLUSTER}) group_right () ` +
      `${select('walrus_raft_applied_index')} > ${BEHIND_ENTRIES}`,
    summary: 'A Walrus node does not catch up with the metadata.',
    description: `{{ $labels.pod }} (${OF}) has {{ $value | humanize }} entries of the metadata's log still to apply.`,
  },
  {
    alert: 'WalrusSegmentsUnderReplicated',
    severity: 'warning',
    for: '15m',
    expr: (select) =>
      `max by (${CLUSTER}) (${select('walrus_cluster_segments_under_replicated')}) > 0`,
    summary: 'Segments of a Walrus cluster have fewer copies than wanted.',
    description: `{{ $value }} segments of ${OF} have had fewer whole copies than their topic asks for, for a quarter of an hour.`,
  },
  {
    alert: 'WalrusCopiesDamaged',
    severity: 'warning',
    for: '15m',
    expr: (select) =>
      `sum by (${CLUSTER}, pod) (${select('walrus_replicas', 'state="damaged"')}) > 0`,
    summary: 'A Walrus node has damaged copies that are not made anew.',
    description: `{{ $labels.pod }} (${OF}) has had {{ $value }} damaged copies of segments for a quarter of an hour. They are never served; intact copies are.`,
  },
  {
    alert: 'WalrusCopiesQuarantined',
    severity: 'warning',
    for: '15m',
    expr: (select) =>
      `sum by (${CLUSTER}, pod) (${select('walrus_replicas', 'state="quarantined"')}) > 0`,
    summary: 'A Walrus node has copies that the metadata do not know.',
    description: `{{ $labels.pod }} (${OF}) has {{ $value }} copies on its disk that the metadata do not know. They are neither read nor deleted.`,
  },
  {
    alert: 'WalrusDiskNearlyFull',
    severity: 'warning',
    for: '15m',
    expr: (select) => `${fullness(select)} > 0.85`,
    summary: 'The disk of a Walrus node is nearly full.',
    description: `{{ $labels.pod }} (${OF}) uses {{ $value | humanizePercentage }} of its disk.`,
  },
  {
    alert: 'WalrusRequestsRefused',
    severity: 'warning',
    for: '10m',
    expr: (select) =>
      `sum by (${CLUSTER}, code) (rate(${select('walrus_errors_total', `code=~"${REFUSALS.join('|')}"`)}[5m])) > ${REFUSALS_PER_SECOND}`,
    summary: 'A Walrus cluster refuses requests.',
    description: `Clients of ${OF} have been answered with {{ $labels.code }} for ten minutes, now {{ $value | humanize }} times a second.`,
  },
  {
    alert: 'WalrusCommitsSlow',
    severity: 'warning',
    for: '10m',
    expr: (select) => `${p99(select('walrus_commit_seconds_bucket'), CLUSTER)} > 0.5`,
    summary: 'Durable acknowledgements of a Walrus cluster take long.',
    description: `Of the appends to ${OF}, one in a hundred takes more than {{ $value | humanizeDuration }} until enough disks hold it.`,
  },
  {
    alert: 'WalrusDiskSlow',
    severity: 'warning',
    for: '10m',
    expr: (select) => `${p99(select('walrus_sync_seconds_bucket'), `${CLUSTER}, pod`)} > 0.25`,
    summary: 'The disk of a Walrus node is slow.',
    description: `On {{ $labels.pod }} (${OF}) one fdatasync in a hundred takes more than {{ $value | humanizeDuration }}.`,
  },
  {
    alert: 'WalrusConnectionsRefused',
    severity: 'warning',
    for: '10m',
    expr: (select) =>
      `sum by (${CLUSTER}, pod) (rate(${select('walrus_connections_refused_total')}[5m])) > 0`,
    summary: 'A Walrus node refuses connections.',
    description: `{{ $labels.pod }} (${OF}) has as many connections as maxConnections allows, and refuses more.`,
  },
  {
    alert: 'WalrusPeerMessagesDropped',
    severity: 'warning',
    for: '10m',
    expr: (select) =>
      `sum by (${CLUSTER}, pod) (rate(${select('walrus_peer_messages_dropped_total')}[5m])) > 0`,
    summary: 'A Walrus node drops messages to other nodes.',
    description: `Another node does not take what {{ $labels.pod }} (${OF}) sends: the queue is full and {{ $value | humanize }} messages a second are dropped. They are sent again.`,
  },
];

/** The used part of what a node can have: its arenas, and what the file system has left. */
function fullness(select: Select): string {
  return (
    `${select('walrus_disk_used_bytes')} / ` +
    `(${select('walrus_disk_allocated_bytes')} + ${select('walrus_disk_free_bytes')})`
  );
}

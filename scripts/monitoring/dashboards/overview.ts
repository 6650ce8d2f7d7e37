/** Walrus / Overview: is the cluster well, what goes through it, how fast, and what is refused. */
import { GOOD_AT_ZERO, PLAIN, graph, quantiles, stat, table, thresholds } from './panel.ts';
import type { Dashboard, Row } from './panel.ts';
import { segmentsToCopy, segmentsWithoutQuorum } from './segmentPanels.ts';
import { clusterVariables, ofCluster, rate } from './selectors.ts';

const health: Row = {
  title: 'Health',
  panels: [
    stat({
      title: 'Metadata leader',
      description:
        'Whether any node knows a leader of the metadata. Without one nothing can be created, closed or led anew.',
      unit: 'none',
      width: 3,
      queries: [{ expr: `max(${ofCluster('walrus_raft_has_leader')})`, legend: '' }],
      mappings: { '0': { text: 'NONE', color: 'red' }, '1': { text: 'yes', color: 'green' } },
    }),
    stat({
      title: 'Nodes up',
      description: 'Nodes that the metadata leader hears of, those that drain left out.',
      unit: 'none',
      width: 3,
      queries: [{ expr: `max(${ofCluster('walrus_cluster_nodes', 'state="up"')})`, legend: '' }],
      thresholds: PLAIN,
    }),
    stat({
      title: 'Nodes down',
      description: 'Nodes that the metadata leader has not heard of in time.',
      unit: 'none',
      width: 3,
      queries: [{ expr: `max(${ofCluster('walrus_cluster_nodes', 'state="down"')})`, legend: '' }],
      thresholds: GOOD_AT_ZERO,
    }),
    segmentsWithoutQuorum(3),
    segmentsToCopy(3),
    stat({
      title: 'Failed disks',
      description: 'Nodes whose disk takes no more writes.',
      unit: 'none',
      width: 3,
      queries: [{ expr: `sum(${ofCluster('walrus_disk_read_only')})`, legend: '' }],
      thresholds: GOOD_AT_ZERO,
    }),
    stat({
      title: 'Fullest disk',
      description: 'The used part of the fullest disk.',
      unit: 'percentunit',
      width: 3,
      queries: [
        {
          expr: `max(${ofCluster('walrus_disk_used_bytes')} / (${ofCluster('walrus_disk_allocated_bytes')} + ${ofCluster('walrus_disk_free_bytes')}))`,
          legend: '',
        },
      ],
      thresholds: thresholds(0.85, 0.95),
    }),
    stat({
      title: 'Topics',
      description: 'Topics of the cluster.',
      unit: 'short',
      width: 3,
      queries: [{ expr: `max(${ofCluster('walrus_topics')})`, legend: '' }],
      thresholds: PLAIN,
    }),
  ],
};

const traffic: Row = {
  title: 'Traffic',
  panels: [
    graph({
      title: 'Records',
      description: 'Records acknowledged to producers, and records given to consumers.',
      unit: 'cps',
      width: 12,
      queries: [
        { expr: `sum(${rate(ofCluster('walrus_appended_records_total'))})`, legend: 'written' },
        { expr: `sum(${rate(ofCluster('walrus_read_records_total'))})`, legend: 'read' },
      ],
    }),
    graph({
      title: 'Bytes',
      description: 'Bytes of the batches of these records.',
      unit: 'Bps',
      width: 12,
      queries: [
        { expr: `sum(${rate(ofCluster('walrus_appended_bytes_total'))})`, legend: 'written' },
        { expr: `sum(${rate(ofCluster('walrus_read_bytes_total'))})`, legend: 'read' },
      ],
    }),
    graph({
      title: 'Requests',
      description: 'Requests answered, by protocol.',
      unit: 'reqps',
      width: 8,
      queries: [
        {
          expr: `sum by (protocol) (${rate(ofCluster('walrus_request_seconds_count'))})`,
          legend: '{{protocol}}',
        },
      ],
    }),
    graph({
      title: 'Connections',
      description: "Clients' open connections, by node. Even, when clients spread themselves.",
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `sum by (pod) (${ofCluster('walrus_connections', 'protocol=~"text|binary"')})`,
          legend: '{{pod}}',
        },
      ],
    }),
    graph({
      title: 'Segments led',
      description:
        'Open segments that each node leads: where the writes go. Even, unless a node drains or has just come back.',
      unit: 'short',
      width: 8,
      isStacked: true,
      queries: [{ expr: `sum by (pod) (${ofCluster('walrus_led_segments')})`, legend: '{{pod}}' }],
    }),
  ],
};

const latency: Row = {
  title: 'Latency',
  panels: [
    graph({
      title: 'Durable acknowledgement',
      description:
        'From accepting a batch as leader until enough disks hold it. The alert is at 0.5 s for the 99th percentile.',
      unit: 's',
      width: 8,
      queries: quantiles(ofCluster('walrus_commit_seconds_bucket'), ['p50', 'p99', 'p99.9']),
      thresholds: thresholds(0.25, 0.5),
    }),
    graph({
      title: 'Requests, p99',
      description:
        'Until a request was answered, by protocol. Long polls of consumers count with the time they wait.',
      unit: 's',
      width: 8,
      queries: quantiles(ofCluster('walrus_request_seconds_bucket'), ['p99'], ['protocol']),
    }),
    graph({
      title: 'fdatasync, p99',
      description:
        'One fdatasync of a group of appends, by node. One slow disk slows every quorum that needs it.',
      unit: 's',
      width: 8,
      queries: quantiles(ofCluster('walrus_sync_seconds_bucket'), ['p99'], ['pod']),
      thresholds: thresholds(0.1, 0.25),
    }),
  ],
};

const refusals: Row = {
  title: 'Refusals',
  panels: [
    graph({
      title: 'Failed requests',
      description: 'Requests answered with an error, by code: docs/errors.md says what each means.',
      unit: 'reqps',
      width: 16,
      queries: [
        { expr: `sum by (code) (${rate(ofCluster('walrus_errors_total'))})`, legend: '{{code}}' },
      ],
    }),
    graph({
      title: 'Connections refused',
      description: 'By nodes that have as many clients as maxConnections allows.',
      unit: 'cps',
      width: 8,
      queries: [
        {
          expr: `sum by (pod) (${rate(ofCluster('walrus_connections_refused_total'))})`,
          legend: '{{pod}}',
        },
      ],
    }),
  ],
};

const nodes: Row = {
  title: 'Nodes',
  panels: [
    graph({
      title: 'Processor',
      description:
        'Processor seconds a second of each node. A node uses little more than one core.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `sum by (pod) (${rate(ofCluster('process_cpu_seconds_total'))})`,
          legend: '{{pod}}',
        },
      ],
    }),
    graph({
      title: 'Memory',
      description: 'Resident memory of each node.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: `sum by (pod) (${ofCluster('process_resident_memory_bytes')})`,
          legend: '{{pod}}',
        },
      ],
    }),
    table({
      title: 'Versions',
      description: 'What each node runs. They differ while the cluster is rolled.',
      unit: 'none',
      width: 8,
      queries: [{ expr: `max by (pod, version) (${ofCluster('walrus_node_info')})`, legend: '' }],
      columns: { pod: 'Node', version: 'Version' },
    }),
  ],
};

export const OVERVIEW: Dashboard = {
  uid: 'walrus-overview',
  title: 'Walrus / Overview',
  description:
    'Whether a Walrus cluster is well, what goes through it, how fast, and what is refused.',
  variables: clusterVariables('walrus_raft_term'),
  rows: [health, traffic, latency, refusals, nodes],
};

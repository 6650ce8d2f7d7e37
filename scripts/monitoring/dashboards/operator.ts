/** Walrus / Operator: whether an operator acts, how its passes go, what it says of a cluster, and what it asks of the API server. */
import { GOOD_AT_ZERO, PLAIN, graph, quantiles, stat, table, thresholds } from './panel.ts';
import type { Dashboard, Row } from './panel.ts';
import { byPod, clusterVariables, ofCluster, rate } from './selectors.ts';

const CONDITION = 'walrus_operator_cluster_condition';
const NODES = 'walrus_operator_cluster_nodes';

const health: Row = {
  title: 'Operators',
  panels: [
    stat({
      title: 'Leading',
      description: 'Operators that hold the lease: exactly one should.',
      unit: 'none',
      width: 4,
      queries: [{ expr: 'sum(walrus_operator_leading)', legend: '' }],
      mappings: { '0': { text: 'NONE', color: 'red' }, '1': { text: 'one', color: 'green' } },
    }),
    stat({
      title: 'Operators',
      description: 'Operators that give their metrics.',
      unit: 'none',
      width: 4,
      queries: [{ expr: 'count(walrus_operator_leading)', legend: '' }],
      thresholds: PLAIN,
    }),
    stat({
      title: 'Clusters',
      description: 'WalrusClusters that are known.',
      unit: 'none',
      width: 4,
      queries: [{ expr: 'max(walrus_operator_clusters)', legend: '' }],
      thresholds: PLAIN,
    }),
    stat({
      title: 'Clusters not ready',
      description: 'WalrusClusters whose condition Ready is not True.',
      unit: 'none',
      width: 4,
      queries: [
        {
          expr: `count(${CONDITION}{type="Ready", status!="True"}) or vector(0)`,
          legend: '',
        },
      ],
      thresholds: GOOD_AT_ZERO,
    }),
    stat({
      title: 'Waiting for a pass',
      description: 'Clusters in the queue.',
      unit: 'none',
      width: 4,
      queries: [{ expr: 'max(walrus_operator_queue_depth)', legend: '' }],
      thresholds: thresholds(5, 10),
    }),
    stat({
      title: 'Oldest pass',
      description:
        'How long ago the last pass over a cluster came to its end, for the cluster for which it is longest. The resync is 5 minutes unless set otherwise.',
      unit: 's',
      width: 4,
      queries: [
        {
          expr: 'time() - min(walrus_operator_cluster_last_pass_timestamp_seconds)',
          legend: '',
        },
      ],
      thresholds: thresholds(600, 900),
    }),
  ],
};

const cluster: Row = {
  title: 'The cluster $namespace/$cluster',
  panels: [
    table({
      title: 'Conditions',
      description:
        'What the operator says of this cluster: docs/kubernetes-reference.md says for each reason what to do.',
      unit: 'none',
      width: 12,
      queries: [{ expr: `max by (type, status, reason) (${ofCluster(CONDITION)})`, legend: '' }],
      columns: { type: 'Condition', status: 'Status', reason: 'Reason' },
    }),
    graph({
      title: 'Nodes',
      description: 'Nodes that the spec wants, that there are, and that are ready.',
      unit: 'none',
      width: 12,
      queries: [{ expr: `max by (state) (${ofCluster(NODES)})`, legend: '{{state}}' }],
    }),
  ],
};

const passes: Row = {
  title: 'Passes over all clusters',
  panels: [
    graph({
      title: 'Passes',
      description:
        'Passes a second, and those that did not come to their end. Conflicts are looked at again at once.',
      unit: 'ops',
      width: 8,
      queries: [
        { expr: `sum(${rate('walrus_operator_pass_seconds_count')})`, legend: 'passes' },
        {
          expr: `sum by (kind) (${rate('walrus_operator_failures_total')})`,
          legend: 'ended by {{kind}}',
        },
      ],
    }),
    graph({
      title: 'How long a pass takes',
      description: 'Most of it is asking the nodes.',
      unit: 's',
      width: 8,
      queries: quantiles('walrus_operator_pass_seconds_bucket', ['p50', 'p99']),
    }),
    graph({
      title: 'Actions',
      description:
        'Of what may cost availability there is one in a pass at most: beginnings, restarts, growth, moves of the metadata leadership. In ten minutes.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: 'sum by (action) (increase(walrus_operator_actions_total[10m]))',
          legend: '{{action}}',
        },
      ],
    }),
  ],
};

const requests: Row = {
  title: 'API server',
  panels: [
    graph({
      title: 'Requests',
      description:
        'By verb and code. An idle operator renews its lease: one GET and one PUT every two seconds.',
      unit: 'reqps',
      width: 8,
      queries: [
        {
          expr: `sum by (verb, code) (${rate('walrus_operator_api_requests_total')})`,
          legend: '{{verb}} {{code}}',
        },
      ],
    }),
    graph({
      title: 'How long they take, p99',
      description: 'By verb, watches left out.',
      unit: 's',
      width: 8,
      queries: quantiles('walrus_operator_api_request_seconds_bucket', ['p99'], ['verb']),
    }),
    graph({
      title: 'Failed',
      description:
        'The part of the requests without an answer, forbidden, throttled, or failed by the server. The alert is at 10 %.',
      unit: 'percentunit',
      width: 8,
      queries: [
        {
          expr:
            `(sum(${rate('walrus_operator_api_requests_total{code=~"none|403|429|5.."}')}) or vector(0)) / ` +
            `sum(${rate('walrus_operator_api_requests_total')})`,
          legend: 'failed',
        },
      ],
      thresholds: thresholds(0.05, 0.1),
    }),
  ],
};

const processes: Row = {
  title: 'Processes',
  panels: [
    graph({
      title: 'Processor',
      description: 'Processor seconds a second, by operator.',
      unit: 'short',
      width: 12,
      queries: [
        {
          expr: byPod(
            `${rate('process_cpu_seconds_total')} and on (namespace, pod) walrus_operator_leading`,
          ),
          legend: '{{pod}}',
        },
      ],
    }),
    graph({
      title: 'Memory',
      description: 'Resident memory, by operator.',
      unit: 'bytes',
      width: 12,
      queries: [
        {
          expr: byPod(
            'process_resident_memory_bytes and on (namespace, pod) walrus_operator_leading',
          ),
          legend: '{{pod}}',
        },
      ],
    }),
  ],
};

export const OPERATOR: Dashboard = {
  uid: 'walrus-operator',
  title: 'Walrus / Operator',
  description:
    'Whether a Walrus operator acts, how its passes go, what it says of a cluster, and what it asks of the API server.',
  variables: clusterVariables(NODES),
  rows: [health, cluster, passes, requests, processes],
};

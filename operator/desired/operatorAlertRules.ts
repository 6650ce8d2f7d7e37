/** Alerts on what the operator measures (operator/controller/metrics.ts): about itself, and the conditions of its clusters. */
import type { Rule } from './alertRule.ts';

const CLUSTER = 'namespace, walrus_cluster';
const OF = '{{ $labels.namespace }}/{{ $labels.walrus_cluster }}';

/** One pass may take long, or fail a few times. */
const LATE_S = 300;

function condition(matchers: string): string {
  return `max by (${CLUSTER}, reason) (walrus_operator_cluster_condition{${matchers}}) == 1`;
}

export const OPERATOR_RULES: readonly Rule[] = [
  {
    alert: 'WalrusOperatorNotLeading',
    severity: 'warning',
    for: '3m',
    // For each lease: there may be several in a namespace.
    expr: () =>
      'max by (namespace, lease) (walrus_operator_leading) == 0 or absent(walrus_operator_leading) == 1',
    summary: 'No Walrus operator acts.',
    description:
      'No operator holds the lease, or none gives its metrics. Clusters go on serving; nothing about them is changed or mended.',
  },
  {
    alert: 'WalrusOperatorNotSynced',
    severity: 'warning',
    for: '5m',
    expr: () => 'min by (namespace, pod) (walrus_operator_synced) == 0',
    summary: 'A Walrus operator cannot read what it needs.',
    description:
      '{{ $labels.namespace }}/{{ $labels.pod }} has not been able to read everything from the API server for five minutes. It does not lead until then.',
  },
  {
    alert: 'WalrusClusterOfOtherOperator',
    severity: 'warning',
    for: '15m',
    expr: () => `max by (${CLUSTER}, operator) (walrus_operator_cluster_of_other) == 1`,
    summary: 'A Walrus operator sees a cluster of another one.',
    description: `${OF} is looked after by the operator {{ $labels.operator }}, if that is there; another one sees it, and leaves it alone.`,
  },
  {
    alert: 'WalrusOperatorFailing',
    severity: 'warning',
    for: '15m',
    expr: () => 'sum(rate(walrus_operator_failures_total{kind="error"}[5m])) > 0',
    summary: "The Walrus operator's passes fail.",
    description:
      'For a quarter of an hour passes of the operator have ended with errors, now {{ $value | humanize }} a second.',
  },
  {
    alert: 'WalrusOperatorNotReconciling',
    severity: 'warning',
    for: '5m',
    expr: () =>
      `time() - max by (${CLUSTER}) (walrus_operator_cluster_last_pass_timestamp_seconds) ` +
      `> scalar(clamp_min(3 * max(walrus_operator_resync_seconds), ${LATE_S}))`,
    summary: 'The Walrus operator does not get to a cluster.',
    description: `The last pass over ${OF} that came to its end was {{ $value | humanizeDuration }} ago.`,
  },
  {
    alert: 'WalrusOperatorQueueGrows',
    severity: 'warning',
    for: '15m',
    expr: () => 'max(walrus_operator_queue_depth) > 10',
    summary: 'The Walrus operator does not keep up.',
    description: 'For a quarter of an hour {{ $value }} clusters have waited for a pass.',
  },
  {
    alert: 'WalrusOperatorApiErrors',
    severity: 'warning',
    for: '15m',
    expr: () =>
      'sum(rate(walrus_operator_api_requests_total{code=~"none|403|429|5.."}[5m])) / ' +
      'sum(rate(walrus_operator_api_requests_total[5m])) > 0.1',
    summary: 'The API server does not answer the Walrus operator.',
    description:
      'Of the requests of the operator to the API server {{ $value | humanizePercentage }} fail.',
  },
  {
    alert: 'WalrusUpgradeBlocked',
    severity: 'warning',
    for: '15m',
    expr: () => condition('type="UpgradeBlocked", status="True", reason!="StrategyPaused"'),
    summary: 'A change of a Walrus cluster is stuck.',
    description: `The rolling restart of ${OF} has been stopped for a quarter of an hour: {{ $labels.reason }}.`,
  },
  {
    alert: 'WalrusChangeWaits',
    severity: 'warning',
    for: '30m',
    expr: () => condition('type="Progressing", reason="Waiting"'),
    summary: 'A change of a Walrus cluster waits.',
    description: `What is under way at ${OF} has waited for half an hour. The condition Progressing says for what.`,
  },
  {
    alert: 'WalrusConfigurationInvalid',
    severity: 'warning',
    for: '10m',
    expr: () => condition('type="ConfigurationValid", status="False"'),
    summary: 'The spec of a WalrusCluster cannot be done.',
    description: `The operator refuses the spec of ${OF}: {{ $labels.reason }}.`,
  },
  {
    alert: 'WalrusClusterNotReady',
    severity: 'warning',
    for: '30m',
    expr: () => condition('type="Ready", status!="True"'),
    summary: 'A WalrusCluster is not ready.',
    description: `${OF} has not been as its spec says for half an hour: {{ $labels.reason }}.`,
  },
];

/** As clusterAlertCases, for each alert on what the operator measures. */
import { CLUSTER, SEA } from './alertCase.ts';
import type { AlertCase } from './alertCase.ts';

const BLUE = { namespace: 'blue', pod: 'walrus-operator-1' };
const SYNCED = 'walrus_operator_synced{namespace="blue", pod="walrus-operator-1"}';
const OF_OTHER = `walrus_operator_cluster_of_other{${SEA}, operator="red/a"}`;

function leading(lease: string, pod: string): string {
  return `walrus_operator_leading{namespace="blue", lease="${lease}", pod="${pod}"}`;
}

/** A metric of the operator about the cluster. */
function said(metric: string, labels = ''): string {
  return `${metric}{${SEA}, pod="walrus-operator-0"${labels === '' ? '' : `, ${labels}`}}`;
}

function condition(type: string, status: string, reason: string): string {
  const labels = `type="${type}", status="${status}", reason="${reason}"`;
  return said('walrus_operator_cluster_condition', labels);
}

export const OPERATOR_ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'WalrusOperatorNotLeading',
    fires: { series: {}, at: '5m', labels: {} },
    silent: {
      series: {
        [leading('blue/walrus-operator', 'a-0')]: '0x30',
        [leading('blue/walrus-operator', 'a-1')]: '1x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusOperatorNotLeading',
    fires: {
      series: {
        [leading('blue/walrus-operator', 'a-0')]: '1x30',
        [leading('blue/second-walrus-operator', 'b-0')]: '0x30',
      },
      at: '5m',
      labels: { namespace: 'blue', lease: 'blue/second-walrus-operator' },
    },
    // One takes over from another.
    silent: {
      series: {
        [leading('blue/walrus-operator', 'a-0')]: '1x5 0x30',
        [leading('blue/walrus-operator', 'a-1')]: '0x7 1x30',
      },
      at: '9m',
    },
  },
  {
    alert: 'WalrusOperatorNotSynced',
    fires: { series: { [SYNCED]: '1 1 0x30' }, at: '8m', labels: BLUE },
    silent: { series: { [SYNCED]: '0x3 1x30' }, at: '20m' },
  },
  {
    alert: 'WalrusClusterOfOtherOperator',
    fires: { series: { [OF_OTHER]: '1x30' }, at: '20m', labels: { ...CLUSTER, operator: 'red/a' } },
    silent: { series: { [OF_OTHER]: '1x10 stale' }, at: '20m' },
  },
  {
    alert: 'WalrusOperatorFailing',
    fires: {
      series: { 'walrus_operator_failures_total{kind="error"}': '0+60x30' },
      at: '17m',
      labels: {},
      value: '1',
    },
    silent: {
      series: {
        'walrus_operator_failures_total{kind="conflict"}': '0+60x30',
        'walrus_operator_failures_total{kind="error"}': '3x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusOperatorNotReconciling',
    fires: {
      series: {
        [said('walrus_operator_cluster_last_pass_timestamp_seconds')]: '0x30',
        'walrus_operator_resync_seconds{pod="walrus-operator-0"}': '15x30',
      },
      at: '12m',
      labels: CLUSTER,
      value: '12m 0s',
    },
    silent: {
      series: {
        [said('walrus_operator_cluster_last_pass_timestamp_seconds')]: '0+60x30',
        'walrus_operator_resync_seconds{pod="walrus-operator-0"}': '15x30',
      },
      at: '25m',
    },
  },
  {
    alert: 'WalrusOperatorQueueGrows',
    fires: {
      series: { 'walrus_operator_queue_depth{pod="walrus-operator-0"}': '40x30' },
      at: '16m',
      labels: {},
      value: '40',
    },
    silent: {
      series: { 'walrus_operator_queue_depth{pod="walrus-operator-0"}': '9x30' },
      at: '20m',
    },
  },
  {
    alert: 'WalrusOperatorApiErrors',
    fires: {
      series: {
        'walrus_operator_api_requests_total{verb="GET", code="2xx"}': '0+60x30',
        'walrus_operator_api_requests_total{verb="GET", code="none"}': '0+30x30',
        'walrus_operator_api_requests_total{verb="PATCH", code="503"}': '0+30x30',
      },
      at: '17m',
      labels: {},
      value: '50%',
    },
    // Not found and conflict are answers.
    silent: {
      series: {
        'walrus_operator_api_requests_total{verb="GET", code="2xx"}': '0+60x30',
        'walrus_operator_api_requests_total{verb="GET", code="404"}': '0+60x30',
        'walrus_operator_api_requests_total{verb="PUT", code="409"}': '0+60x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusUpgradeBlocked',
    fires: {
      series: { [condition('UpgradeBlocked', 'True', 'NewRevisionFails')]: '1x30' },
      at: '16m',
      labels: { ...CLUSTER, reason: 'NewRevisionFails' },
    },
    // As somebody wants it, and not blocked at all.
    silent: {
      series: {
        [condition('UpgradeBlocked', 'True', 'StrategyPaused')]: '1x30',
        [condition('UpgradeBlocked', 'False', 'NotBlocked')]: '1x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusChangeWaits',
    fires: {
      series: { [condition('Progressing', 'True', 'Waiting')]: '1x40' },
      at: '31m',
      labels: { ...CLUSTER, reason: 'Waiting' },
    },
    silent: { series: { [condition('Progressing', 'True', 'Rolling')]: '1x60' }, at: '50m' },
  },
  {
    alert: 'WalrusConfigurationInvalid',
    fires: {
      series: { [condition('ConfigurationValid', 'False', 'ScaleInNotSupported')]: '1x30' },
      at: '11m',
      labels: { ...CLUSTER, reason: 'ScaleInNotSupported' },
    },
    silent: { series: { [condition('ConfigurationValid', 'True', 'Valid')]: '1x30' }, at: '20m' },
  },
  {
    alert: 'WalrusClusterNotReady',
    fires: {
      series: { [condition('Ready', 'Unknown', 'NodesUnreachable')]: '1x40' },
      at: '31m',
      labels: { ...CLUSTER, reason: 'NodesUnreachable' },
    },
    silent: { series: { [condition('Ready', 'True', 'AllNodesServe')]: '1x60' }, at: '50m' },
  },
];

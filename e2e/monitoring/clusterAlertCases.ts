/** For each alert about nodes: series by which it fires, with its labels and value, and series by which it must not. */
import { CLUSTER, SEA } from './alertCase.ts';
import type { AlertCase, Series } from './alertCase.ts';

const POD = { ...CLUSTER, pod: 'sea-2' };

/** A metric of a node. */
function of(node: number, metric: string, labels = ''): string {
  return `${metric}{${SEA}, pod="sea-${node}"${labels === '' ? '' : `, ${labels}`}}`;
}

/** A histogram in which one observation in ten is between `slow` and `slower` seconds. */
function histogram(name: string, [fast, slow, slower]: readonly [string, string, string]): Series {
  return {
    [of(2, `${name}_bucket`, `le="${fast}"`)]: '0+540x30',
    [of(2, `${name}_bucket`, `le="${slow}"`)]: '0+540x30',
    [of(2, `${name}_bucket`, `le="${slower}"`)]: '0+600x30',
    [of(2, `${name}_bucket`, `le="+Inf"`)]: '0+600x30',
  };
}

function disk(used: number): Series {
  return {
    [of(2, 'walrus_disk_used_bytes')]: `${used}x30`,
    [of(2, 'walrus_disk_allocated_bytes')]: '900x30',
    [of(2, 'walrus_disk_free_bytes')]: '100x30',
  };
}

export const CLUSTER_ALERT_CASES: readonly AlertCase[] = [
  {
    alert: 'WalrusNoMetadataLeader',
    fires: {
      series: {
        [of(1, 'walrus_raft_has_leader')]: '0x30',
        [of(2, 'walrus_raft_has_leader')]: '1 1 0x30',
      },
      at: '4m',
      labels: CLUSTER,
    },
    // A node that is cut off knows none; the others do.
    silent: {
      series: {
        [of(1, 'walrus_raft_has_leader')]: '0x30',
        [of(2, 'walrus_raft_has_leader')]: '1x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusSegmentsUnavailable',
    fires: {
      series: { [of(1, 'walrus_cluster_segments_unavailable')]: '4x30' },
      at: '3m',
      labels: CLUSTER,
      value: '4',
    },
    silent: { series: { [of(1, 'walrus_cluster_segments_unavailable')]: '4 0x30' }, at: '3m' },
  },
  {
    alert: 'WalrusRecoveryStuck',
    fires: {
      series: { [of(1, 'walrus_cluster_segments', 'state="recovering"')]: '2x30' },
      at: '11m',
      labels: CLUSTER,
      value: '2',
    },
    silent: {
      series: {
        [of(1, 'walrus_cluster_segments', 'state="recovering"')]: '2x5 0x30',
        [of(1, 'walrus_cluster_segments', 'state="open"')]: '9x30',
      },
      at: '11m',
    },
  },
  {
    alert: 'WalrusDiskFailed',
    fires: {
      series: {
        [of(1, 'walrus_disk_read_only')]: '0x30',
        [of(2, 'walrus_disk_read_only')]: '0 1x30',
      },
      at: '2m',
      labels: POD,
    },
    silent: { series: { [of(2, 'walrus_disk_read_only')]: '0x30' }, at: '20m' },
  },
  {
    alert: 'WalrusDiskFull',
    fires: { series: disk(960), at: '6m', labels: POD, value: '96%' },
    silent: { series: disk(940), at: '20m' },
  },
  {
    alert: 'WalrusNodeDown',
    fires: {
      series: {
        [of(1, 'walrus_cluster_nodes', 'state="down"')]: '1x30',
        [of(1, 'walrus_cluster_nodes', 'state="up"')]: '2x30',
      },
      at: '3m',
      labels: CLUSTER,
      value: '1',
    },
    // For less than two minutes: a restart.
    silent: {
      series: { [of(1, 'walrus_cluster_nodes', 'state="down"')]: '0 1 0x30' },
      at: '3m',
    },
  },
  {
    alert: 'WalrusNotScraped',
    fires: {
      series: { [of(2, 'up')]: '0x30', [of(1, 'up')]: '1x30' },
      at: '6m',
      labels: POD,
    },
    // Something else that is down.
    silent: { series: { 'up{namespace="ocean", pod="whale"}': '0x30' }, at: '20m' },
  },
  {
    alert: 'WalrusNodeBehind',
    fires: {
      series: {
        [of(1, 'walrus_raft_commit_index')]: '50000x30',
        [of(1, 'walrus_raft_applied_index')]: '50000x30',
        [of(2, 'walrus_raft_commit_index')]: '20000x30',
        [of(2, 'walrus_raft_applied_index')]: '20000x30',
      },
      at: '11m',
      labels: POD,
      value: '30k',
    },
    // Behind another cluster's metadata, which is no matter.
    silent: {
      series: {
        'walrus_raft_commit_index{namespace="ocean", walrus_cluster="lake", pod="lake-1"}':
          '50000x30',
        [of(2, 'walrus_raft_commit_index')]: '20000x30',
        [of(2, 'walrus_raft_applied_index')]: '19000x30',
      },
      at: '20m',
    },
  },
  {
    alert: 'WalrusSegmentsUnderReplicated',
    fires: {
      series: { [of(1, 'walrus_cluster_segments_under_replicated')]: '7x30' },
      at: '16m',
      labels: CLUSTER,
      value: '7',
    },
    silent: {
      series: { [of(1, 'walrus_cluster_segments_under_replicated')]: '7x10 0x30' },
      at: '16m',
    },
  },
  {
    alert: 'WalrusCopiesDamaged',
    fires: {
      series: { [of(2, 'walrus_replicas', 'state="damaged"')]: '3x30' },
      at: '16m',
      labels: POD,
      value: '3',
    },
    silent: {
      series: {
        [of(2, 'walrus_replicas', 'state="damaged"')]: '3x5 0x30', // made anew
        [of(2, 'walrus_replicas', 'state="sealed"')]: '99x30',
      },
      at: '16m',
    },
  },
  {
    alert: 'WalrusCopiesQuarantined',
    fires: {
      series: { [of(2, 'walrus_replicas', 'state="quarantined"')]: '2x30' },
      at: '16m',
      labels: POD,
      value: '2',
    },
    silent: { series: { [of(2, 'walrus_replicas', 'state="quarantined"')]: '0x30' }, at: '20m' },
  },
  {
    alert: 'WalrusDiskNearlyFull',
    fires: { series: disk(860), at: '16m', labels: POD, value: '86%' },
    silent: { series: disk(840), at: '20m' },
  },
  {
    alert: 'WalrusRequestsRefused',
    fires: {
      series: {
        [of(1, 'walrus_errors_total', 'protocol="binary", code="DISK_FULL"')]: '0+60x30',
        [of(2, 'walrus_errors_total', 'protocol="text", code="DISK_FULL"')]: '0+120x30',
      },
      at: '12m',
      labels: { ...CLUSTER, code: 'DISK_FULL' },
      value: '3',
    },
    // A client's own mistakes, and a few refusals of an election, that the rate remembers for five minutes.
    silent: {
      series: {
        [of(1, 'walrus_errors_total', 'protocol="text", code="TOPIC_NOT_FOUND"')]: '0+60x30',
        [of(1, 'walrus_errors_total', 'protocol="text", code="OVERLOADED"')]: '0 0 12x30',
      },
      at: '7m',
    },
  },
  {
    alert: 'WalrusCommitsSlow',
    fires: {
      series: histogram('walrus_commit_seconds', ['0.25', '0.5', '1']),
      at: '12m',
      labels: CLUSTER,
      value: '950ms',
    },
    silent: { series: histogram('walrus_commit_seconds', ['0.1', '0.25', '0.5']), at: '20m' },
  },
  {
    alert: 'WalrusDiskSlow',
    fires: {
      series: histogram('walrus_sync_seconds', ['0.1', '0.25', '0.5']),
      at: '12m',
      labels: POD,
      value: '475ms',
    },
    silent: { series: histogram('walrus_sync_seconds', ['0.05', '0.1', '0.25']), at: '20m' },
  },
  {
    alert: 'WalrusConnectionsRefused',
    fires: {
      series: { [of(2, 'walrus_connections_refused_total')]: '0+6x30' },
      at: '12m',
      labels: POD,
    },
    silent: { series: { [of(2, 'walrus_connections_refused_total')]: '5x30' }, at: '20m' },
  },
  {
    alert: 'WalrusPeerMessagesDropped',
    fires: {
      series: { [of(2, 'walrus_peer_messages_dropped_total')]: '0+120x30' },
      at: '12m',
      labels: POD,
      value: '2',
    },
    silent: { series: { [of(2, 'walrus_peer_messages_dropped_total')]: '5x30' }, at: '20m' },
  },
];

/** Walrus / Storage and replication: the metadata, the segments and their copies, the disks, and what nodes send each other. */
import { GOOD_AT_ZERO, PLAIN, graph, quantiles, stat, thresholds } from './panel.ts';
import type { Dashboard, Row } from './panel.ts';
import { segmentsToCopy, segmentsWithoutQuorum } from './segmentPanels.ts';
import { POD_VARIABLE, byPod, clusterVariables, ofCluster, ofPods, rate } from './selectors.ts';

const metadata: Row = {
  title: 'Metadata',
  panels: [
    graph({
      title: 'Leader',
      description: 'Which node leads the metadata: 1 at that node.',
      unit: 'none',
      width: 6,
      max: 1,
      queries: [{ expr: byPod(ofPods('walrus_raft_role', 'role="Leader"')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Term',
      description: 'The Raft term rises with every election. It should be flat.',
      unit: 'none',
      width: 6,
      queries: [{ expr: byPod(ofPods('walrus_raft_term')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Commands',
      description: 'Entries of the metadata applied a second.',
      unit: 'ops',
      width: 6,
      queries: [{ expr: byPod(rate(ofPods('walrus_raft_applied_index'))), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Entries behind',
      description:
        'How many committed entries of the metadata each node has still to apply. The alert is at 10,000.',
      unit: 'short',
      width: 6,
      queries: [
        {
          expr: byPod(
            `scalar(max(${ofCluster('walrus_raft_commit_index')})) - ${ofPods('walrus_raft_applied_index')}`,
          ),
          legend: '{{pod}}',
        },
      ],
      thresholds: thresholds(1000, 10_000),
    }),
  ],
};

const segments: Row = {
  title: 'Segments and their copies',
  panels: [
    stat({
      title: 'Recovering',
      description:
        'Segments whose leader is gone and whose end is being found out: no writes meanwhile.',
      unit: 'none',
      width: 4,
      queries: [
        { expr: `max(${ofCluster('walrus_cluster_segments', 'state="recovering"')})`, legend: '' },
      ],
      thresholds: GOOD_AT_ZERO,
    }),
    segmentsWithoutQuorum(4),
    segmentsToCopy(4),
    stat({
      title: 'Damaged copies',
      description:
        'Copies that do not match their checksums, on the chosen nodes. They are made anew.',
      unit: 'none',
      width: 4,
      queries: [{ expr: `sum(${ofPods('walrus_replicas', 'state="damaged"')})`, legend: '' }],
      thresholds: GOOD_AT_ZERO,
    }),
    stat({
      title: 'Quarantined copies',
      description: 'Copies that the metadata do not know: neither read nor deleted.',
      unit: 'none',
      width: 4,
      queries: [{ expr: `sum(${ofPods('walrus_replicas', 'state="quarantined"')})`, legend: '' }],
      thresholds: GOOD_AT_ZERO,
    }),
    stat({
      title: 'Segments',
      description: 'All segments of the cluster.',
      unit: 'short',
      width: 4,
      queries: [{ expr: `sum(${ofCluster('walrus_cluster_segments')})`, legend: '' }],
      thresholds: PLAIN,
    }),
    graph({
      title: 'Segments by state',
      description: 'Open ones take writes; sealed ones never change.',
      unit: 'short',
      width: 8,
      queries: [
        {
          expr: `max by (state) (${ofCluster('walrus_cluster_segments')})`,
          legend: '{{state}}',
        },
      ],
    }),
    graph({
      title: 'Copies by node',
      description: 'All copies on each node. New ones go where there are fewest.',
      unit: 'short',
      width: 8,
      isStacked: true,
      queries: [{ expr: `sum by (pod) (${ofPods('walrus_replicas')})`, legend: '{{pod}}' }],
    }),
    graph({
      title: 'Rolls',
      description:
        'Led segments closed, by reason: entries, bytes, age, a member that is down, a handover.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (reason) (${rate(ofPods('walrus_segment_rolls_total'))})`,
          legend: '{{reason}}',
        },
      ],
    }),
    graph({
      title: 'Recoveries',
      description:
        'Segments recovered a second, after their leader went away without closing them.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum(${rate(ofPods('walrus_segment_recovery_seconds_count'))})`,
          legend: 'recovered',
        },
      ],
    }),
    graph({
      title: 'Repairs',
      description: 'Damaged copies made anew, and attempts that have to be repeated.',
      unit: 'ops',
      width: 8,
      queries: [
        {
          expr: `sum by (outcome) (${rate(ofPods('walrus_segment_repairs_total'))})`,
          legend: '{{outcome}}',
        },
      ],
    }),
    graph({
      title: 'Scrub',
      description: 'Bytes of sealed copies that are verified in the background.',
      unit: 'Bps',
      width: 8,
      queries: [{ expr: byPod(rate(ofPods('walrus_scrubbed_bytes_total'))), legend: '{{pod}}' }],
    }),
  ],
};

const disks: Row = {
  title: 'Disks',
  panels: [
    graph({
      title: 'Used',
      description: 'The used part of what each node can have. Alerts are at 85 % and 95 %.',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [
        {
          expr: byPod(
            `${ofPods('walrus_disk_used_bytes')} / (${ofPods('walrus_disk_allocated_bytes')} + ${ofPods('walrus_disk_free_bytes')})`,
          ),
          legend: '{{pod}}',
        },
      ],
      thresholds: thresholds(0.85, 0.95),
    }),
    graph({
      title: 'Bytes of replicas',
      description: 'Bytes of the blocks that hold replicas, by node.',
      unit: 'bytes',
      width: 8,
      queries: [{ expr: byPod(ofPods('walrus_disk_used_bytes')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Free',
      description: 'What the file system has left, less the ballast that keeps the metadata alive.',
      unit: 'bytes',
      width: 8,
      queries: [{ expr: byPod(ofPods('walrus_disk_free_bytes')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'fdatasync',
      description:
        'Time of one fdatasync, by node. The alert is at 0.25 s for the 99th percentile.',
      unit: 's',
      width: 8,
      queries: quantiles(ofPods('walrus_sync_seconds_bucket'), ['p50', 'p99'], ['pod']),
      thresholds: thresholds(0.1, 0.25),
    }),
    graph({
      title: 'fdatasyncs',
      description: 'fdatasyncs a second, by node. Many appends share one.',
      unit: 'ops',
      width: 8,
      queries: [{ expr: byPod(rate(ofPods('walrus_sync_seconds_count'))), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Bytes of one fdatasync',
      description: 'Made durable by one fdatasync, on average. It grows with the load.',
      unit: 'bytes',
      width: 8,
      queries: [
        {
          expr: byPod(
            `${rate(ofPods('walrus_sync_group_bytes_sum'))} / ${rate(ofPods('walrus_sync_group_bytes_count'))}`,
          ),
          legend: '{{pod}}',
        },
      ],
    }),
  ],
};

const memoryAndPeers: Row = {
  title: 'Between nodes, and in memory',
  panels: [
    graph({
      title: 'Waiting for other nodes',
      description:
        'Bytes in the queues to other nodes. A queue that stays high is a peer that does not take what it is sent.',
      unit: 'bytes',
      width: 6,
      queries: [{ expr: byPod(ofPods('walrus_peer_queue_bytes')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'Messages dropped',
      description:
        'Messages to other nodes dropped because their queue was full; they are sent again.',
      unit: 'cps',
      width: 6,
      queries: [
        { expr: byPod(rate(ofPods('walrus_peer_messages_dropped_total'))), legend: '{{pod}}' },
      ],
    }),
    graph({
      title: 'Not yet durable',
      description: 'Bytes that a disk has accepted and not yet made durable.',
      unit: 'bytes',
      width: 6,
      queries: [{ expr: byPod(ofPods('walrus_disk_pending_bytes')), legend: '{{pod}}' }],
    }),
    graph({
      title: 'In flight',
      description: "Bytes of clients' requests and replies in memory.",
      unit: 'bytes',
      width: 6,
      queries: [{ expr: byPod(ofPods('walrus_in_flight_bytes')), legend: '{{pod}}' }],
    }),
  ],
};

export const STORAGE: Dashboard = {
  uid: 'walrus-storage',
  title: 'Walrus / Storage and replication',
  description:
    'The metadata of a Walrus cluster, its segments and their copies, its disks, and what its nodes send each other.',
  variables: [...clusterVariables('walrus_raft_term'), POD_VARIABLE],
  rows: [metadata, segments, disks, memoryAndPeers],
};

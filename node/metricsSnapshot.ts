/** The numbers of a node at the moment when somebody looks at its metrics. */
import { viewOfLeader } from './controller/clusterView.ts';
import type { ClusterCounts, MetricsSnapshot, ReplicaState } from './metrics.ts';
import { clusterStatusOf } from './server/admin/clusterStatus.ts';
import type { ClientServer } from './server/clientServer.ts';
import type { StreamPeerTransport } from './server/peerTransport.ts';
import type { NodeParts, WalrusNode } from './walrusNode.ts';

export interface SnapshotSources {
  readonly node: WalrusNode | null;
  readonly server: ClientServer | null;
  readonly transport: StreamPeerTransport;
}

/** Reads them; null while the node is not up. */
export function snapshotOf({ node, server, transport }: SnapshotSources): MetricsSnapshot | null {
  if (node?.isOpen !== true) return null;
  const { parts } = node;
  const { raft, storage, segments, metadata } = parts;
  const status = raft.status();
  const counts = server?.connectionCounts() ?? { text: 0, binary: 0 };
  return {
    raft: {
      term: status.currentTerm,
      role: status.role,
      hasLeader: status.leaderId !== null,
      commitIndex: status.commitIndex,
      lastApplied: status.lastApplied,
      lastIndex: status.lastIndex,
    },
    ledSegments: segments.ledSegmentIds.length,
    replicas: replicaCounts(parts),
    topics: metadata.metadata.topics.size,
    disk: {
      isReadOnly: storage.health.state === 'READ_ONLY',
      ...storage.usage(),
      pendingBytes: storage.pendingBytes,
    },
    connections: { ...counts, peer: transport.connectionCount(), http: 0 },
    peerQueueBytes: transport.queuedBytes(),
    inFlightBytes: server?.inFlightBytes ?? 0,
    cluster: metadata.isLeader ? clusterCounts(parts) : null,
  };
}

function clusterCounts({ metadata, raft, controller }: NodeParts): ClusterCounts {
  const view = viewOfLeader(metadata.metadata, raft.status(), controller.sessions);
  const { nodes, segments } = clusterStatusOf(view);
  const up = nodes.filter(({ isAlive }) => isAlive);
  const draining = up.filter(({ isDraining }) => isDraining).length;
  const { open, recovering, sealed, underReplicated, unavailable } = segments;
  return {
    nodes: { up: up.length - draining, down: nodes.length - up.length, draining },
    segments: { open, recovering, sealed },
    underReplicated,
    unavailable,
  };
}

function replicaCounts({ storage, metadata }: NodeParts): Record<ReplicaState, number> {
  const counts = { open: 0, recovering: 0, sealed: 0, damaged: 0, quarantined: 0 };
  for (const replica of storage.replicas()) {
    const state = metadata.metadata.segments.get(replica.segmentId)?.state;
    if (state === undefined) counts.quarantined += 1;
    else if (replica.damage !== null) counts.damaged += 1;
    else if (state === 'OPEN') counts.open += 1;
    else if (state === 'RECOVERING') counts.recovering += 1;
    else counts.sealed += 1;
  }
  return counts;
}

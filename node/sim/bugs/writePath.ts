/** Planted bugs of the write path (DESIGN W1-W6): acknowledging, the lease, the ensemble, idempotence. */
import { LEADER, HOST, MANAGER, WITHOUT_LEASE } from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const WRITE_PATH_BUGS: readonly PlantedBug[] = [
  {
    name: 'AckBeforeFsync',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W3',
    what: 'the leader and the members count what is only written as durable',
    seeds: 40,
    changes: [
      {
        file: LEADER,
        find: 'const tails: Offset[] = [this.#replica.durableTail];',
        replace: 'const tails: Offset[] = [this.#replica.tail];',
      },
      {
        file: HOST,
        find: 'durableTail: replica.durableTail,',
        replace: 'durableTail: replica.tail,',
      },
      {
        file: HOST,
        find: 'if (hosted.replica.durableTail < hosted.replica.tail || hosted.isAckDue) return;',
        replace: 'if (hosted.isAckDue) return;',
      },
    ],
  },
  {
    name: 'CommitWithoutQuorum',
    focus: 'lagAndLose',
    rule: 'W5',
    what: 'one durable copy less than W counts as committed',
    seeds: 40,
    changes: [
      {
        file: LEADER,
        find: 'const reached = this.#reachedBy(this.segment.ackQuorum);',
        replace: 'const reached = this.#reachedBy(Math.max(1, this.segment.ackQuorum - 1));',
      },
    ],
  },
  {
    name: 'GapAccepted',
    rule: 'W2',
    what: 'a member that lacks batches says that it has what it was sent',
    seeds: 60,
    changes: [
      {
        file: HOST,
        find: "if (message.firstOffset > hosted.replica.tail) return 'GAP';",
        replace: "if (message.firstOffset > hosted.replica.tail) return 'OK';",
      },
      {
        file: HOST,
        find: 'durableTail: replica.durableTail,',
        replace:
          'durableTail: (status === "OK" ? (Math.max(replica.durableTail, replica.tail + 1) as never) : replica.durableTail),',
      },
    ],
  },
  {
    name: 'LeaseIgnored',
    focus: 'zombie',
    rule: 'DESIGN 5',
    what: 'a leader acknowledges after its session has lapsed',
    seeds: 60,
    changes: [WITHOUT_LEASE],
  },
  {
    name: 'RestartedLeaderResumes',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W1',
    what: 'a node that restarts goes on with the segments that it led',
    seeds: 60,
    changes: [
      {
        file: 'node/state/queries.ts',
        find: 'segment.leaderBootEpoch === self.bootEpoch',
        replace: 'segment.leaderBootEpoch <= self.bootEpoch',
      },
      {
        file: 'node/controller/failureDetector.ts',
        find: 'segment.leaderBootEpoch === disk.bootEpoch;',
        replace: 'segment.leaderBootEpoch <= disk.bootEpoch;',
      },
      {
        file: MANAGER,
        find: 'if (this.#isStopped || this.#options.host.replica(segmentId) !== undefined) return;',
        replace: 'if (this.#isStopped) return;',
      },
      {
        file: MANAGER,
        find: 'this.#options.host.createForLeader(current, producers)',
        replace:
          '(this.#options.host.replica(segmentId) ?? this.#options.host.createForLeader(current, producers))',
      },
      {
        file: LEADER,
        find: "assert(replica.tail === segment.baseOffset, 'A leader begins with an empty segment (W1)');",
        replace: '',
      },
    ],
  },
  {
    name: 'EnsembleChanges',
    focus: 'lagAndLose',
    rule: 'W6',
    what: 'a new disk takes the place of a lost one in open segments',
    seeds: 400,
    changes: [
      {
        file: 'node/state/handlers/registerNode.ts',
        find: 'state.putNode({ ...node });',
        replace:
          'state.putNode({ ...node });\n' +
          '  for (const found of [...state.segments.values()]) {\n' +
          "    if (found.state !== 'OPEN') continue;\n" +
          '    const ensemble = found.ensemble.map((place) => place.nodeId === node.nodeId ? { nodeId: node.nodeId, diskId: node.diskId } : place);\n' +
          '    state.putSegment({ ...found, ensemble });\n' +
          '  }',
      },
    ],
  },
  {
    name: 'ProducersForgotten',
    rule: 'idempotence',
    what: 'a new leader begins without the state of the producers',
    seeds: 60,
    changes: [
      {
        file: 'node/controller/producerLoader.ts',
        find: 'const unfolded: SegmentRecord[] = [];',
        replace:
          'const unfolded: SegmentRecord[] = [];\n    if (segment.segmentId > 0) return new ProducerStates();',
      },
    ],
  },
];

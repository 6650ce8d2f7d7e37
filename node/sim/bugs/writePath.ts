/** Planted bugs of the write path (DESIGN W1-W6): acknowledging, the lease, the ensemble, idempotence. */
import {
  LOSS,
  HOST,
  LEADER,
  LEASE_NOT_CHECKED,
  MANAGER,
  WITHOUT_LEASE,
  WITHOUT_SEAL_ASSERTION,
  WITHOUT_SUSPENSION,
  WITHOUT_TAIL_ASSERTION,
} from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const WRITE_PATH_BUGS: readonly PlantedBug[] = [
  {
    name: 'AckBeforeFsync',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W3',
    what: 'the leader and the members count what is only written as durable',
    foundBy: LOSS,
    seeds: 20,
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
    foundBy: LOSS,
    seeds: 100,
    changes: [
      {
        file: LEADER,
        find: 'const reached = this.#reachedBy(this.segment.ackQuorum);',
        replace: 'const reached = this.#reachedBy(Math.max(1, this.segment.ackQuorum - 1));',
      },
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'AnswerCountsForAll',
    focus: 'lagAndLose',
    rule: 'W5',
    what: "a member's answer counts for everything that it was sent",
    foundBy: LOSS,
    seeds: 60,
    changes: [
      {
        file: 'node/replication/follower.ts',
        find: 'if (ack.durableTail > this.durableTail) this.durableTail = ack.durableTail;',
        replace:
          "const held = ack.status === 'OK' ? this.nextOffset : ack.durableTail;\n" +
          '    if (held > this.durableTail) this.durableTail = held;',
      },
    ],
  },
  {
    name: 'LeaseIgnored',
    focus: 'zombie',
    rule: 'DESIGN 5',
    what: 'a leader acknowledges after its session has lapsed',
    foundBy: ['LeaseHeld'],
    seeds: 40,
    changes: [WITHOUT_LEASE],
  },
  {
    name: 'RestartedLeaderResumes',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W1',
    what: 'a node that restarts goes on with the segments that it led',
    foundBy: LOSS,
    seeds: 20,
    changes: [
      {
        file: 'node/state/queries.ts',
        find: 'segment.leaderBootEpoch === self.bootEpoch',
        replace: 'segment.leaderBootEpoch <= self.bootEpoch',
      },
      {
        file: 'node/controller/failureDetector.ts',
        find: '&& leaderBootEpoch === disk.bootEpoch;',
        replace: '&& leaderBootEpoch <= disk.bootEpoch;',
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
      WITHOUT_TAIL_ASSERTION,
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'EnsembleChanges',
    focus: 'lagAndLose',
    rule: 'W6',
    what: 'a new disk takes the place of a lost one in open segments',
    foundBy: LOSS,
    seeds: 20,
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
      {
        file: 'node/state/transitions.ts',
        find: 'assert(isSame, `Segment ${before.segmentId}: the ensemble of an open segment must not change`);',
        replace: '',
      },
      WITHOUT_TAIL_ASSERTION,
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'ProducersForgotten',
    rule: 'idempotence',
    what: 'a new leader begins without the state of the producers',
    foundBy: ['ProducerKnown', 'ProducerOrder'],
    seeds: 20,
    changes: [
      {
        file: 'node/controller/producerLoader.ts',
        find: 'const unfolded: SegmentRecord[] = [];',
        replace:
          'const unfolded: SegmentRecord[] = [];\n    if (segment.segmentId > 0) return new ProducerStates();',
      },
    ],
  },
  {
    name: 'OwnFenceSkipped',
    focus: 'fenceLeader',
    rule: 'W4',
    what: "the leader's own copy takes appends although it is fenced",
    foundBy: LOSS,
    seeds: 100,
    knownSeed: 4,
    changes: [
      {
        file: LEADER,
        find: 'return this.#replica.append(batch, { token: this.segment.token, epoch: 0, isChecked: true });',
        replace:
          'return this.#replica.append(batch, { token: this.segment.token, epoch: this.#replica.fenceEpoch, isChecked: true });',
      },
      WITHOUT_LEASE,
      LEASE_NOT_CHECKED,
      WITHOUT_SUSPENSION,
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'LeaseNeverRederived',
    focus: 'zombie',
    rule: 'DESIGN 5',
    what: 'a lease that was granted once holds for ever',
    foundBy: ['LeaseHeld'],
    seeds: 40,
    changes: [
      {
        file: 'node/controller/heartbeat.ts',
        find: 'this.#freshUntilMs = Math.max(this.#freshUntilMs, untilMs);',
        replace: 'this.#freshUntilMs = untilMs > 0 ? Number.POSITIVE_INFINITY : untilMs;',
      },
    ],
  },
  {
    name: 'DirectoryNotSynced',
    focus: 'powerFailureAtAcknowledgement',
    rule: 'W3',
    what: 'data is acknowledged in a file whose name a crash may undo',
    foundBy: [...LOSS, 'CopiesWhole'],
    seeds: 40,
    knownSeed: 2,
    changes: [
      {
        file: 'node/storage/arenaSet.ts',
        find: 'this.#disk.syncDirectory(STORAGE_DIRECTORY);',
        replace: '',
      },
      {
        file: 'node/storage/engine.ts', // the sync of names at the start, which covers the first file
        find: 'this.#disk.syncDirectory(STORAGE_DIRECTORY);',
        replace: '',
      },
    ],
  },
  {
    name: 'RetriesForgotten',
    rule: 'idempotence',
    what: 'a new leader knows only the last batch of each producer',
    foundBy: ['Progress', 'ProducerOrder'],
    seeds: 40,
    changes: [
      {
        file: 'node/replication/producerStates.ts',
        find: 'states.#producers.set(producer.producerId, producer);',
        replace:
          'states.#producers.set(producer.producerId, { ...producer, batches: producer.batches.slice(-1) });',
      },
    ],
  },
  {
    name: 'SegmentNotFolded',
    focus: 'copyMadeByFence',
    rule: 'idempotence',
    what: 'a new leader leaves out segments of which no copy has the state of the producers',
    foundBy: ['ProducerKnown', 'ProducerOrder'],
    seeds: 60,
    knownSeed: 10,
    changes: [
      {
        file: 'node/controller/producerLoader.ts',
        find: 'for (const previous of unfolded.reverse()) await this.#fold(previous, states);',
        replace: '',
      },
    ],
  },
  {
    name: 'RetryUnderNewId',
    rule: 'client',
    what: 'a producer of the client library sends again under another producer id',
    foundBy: ['ProducerOrder'],
    seeds: 20,
    changes: [
      {
        file: 'protocol/producerPipeline.ts',
        find: 'if (this.#mustRenew) this.#renew();',
        replace: "if (this.#mustRenew || this.#state === 'Settling') this.#renew();",
      },
      {
        file: 'protocol/producerPipeline.ts',
        find: 'if (entry.isInDoubt) this.#settle(entry, this.#timedOut(entry), null);',
        replace: '',
      },
    ],
  },
];

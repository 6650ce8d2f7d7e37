/**
 * Planted bugs: each breaks one rule of the design, to show that the simulator finds it. They are changes of the
 * source text, made while the module is loaded (`--bug NAME`): production code holds no switch for them. A text
 * that is not found exactly once fails, so that a bug cannot quietly stop being one.
 */

import type { ScenarioKind } from './scenarios.ts';

export interface SourceChange {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface PlantedBug {
  readonly name: string;
  /** Of DESIGN section 2, or of the Raft paper. */
  readonly rule: string;
  readonly what: string;
  readonly changes: readonly SourceChange[];
  /** The scenario that aims at the rule; undefined: any run will do. */
  readonly focus?: ScenarioKind;
  /** Seeds 1..seeds find it. */
  readonly seeds: number;
}

const LEADER = 'node/replication/segmentLeader.ts';
const HOST = 'node/replication/replicaHost.ts';
const RECOVERY = 'node/controller/recovery.ts';

const MANAGER = 'node/controller/segmentManager.ts';

/** Barriers that safety does not rest on: the clock of the lease, and what a member's metadata happens to say. */
const WITHOUT_LEASE: SourceChange = {
  file: MANAGER,
  find: 'return session.isFresh && current !== undefined && this.#isMine(current);',
  replace: 'return session !== undefined && (current === undefined || true);',
};
/** The property that then does not hold, of course, and would be found first. */
const LEASE_NOT_CHECKED: SourceChange = {
  file: 'node/sim/checkers/leaseHeld.ts',
  find: 'if (outcome !== null && !session.isFresh) {',
  replace: 'if (outcome !== null && nodeId < 0) {',
};
const WITHOUT_METADATA_CHECK: SourceChange = {
  file: HOST,
  find: "if (segment.state !== 'OPEN') return 'FENCED';",
  replace: '',
};

export const PLANTED_BUGS: readonly PlantedBug[] = [
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
    name: 'FenceNotDurable',
    focus: 'zombieAndPowerFailure',
    rule: 'R2',
    what: 'a member answers a fence that a crash may undo',
    seeds: 400,
    changes: [
      {
        file: 'node/storage/replica.ts',
        find: "this.#context.catalog.append({ kind: 'FENCE', segmentId: record.segmentId, epoch });",
        replace: '',
      },
      WITHOUT_LEASE,
      LEASE_NOT_CHECKED,
      WITHOUT_METADATA_CHECK,
    ],
  },
  {
    name: 'TailBeforeFence',
    focus: 'zombie',
    rule: 'R2',
    what: 'a member reports its tail, and is fenced a little later',
    seeds: 200,
    changes: [
      {
        file: HOST,
        find: 'replica.fence(epoch, (error, tail) => {',
        replace:
          "const early = { tail: replica.tail, digest: replica.digestAt(replica.tail) ?? '' };\n" +
          '      done(null, early);\n' +
          '      this.#options.clock.setTimer(300, () => replica.fence(epoch, () => undefined));\n' +
          '      if (epoch < 0) replica.fence(epoch, (error, tail) => {',
      },
      WITHOUT_LEASE,
      LEASE_NOT_CHECKED,
      WITHOUT_METADATA_CHECK,
    ],
  },
  {
    name: 'MinimumTail',
    focus: 'lagAndLose',
    rule: 'R4',
    what: 'the end is the lowest reported tail',
    seeds: 40,
    changes: [
      {
        file: RECOVERY,
        find: '(next.tail > best.tail ? next : best)',
        replace: '(next.tail < best.tail ? next : best)',
      },
      {
        file: RECOVERY,
        find: 'evidence.filter(({ tail }) => tail === source.tail)',
        replace: 'evidence.filter(({ tail }) => tail >= source.tail)',
      },
    ],
  },
  {
    name: 'OneAnswerIsEnough',
    focus: 'lagAndLose',
    rule: 'R3',
    what: 'a recovery goes on with fewer than F answers',
    seeds: 100,
    changes: [
      {
        file: RECOVERY,
        find: 'return segment.ensemble.length - segment.ackQuorum + 1;',
        replace: 'return segment.segmentId > 0 ? 1 : 0;',
      },
    ],
  },
  {
    name: 'AckAfterFreeze',
    focus: 'closeWithoutMembers',
    rule: 'close',
    what: 'a leader goes on acknowledging after it has proposed its end',
    seeds: 200,
    changes: [
      {
        file: LEADER,
        find: "    if (this.#state === 'Frozen' || this.#state === 'Ended') return;\n    const reached",
        replace: "    if (this.#state === 'Ended') return;\n    const reached",
      },
      {
        file: LEADER,
        find: "if (this.#state === 'Frozen' || this.#state === 'Ended' || !this.#options.isLeaseHeld()) return;",
        replace: "if (this.#state === 'Ended') return;",
      },
    ],
  },
  {
    name: 'ReadsPastCommitted',
    rule: 'W5',
    what: 'a member gives what it has, committed or not',
    seeds: 100,
    changes: [
      {
        file: HOST,
        find: 'const bound = segment.endOffset ?? hosted.committedOffset;',
        replace: 'const bound = segment.endOffset ?? hosted.replica.tail;',
      },
    ],
  },
  {
    name: 'ReadsPastTheEnd',
    rule: 'S1',
    what: 'a member of a sealed segment gives what it has beyond the end',
    seeds: 200,
    changes: [
      {
        file: HOST,
        find: 'const bound = segment.endOffset ?? hosted.committedOffset;',
        replace:
          'const bound = segment.endOffset === null ? hosted.committedOffset : hosted.replica.tail;',
      },
    ],
  },
  {
    name: 'SealWithoutCompareAndSet',
    rule: 'R6',
    what: 'a seal is applied whatever the state of its segment is',
    seeds: 200,
    changes: [
      {
        file: 'node/state/handlers/sealAndOpen.ts',
        find: "if (segment.state === 'SEALED') return repeated(state, segment, command);",
        replace: 'if (segment.epoch < 0) return repeated(state, segment, command);',
      },
      {
        file: 'node/state/handlers/sealAndOpen.ts',
        find: 'segment.state === expected.state &&',
        replace: 'true || segment.state === expected.state &&',
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
  {
    name: 'CopyToFewer',
    focus: 'loseAfterSeal',
    rule: 'R5',
    what: 'a segment is sealed although fewer than W disks hold it',
    seeds: 400,
    changes: [
      {
        file: RECOVERY,
        find: '    if (holders.length < segment.ackQuorum) {',
        replace: '    if (holders.length < 1) {',
      },
      {
        file: RECOVERY,
        find: 'for (const { place, tail } of behind.sort((a, b) => b.tail - a.tail)) {',
        replace: 'for (const { place, tail } of [...behind].slice(0, 0)) {',
      },
      {
        file: RECOVERY,
        find: 'for (const place of this.#freshFor(segment)) {',
        replace: 'for (const place of this.#freshFor(segment).slice(0, 0)) {',
      },
      {
        file: 'node/state/handlers/sealAndOpen.ts',
        find: 'if (count >= segment.ackQuorum) return null;',
        replace: 'if (count >= 0) return null;',
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
    name: 'VoteNotPersisted',
    focus: 'electionStorm',
    rule: 'Raft, Figure 2',
    what: 'a server that restarts has forgotten its vote',
    seeds: 400,
    changes: [
      {
        file: 'node/raft/log/recovery.ts',
        find: "votedFor: votedFor === '' ? null : (votedFor as ServerId),",
        replace: 'votedFor: null,',
      },
      {
        file: 'node/raft/log/recovery.ts',
        find: 'state.hardState = { currentTerm, votedFor };',
        replace: 'state.hardState = { currentTerm, votedFor: null };',
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
    name: 'AmnesiacEvidence',
    focus: 'lagAndLose',
    rule: 'I3, R3',
    what: 'an empty disk in the place of a lost member answers a fence, and counts',
    seeds: 400,
    changes: [
      { file: RECOVERY, find: 'if (answer.diskId !== place.diskId) return null;', replace: '' },
      {
        file: RECOVERY,
        find: 'return { place, tail: answer.tail, digest: answer.digest };',
        replace:
          'return { place: { ...place, diskId: answer.diskId }, tail: answer.tail, digest: answer.digest };',
      },
      {
        file: RECOVERY,
        find: "if (node?.diskId !== place.diskId || disks.get(place.diskId)?.state !== 'REGISTERED')",
        replace: 'if (node === undefined || disks.size === 0)',
      },
      {
        file: 'node/controller/replicaService.ts',
        find: 'if (diskId !== this.#host.diskId) {',
        replace: "if (diskId === '') {",
      },
      {
        file: 'node/controller/replicaService.ts',
        find: 'if (!segment.ensemble.some((place) => place.diskId === this.#host.diskId)) {',
        replace: 'if (segment.ensemble.length === 0) {',
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
    name: 'UnknownDeleted',
    focus: 'restartStorm',
    rule: 'S3',
    what: 'a node deletes copies that its metadata does not know',
    seeds: 60,
    changes: [
      {
        file: 'node/controller/deletion.ts',
        find: 'if (!this.#isStarted || this.#isRunning || this.#isStopped) return;',
        replace:
          'for (const id of this.quarantined()) this.#options.host.delete(id);\n' +
          '    if (!this.#isStarted || this.#isRunning || this.#isStopped) return;',
      },
    ],
  },
];

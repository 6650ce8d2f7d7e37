/** Planted bugs of how a segment ends (DESIGN close, R1-R6): fences, evidence, copies, the seal. */
import {
  LOSS,
  COPIES,
  EVIDENCE,
  LEADER,
  HOST,
  RECOVERY,
  WITHOUT_LEASE,
  LEASE_NOT_CHECKED,
  MANAGER,
  WITHOUT_METADATA_CHECK,
  WITHOUT_SEAL_ASSERTION,
} from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const CLOSING_BUGS: readonly PlantedBug[] = [
  {
    name: 'FenceNotDurable',
    focus: 'zombieAndPowerFailure',
    rule: 'R2',
    what: 'a member answers a fence that a crash may undo',
    foundBy: LOSS,
    seeds: 40,
    changes: [
      {
        file: 'node/storage/replica.ts',
        find: "this.#context.catalog.append({ kind: 'FENCE', segmentId: record.segmentId, epoch });",
        replace: '',
      },
      WITHOUT_LEASE,
      LEASE_NOT_CHECKED,
      WITHOUT_METADATA_CHECK,
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'TailBeforeFence',
    focus: 'zombie',
    rule: 'R2',
    what: 'a member reports its tail, and is fenced a little later',
    foundBy: LOSS,
    seeds: 60,
    changes: [
      {
        file: HOST,
        find: 'replica.fence(epoch, (error, tail) => {',
        replace:
          "const early = { tail: replica.tail, digest: replica.digestAt(replica.tail) ?? '' };\n" +
          '      done(null, early);\n' +
          '      this.#options.clock.setTimer(300, () => {\n' +
          '        try { replica.fence(epoch, () => undefined); } catch { /* deleted meanwhile */ }\n' +
          '      });\n' +
          '      if (epoch < 0) replica.fence(epoch, (error, tail) => {',
      },
      WITHOUT_LEASE,
      LEASE_NOT_CHECKED,
      WITHOUT_METADATA_CHECK,
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'MinimumTail',
    focus: 'lagAndLose',
    rule: 'R4',
    what: 'the end is the lowest reported tail',
    foundBy: LOSS,
    seeds: 20,
    changes: [
      {
        file: EVIDENCE,
        find: '(next.tail > best.tail ? next : best)',
        replace: '(next.tail < best.tail ? next : best)',
      },
      {
        file: COPIES,
        find: '.filter(({ tail, digest }) => tail === end.tail && digest === end.digest)',
        replace: '.filter(({ tail }) => tail >= end.tail)',
      },
    ],
  },
  {
    name: 'OneAnswerIsEnough',
    focus: 'lagAndLose',
    rule: 'R3',
    what: 'a recovery goes on with fewer than F answers',
    foundBy: LOSS,
    seeds: 40,
    changes: [
      {
        file: EVIDENCE,
        find: 'return segment.ensemble.length - segment.ackQuorum + 1;',
        replace: 'return segment.segmentId > 0 ? 1 : 0;',
      },
    ],
  },
  {
    name: 'CopyToFewer',
    focus: 'lonelyTail',
    rule: 'R5',
    what: 'a segment is sealed although fewer than W disks hold it',
    foundBy: LOSS,
    seeds: 60,
    knownSeed: 26,
    changes: [
      {
        file: COPIES,
        find: 'if (holders.length >= segment.ackQuorum) return holders;',
        replace: 'if (holders.length >= 1) return holders;',
      },
      {
        file: COPIES,
        find: 'for (const { place, tail } of behind.sort((a, b) => b.tail - a.tail)) {',
        replace: 'for (const { place, tail } of [...behind].slice(0, 0)) {',
      },
      {
        file: COPIES,
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
    name: 'AmnesiacEvidence',
    focus: 'emptyWitness',
    rule: 'I3, R3',
    what: 'an empty disk in the place of a lost member answers a fence, and counts',
    foundBy: LOSS,
    seeds: 40,
    changes: [
      { file: RECOVERY, find: 'if (answer.diskId !== place.diskId) return null;', replace: '' },
      {
        file: RECOVERY,
        find: 'return { place, tail: answer.tail, digest: answer.digest };',
        replace:
          'return { place: { ...place, diskId: answer.diskId }, tail: answer.tail, digest: answer.digest };',
      },
      {
        file: 'node/state/queries.ts',
        find: "if (node?.diskId !== diskId || disks.get(diskId)?.state !== 'REGISTERED') return null;",
        replace: 'if (node === undefined || disks.size === 0) return null;',
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
    name: 'AckAfterFreeze',
    focus: 'closeWithoutMembers',
    rule: 'close',
    what: 'a leader goes on acknowledging after it has proposed its end',
    foundBy: LOSS,
    seeds: 60,
    knownSeed: 13,
    changes: [
      {
        file: LEADER,
        find: "    if (this.#state === 'Frozen' || this.#state === 'Ended') return;\n    const reached",
        replace: "    if (this.#state === 'Ended') return;\n    const reached",
      },
      {
        file: LEADER,
        find: "if (this.#state === 'Frozen' || this.#state === 'Ended' || !this.#options.isLeaseHeld()) return;",
        replace: "if (this.#state === 'Ended' || !this.#options.isLeaseHeld()) return;",
      },
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'SealWithoutCompareAndSet',
    focus: 'rivalRecoveries',
    rule: 'R6',
    what: 'a seal is applied whatever the state of its segment is',
    foundBy: LOSS,
    seeds: 40,
    knownSeed: 10,
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
      {
        file: 'node/state/handlers/sealAndOpen.ts',
        find: 'state.partitionOf(segment).segments.at(-1) === segment.segmentId,',
        replace: 'true,',
      },
      {
        file: 'node/state/transitions.ts',
        find: 'if (RANK[before.state] >= RANK.SEALED) assertSealedStays(before, after);',
        replace: 'if (RANK[before.state] >= RANK.SEALED) return;',
      },
      {
        file: 'node/state/invariants.ts',
        find: 'if (segment !== undefined) assertSegment(state, segment);',
        replace: '',
      },
      WITHOUT_SEAL_ASSERTION,
    ],
  },
  {
    name: 'OpenNotRetried',
    focus: 'fullDisks',
    rule: 'progress',
    what: 'a leader that could not open its segment does not try again, and nobody hears of it',
    foundBy: ['Progress'],
    seeds: 40,
    knownSeed: 10,
    changes: [
      {
        file: MANAGER,
        find: 'this.#options.clock.setTimer(OPEN_RETRY_MS, () => {',
        replace: 'if (segmentId < 0) this.#options.clock.setTimer(OPEN_RETRY_MS, () => {',
      },
      {
        file: 'node/controller/nodeReport.ts',
        find: 'unledSegmentIds: segments.takeUnledSegmentIds(),',
        replace: 'unledSegmentIds: [],',
      },
    ],
  },
];

/** Planted bugs of the metadata: the Raft log, and what nodes conclude from it. */
import { LOSS } from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const METADATA_BUGS: readonly PlantedBug[] = [
  {
    name: 'VoteNotPersisted',
    focus: 'forgottenVote',
    rule: 'Raft, Figure 2',
    what: 'a server that restarts has forgotten its vote',
    foundBy: ['ElectionSafety', 'StateMachineSafety'],
    seeds: 60,
    knownSeed: 7,
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
    name: 'LivingVoterDemoted',
    focus: 'changeVoters',
    rule: 'thesis, 4.1',
    what: 'of too many voters any is demoted, also one that is up while others are dead',
    foundBy: ['Progress'],
    seeds: 30,
    knownSeed: 4,
    changes: [
      {
        file: 'node/controller/membership.ts',
        find: 'const chosen = doubtful[0] ?? others.at(-1);',
        replace: 'const chosen = others.at(-1);',
      },
      {
        file: 'node/controller/membership.ts',
        find: "return upCount < majority(others.length) ? null : { type: 'DemoteVoter', id: chosen.id };",
        replace: "return { type: 'DemoteVoter', id: chosen.id };",
      },
    ],
  },
  {
    name: 'UnknownDeleted',
    focus: 'restartStorm',
    rule: 'S3',
    what: 'a node deletes copies that its metadata does not know',
    foundBy: LOSS,
    seeds: 40,
    changes: [
      {
        file: 'node/controller/deletion.ts',
        find: 'if (!this.#isStarted || this.#isRunning || this.#isStopped) return;',
        replace:
          'const known = this.#options.metadata.metadata.segments;\n' +
          'const unknown = this.#options.host.segmentIds().filter((id) => !known.has(id));\n' +
          'for (const id of unknown) this.#options.host.delete(id);\n' +
          '    if (!this.#isStarted || this.#isRunning || this.#isStopped) return;',
      },
    ],
  },
];

/** Planted bugs of admission: what a disk that has lost something may do (ADR 0011, 0121). */
import type { SourceChange } from '../../../base/testing/plant.ts';
import type { PlantedBug } from './types.ts';

const ADMISSION = 'node/bootAdmission.ts';

/** The metadata refuse as well, when a member has applied the later start: a second line, which is taken away here. */
const WITHOUT_METADATA: SourceChange = {
  file: ADMISSION,
  find: 'if (disk === undefined) return undefined;',
  replace: 'if (disk === undefined || disk.bootEpoch > 0) return undefined;',
};

/** Who has forgotten its word and gives another one is admitted, elects two leaders, or commits two commands in one place. */
const TWO_WORDS: PlantedBug['foundBy'] = [
  'RuinedDiskRefused',
  'ElectionSafety',
  'StateMachineSafety',
];

export const ADMISSION_BUGS: readonly PlantedBug[] = [
  {
    name: 'PromiseBeforeAdmission',
    focus: 'putBackVoter',
    rule: 'I2',
    what: 'a server votes and acknowledges before its start is admitted',
    foundBy: TWO_WORDS,
    seeds: 20,
    knownSeed: 2,
    changes: [
      {
        file: 'node/raft/send.ts',
        find: "if (!raft.isAdmitted && message.type !== 'ReadIndexRequest') return;",
        replace: '',
      },
      {
        file: 'node/raft/recv/requestVote.ts',
        find: 'if (!raft.isAdmitted) return; // not even a vote that nobody hears of',
        replace: '',
      },
    ],
  },
  {
    name: 'EpochRisesWithEachAttempt',
    focus: 'putBackVoter',
    rule: 'I2',
    what: 'a start that was refused counts up, until it is believed',
    foundBy: TWO_WORDS,
    seeds: 20,
    knownSeed: 2,
    changes: [
      {
        file: 'node/raft/boot/boot.ts',
        find: 'if (last?.isAdmitted === false) return last;',
        replace: '',
      },
      WITHOUT_METADATA,
    ],
  },
  {
    name: 'CountsByOwnConfiguration',
    focus: 'promotedUnaware',
    rule: 'I2',
    what: 'a start is counted by the configuration of its own log, although an answer has shown a newer one',
    foundBy: ['Progress'],
    seeds: 20,
    knownSeed: 1,
    changes: [
      {
        file: 'node/raft/boot/admission.ts',
        find: 'if (isNewerConfiguration(configuration, newest) && !this.#isAlone(configuration))',
        replace:
          'if (own.index === 0 && isNewerConfiguration(configuration, newest) && !this.#isAlone(configuration))',
      },
    ],
  },
  {
    name: 'AmnesiacDiskVotes',
    focus: 'emptyVoter',
    rule: 'I3',
    what: 'a voter whose Raft log was emptied takes itself for a new server, and votes',
    foundBy: TWO_WORDS,
    seeds: 20,
    knownSeed: 1,
    changes: [
      {
        file: 'node/raft/driver/openLog.ts',
        find: 'if (isEmpty && hasHistory) throw emptied(options.directory);',
        replace: '',
      },
      {
        file: 'node/raft/boot/admission.ts',
        find: "if (voters.length === 0) return { type: 'Waiting' };",
        replace: "if (voters.length === 0) return { type: 'Admitted' };",
      },
    ],
  },
];

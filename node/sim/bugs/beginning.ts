/** Planted bugs of how a cluster begins by the operator's word (ADR 0150). */
import type { PlantedBug } from './types.ts';

const PREPARATION = 'node/diskPreparation.ts';

export const BEGINNING_BUGS: readonly PlantedBug[] = [
  {
    name: 'BeginOnAnyDisk',
    focus: 'beginByOperator',
    rule: 'I1',
    what: 'a node begins the cluster on another disk than the one that was to',
    foundBy: ['OneCluster', 'ElectionSafety'],
    seeds: 40,
    knownSeed: 2,
    changes: [
      {
        file: PREPARATION,
        find: 'if (identity.diskId !== diskId) {',
        replace: "if (diskId === '') {",
      },
    ],
  },
  {
    name: 'BeginWithoutMark',
    focus: 'beginByOperator',
    rule: 'I1',
    what: 'a node that is told to begin the cluster does not note it, and after a crash it waits for others to do so',
    foundBy: ['Progress'],
    seeds: 40,
    knownSeed: 2,
    changes: [
      {
        file: PREPARATION,
        find: "if (state === 'Begun') this.#mark(CREATOR_FILE);",
        replace: '',
      },
    ],
  },
];

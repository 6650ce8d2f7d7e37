/** Planted bugs of the rules about damaged copies. */
import { LOSS, HOST } from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const DAMAGE_BUGS: readonly PlantedBug[] = [
  {
    name: 'DamagedCopyIsEvidence',
    focus: 'rotAndLose',
    rule: 'D1, R3',
    what: 'a member with a damaged copy reports the end of the good part as its tail',
    foundBy: LOSS,
    seeds: 40,
    changes: [
      {
        file: HOST,
        find: 'if (known !== undefined && known.damage !== null) {',
        replace: 'if (known !== undefined && known.damage !== null && epoch < 0) {',
      },
      {
        file: 'node/storage/replica.ts',
        find: 'const problem = error ?? this.damage;',
        replace: 'const problem = error;',
      },
    ],
  },
  {
    name: 'SyncedByRestart',
    focus: 'failedSync',
    rule: 'W3',
    what: 'a start only syncs what it finds: what a failed sync has left in the page cache counts as durable',
    foundBy: LOSS,
    seeds: 20,
    knownSeed: 1,
    changes: [
      {
        file: 'node/storage/recovery.ts',
        find: 'const problem = options.rewrites ? rewriteUnproven(tools, walk) : null;',
        replace:
          'const problem = options.rewrites && walk.proven < 0 ? rewriteUnproven(tools, walk) : null;',
      },
    ],
  },
  {
    name: 'RepairWithoutDigest',
    focus: 'rotEveryCopy',
    rule: 'D1, S2',
    what: 'a new copy takes the place of the damaged one with what could be got, whatever its end and digest are',
    foundBy: [...LOSS, 'CopiesWhole'],
    seeds: 40,
    changes: [
      {
        file: 'node/controller/segmentCopier.ts',
        find: 'throw unreadable(segment, from);',
        replace: "{ if (unreadable(segment, from).code !== 'OVERLOADED') return; }",
      },
      {
        file: 'node/storage/rebuild.ts',
        find: 'if (this.#log.tail !== sealed.tail || digest !== sealed.digest) {',
        replace: "if (this.#log.tail < 0 || digest === '') {",
      },
    ],
  },
];

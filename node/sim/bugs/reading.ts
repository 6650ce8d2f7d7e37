/** Planted bugs of reading: what is given to readers, and where they go on (DESIGN 1.3, S1). */
import { HOST } from './barriers.ts';
import type { PlantedBug } from './types.ts';

export const READING_BUGS: readonly PlantedBug[] = [
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
];

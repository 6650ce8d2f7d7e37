import { describe, expect, test } from '@jest/globals';
import type { Bugs } from './bugs.ts';
import { randomRun } from './testing/randomRun.ts';

const STEPS = 1500;

describe('A cluster under random faults', () => {
  test('keeps every property, makes progress when they end, and gets somewhere', () => {
    let committed = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
      const { violation, commitIndex } = randomRun({ seed, steps: STEPS });
      expect({ seed, violation }).toEqual({ seed, violation: null });
      committed += commitIndex;
    }
    expect(committed).toBeGreaterThan(120 * 20);
  });

  test('does the same for the same seed', () => {
    expect(randomRun({ seed: 7, steps: STEPS })).toEqual(randomRun({ seed: 7, steps: STEPS }));
  });
});

/** Each rule, switched off, and the number of seeds within which a checker must notice. */
const BUGS: [keyof Bugs, number][] = [
  ['voteNotPersisted', 300],
  ['commitOlderTerm', 300],
  ['learnerCounted', 300],
  ['concurrentMembershipChanges', 300],
  ['ackBeforePersisted', 300],
  ['ackUnmatched', 300],
  ['readWithoutQuorum', 300],
  ['voteForStaleLog', 300],
  ['commitBeyondMatch', 300],
];

describe('A planted bug is found', () => {
  test.each(BUGS)('%s within %i seeds', (bug, seedsMax) => {
    const properties = new Set<string>();
    let found: number | null = null;
    for (let seed = 1; seed <= seedsMax && found === null; seed += 1) {
      const { property } = randomRun({
        seed,
        steps: STEPS,
        bugs: { [bug]: true },
        requireProgress: false,
      });
      if (property === null) continue;
      properties.add(property);
      found = seed;
    }
    expect(found).not.toBeNull();
  });
});

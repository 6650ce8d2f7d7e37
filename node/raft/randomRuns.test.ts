import { describe, expect, test } from '@jest/globals';
import { logIndex, term } from '../../base/units.ts';
import type { Bugs } from './bugs.ts';
import { leaderAppendOnly } from './testing/checkers/leaderAppendOnly.ts';
import { randomRun } from './testing/randomRun.ts';
import type { RunKind } from './testing/randomRun.ts';
import { memberOf } from './testing/simCluster.ts';
import type { StepView } from './testing/simCluster.ts';

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

/** Each rule, switched off; the kind of run; the seeds within which a checker must notice; which one does. */
const BUGS: [keyof Bugs, RunKind, number, string][] = [
  ['voteNotPersisted', 'Churn', 100, 'ElectionSafety'],
  ['commitOlderTerm', 'Isolation', 100, 'LeaderCompleteness'],
  ['learnerCounted', 'Isolation', 20, 'CommittedIsDurable'],
  ['concurrentMembershipChanges', 'Isolation', 40, 'LeaderCompleteness'],
  ['ackBeforePersisted', 'Steady', 10, 'CommittedIsDurable'],
  ['ackUnmatched', 'Churn', 20, 'CommittedIsDurable'],
  ['readWithoutQuorum', 'Isolation', 50, 'ReadsAreLinearizable'],
  ['voteForStaleLog', 'Churn', 20, 'LeaderCompleteness'],
  ['commitBeyondMatch', 'Churn', 20, 'StateMachineSafety'],
  ['prevTermNotCompared', 'Churn', 20, 'LogMatching'],
];

describe('A planted bug is found', () => {
  test.each(BUGS)('%s in %s runs within %i seeds, by %s', (bug, kind, seedsMax, wanted) => {
    let found: string | null = null;
    for (let seed = 1; seed <= seedsMax && found === null; seed += 1) {
      const bugs = { [bug]: true };
      found = randomRun({ seed, kind, steps: STEPS, bugs, requireProgress: false }).property;
    }
    expect(found).toBe(wanted);
  });
});

test('Leader Append-Only is checked: a leader that writes below its end is noticed', () => {
  // No rule can be switched off for it: only followers have code that removes entries, and it asserts that.
  const { id } = memberOf(1);
  const lead = (currentTerm: number, prevIndex: number): (() => void) => {
    const state = { role: 'Leader', currentTerm: term(3), lastIndex: logIndex(7) };
    const output = { writes: [{ writeId: 1, prevIndex: logIndex(prevIndex), entries: [] }] };
    const raft = { id, role: 'Leader', currentTerm: term(currentTerm) };
    // The check looks at nothing else of a step.
    const view = { raft, output, before: state } as unknown as StepView;
    return () => leaderAppendOnly().onStep?.(view);
  };
  expect(lead(3, 7)).not.toThrow();
  expect(lead(4, 6)).not.toThrow();
  expect(lead(3, 6)).toThrow('LeaderAppendOnly: leader 1/d overwrites from 7 on');
});

import { expect, test } from '@jest/globals';
import { logIndex, term } from '../../base/units.ts';
import { idOf, memberOf } from '../raft/testing/simCluster.ts';
import type { RaftStatus } from '../raft/types.ts';
import { successorOf } from './membership.ts';

/** A leader 1 of the voters 1 to 4 and the learner 5. */
function statusOf(peers: readonly [number, number, boolean][]): RaftStatus {
  return {
    id: idOf(1),
    role: 'Leader',
    currentTerm: term(3),
    leaderId: idOf(1),
    commitIndex: logIndex(9),
    lastApplied: logIndex(9),
    lastIndex: logIndex(9),
    configuration: { voters: [1, 2, 3, 4].map(memberOf), learners: [memberOf(5)] },
    progress: peers.map(([number, matchIndex, isActive]) => {
      return { id: idOf(number), matchIndex: logIndex(matchIndex), isActive };
    }),
  };
}

test('successorOf() names the voter that is alive and has the most', () => {
  const peers: [number, number, boolean][] = [
    [2, 7, true],
    [3, 8, true],
    [4, 9, false],
    [5, 9, true],
  ];
  expect(successorOf(statusOf(peers))).toBe(idOf(3));
  expect(successorOf(statusOf(peers.slice(2)))).toBeNull();
});

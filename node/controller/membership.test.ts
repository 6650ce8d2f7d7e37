import { expect, test } from '@jest/globals';
import { logIndex, nodeId, term } from '../../base/units.ts';
import { idOf, memberOf } from '../raft/testing/simCluster.ts';
import { serverId } from '../raft/types.ts';
import type { Member, RaftStatus } from '../raft/types.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import { place, TestCluster } from '../state/testing/fixture.ts';
import { nextMembershipChange, successorOf } from './membership.ts';
import { Sessions } from './sessions.ts';

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
      return { id: idOf(number), matchIndex: logIndex(matchIndex), isActive, hasAnswered: true };
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

test('a lost voter is removed before its place is filled, so that a majority of those who live is enough', () => {
  const { state } = new TestCluster(4).ok({
    type: 'MarkDiskLost',
    diskId: place(2).diskId,
  });
  const sessions = new Sessions(new SimClock(new Scheduler(), new SimProcess(), { offsetMs: 0 }), {
    sessionTimeoutMs: 1000,
    silentTimeoutMs: 800,
  });
  for (const number of [1, 3, 4]) sessions.expect(nodeId(number));
  const [first, second, third, learner] = [1, 2, 3, 4].map((number): Member => {
    const { diskId } = place(number);
    return { id: serverId(nodeId(number), diskId), address: `node-${number}:6000` };
  }) as [Member, Member, Member, Member];
  const status: RaftStatus = {
    ...statusOf([]),
    id: first.id,
    leaderId: first.id,
    configuration: { voters: [first, second, third], learners: [learner] },
    progress: [{ id: learner.id, matchIndex: logIndex(9), isActive: true, hasAnswered: true }],
  };
  const removal = { type: 'RemoveServer', id: second.id };
  expect(nextMembershipChange(status, state, sessions)).toEqual(removal);
  const configuration = { voters: [first, third], learners: [learner] };
  const promotion = { type: 'PromoteLearner', id: learner.id };
  expect(nextMembershipChange({ ...status, configuration }, state, sessions)).toEqual(promotion);
});

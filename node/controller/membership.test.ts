import { describe, expect, test } from '@jest/globals';
import { logIndex, nodeId, term } from '../../base/units.ts';
import { idOf, memberOf } from '../raft/testing/simCluster.ts';
import { serverId } from '../raft/types.ts';
import type { Member, RaftStatus } from '../raft/types.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimClock, SimProcess } from '../sim/simProcess.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { CONFIG, place, TestCluster } from '../state/testing/fixture.ts';
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

/** Sessions in which these nodes were just heard of. */
function sessionsOf(...numbers: readonly number[]): Sessions {
  const clock = new SimClock(new Scheduler(), new SimProcess(), { offsetMs: 0 });
  const sessions = new Sessions(clock, { sessionTimeoutMs: 1000, silentTimeoutMs: 800 });
  for (const number of numbers) sessions.expect(nodeId(number));
  return sessions;
}

function placed(number: number): Member {
  const { diskId } = place(number);
  return { id: serverId(nodeId(number), diskId), address: `node-${number}:6000` };
}

test('a lost voter is removed before its place is filled, so that a majority of those who live is enough', () => {
  const { state } = new TestCluster(4).ok({
    type: 'MarkDiskLost',
    diskId: place(2).diskId,
  });
  const sessions = sessionsOf(1, 3, 4);
  const [first, second, third, learner] = [1, 2, 3, 4].map(placed) as [
    ...[Member, Member, Member, Member],
  ];
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

describe('with fewer voters wanted, nextMembershipChange()', () => {
  const [FIRST, LEADER, LAST] = [1, 2, 5];

  interface Heard {
    readonly answered: readonly number[];
    readonly alive?: readonly number[];
    readonly behind?: readonly number[];
  }

  /** What node 2, which leads five voters of which three are wanted, changes next: [kind, node]. */
  function next({ answered, alive = [1, 2, 3, 4, 5], behind = [] }: Heard, wanted = 3): unknown {
    const { state } = new TestCluster(5).ok({
      type: 'SetConfig',
      config: { ...CONFIG, metadataVoters: wanted },
    }) as { state: IndexedMetadata };
    const numbers = [FIRST, LEADER, 3, 4, LAST];
    const status: RaftStatus = {
      ...statusOf([]),
      id: placed(LEADER).id,
      leaderId: placed(LEADER).id,
      lastIndex: logIndex(1000),
      configuration: { voters: numbers.map(placed), learners: [] },
      progress: numbers
        .filter((number) => number !== LEADER)
        .map((number) => ({
          id: placed(number).id,
          matchIndex: logIndex(behind.includes(number) ? 800 : 990),
          isActive: true,
          hasAnswered: answered.includes(number),
        })),
    };
    const change = nextMembershipChange(status, state, sessionsOf(...alive));
    if (change?.type !== 'DemoteVoter') return change;
    return numbers.find((number) => placed(number).id === change.id);
  }

  test('demotes the last one of those that are up, and nobody when there are as many as wanted', () => {
    expect(next({ answered: [1, 3, 4, 5] })).toBe(LAST);
    expect(next({ answered: [1, 3, 4, 5] }, 5)).toBeNull();
  });

  test('rather demotes one that is down, that has not answered this leader, or that is behind', () => {
    expect(next({ answered: [1, 3, 4, 5], alive: [2, 3, 4, 5] })).toBe(FIRST);
    expect(next({ answered: [3, 4, 5] })).toBe(FIRST);
    expect(next({ answered: [1, 3, 4, 5], behind: [3] })).toBe(3);
    expect(next({ answered: [1, 3] })).toBe(4);
  });

  test('demotes nobody while those that are known to be up would be no majority of the rest', () => {
    expect(next({ answered: [3] })).toBeNull();
  });
});

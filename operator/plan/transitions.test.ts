import { describe, expect, test } from '@jest/globals';
import { transitions } from './transitions.ts';

type Status = Parameters<typeof transitions>[1];

const CALM: Status = { nodes: [], conditions: [], targetVersion: '1' };

function members(...ids: readonly number[]): Status {
  const nodes = [1, 2, 3].map((nodeId) => ({
    nodeId,
    pod: `sea-${nodeId}`,
    ready: true,
    ...(ids.includes(nodeId) ? { role: 'Voter' } : {}),
  }));
  return { ...CALM, nodes };
}

function busy(kind: string, step = 'a step'): Status {
  return { ...CALM, operation: { kind, step, startedAt: '' } };
}

function condition(type: string, status: 'True' | 'False', reason: string): Status {
  const times = { observedGeneration: 1, lastTransitionTime: '' };
  return { ...CALM, conditions: [{ type, status, reason, message: 'why', ...times }] };
}

const READY = condition('Ready', 'True', 'AllNodesServe');

function blocked(reason: string, type = 'UpgradeBlocked'): Status {
  return condition(type, type === 'UpgradeBlocked' ? 'True' : 'False', reason);
}

function reasons(last: Status | undefined, next: Status): readonly string[] {
  return transitions(last, next).map(({ type, reason }) => `${type} ${reason}`);
}

describe('transitions()', () => {
  test('tells of nodes that join, and not of those that can be asked again', () => {
    expect(reasons(members(1), members(1, 2, 3))).toEqual([
      'Normal NodeJoined',
      'Normal NodeJoined',
    ]);
    expect(reasons(members(), members(1, 2, 3))).toEqual([]);
    expect(reasons(members(1, 2, 3), members(1, 2, 3))).toEqual([]);
  });

  test('tells when a roll begins and ends, once each', () => {
    expect(reasons(CALM, busy('Roll'))).toEqual(['Normal RollStarted']);
    expect(reasons(busy('Roll'), busy('Roll', 'another'))).toEqual([]);
    expect(reasons(busy('Roll'), READY)).toEqual(['Normal RollFinished']);
    expect(reasons(busy('Roll'), condition('Ready', 'False', 'Paused'))).toEqual([]);
  });

  test('tells of nodes that are down and are back, but for the one that a roll restarts', () => {
    const down = condition('Degraded', 'True', 'NodesDown');
    const whole = condition('Degraded', 'False', 'AsWanted');
    expect(reasons(whole, down)).toEqual(['Warning NodesDown']);
    expect(reasons(down, down)).toEqual([]);
    expect(reasons(down, whole)).toEqual(['Normal Recovered']);
    const rolling = { ...busy('Roll'), conditions: down.conditions };
    expect(reasons(busy('Roll'), rolling)).toEqual([]);
    const beginning = { ...busy('Bootstrap'), conditions: down.conditions };
    expect(reasons(CALM, beginning)).toEqual([]);
    expect(reasons(beginning, whole)).toEqual([]);
    const done = { ...CALM, conditions: [...whole.conditions, ...READY.conditions] };
    expect(reasons(rolling, done)).toEqual(['Normal RollFinished']);
  });

  test('tells that the lost are back only of those that it had told of, and when none of them is down', () => {
    const down = condition('Degraded', 'True', 'NodesDown');
    const behind = condition('Degraded', 'True', 'UnderReplicated');
    const whole = condition('Degraded', 'False', 'AsWanted');
    const unknown = condition('Degraded', 'True', 'NodesUnreachable');
    const silent = {
      ...unknown,
      conditions: unknown.conditions.map((one) => ({ ...one, status: 'Unknown' as const })),
    };
    expect(reasons(down, behind)).toEqual(['Normal Recovered']);
    expect(reasons(behind, whole)).toEqual([]);
    expect(reasons(down, silent)).toEqual([]);
    expect(reasons(silent, whole)).toEqual([]);
    expect(reasons(undefined, whole)).toEqual([]);
    expect(reasons(down, CALM)).toEqual([]);
    expect(reasons(down, { ...busy('Roll'), conditions: down.conditions })).toEqual([
      'Normal RollStarted',
    ]);
  });

  test('tells what is refused, once for each reason', () => {
    expect(reasons(CALM, blocked('RestartRefused'))).toEqual(['Warning RestartRefused']);
    expect(reasons(blocked('RestartRefused'), blocked('RestartRefused'))).toEqual([]);
    expect(reasons(blocked('RestartRefused'), blocked('NewRevisionFails'))).toEqual([
      'Warning NewRevisionFails',
    ]);
    const refused = blocked('ScaleInNotSupported', 'ConfigurationValid');
    expect(reasons(undefined, refused)).toEqual(['Warning ScaleInNotSupported']);
  });

  test('a roll that is paused has not begun', () => {
    const { conditions } = blocked('StrategyPaused');
    expect(reasons(CALM, { ...busy('Roll'), conditions })).toEqual(['Warning StrategyPaused']);
  });
});

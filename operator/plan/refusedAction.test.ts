import { describe, expect, test } from '@jest/globals';
import { BUSY, withRefusal } from './refusedAction.ts';
import type { Step } from './step.ts';
import type { RiskyAction } from './types.ts';

type Restart = RiskyAction & { readonly type: 'RestartPod' };

const RESTART: Restart = {
  ...{ type: 'RestartPod', ordinal: 2, name: 'sea-2', uid: 'u', isGated: true },
  ...{ isWithinBudget: true, epoch: 1, why: 'a test' },
};

function step(risky: RiskyAction): Step {
  const operation = {
    kind: 'Roll',
    ordinal: 2,
    step: 'restarting sea-2',
    blockedBy: null,
  } as const;
  return { risky, operation, isLast: true };
}

describe('an action that was refused in the pass before', () => {
  const refused = { action: RESTART, reason: 'DisruptionBudget', message: 'no' };

  test('is tried again, and the roll waits for what refused it', () => {
    expect(withRefusal(step(RESTART), refused)).toMatchObject({
      risky: RESTART,
      operation: { blockedBy: 'DisruptionBudget: no' },
      findings: [{ type: 'UpgradeBlocked', reason: 'RestartRefused' }],
    });
  });

  test.each<[string, Restart, string]>([
    ['that mends a broken pod', { ...RESTART, isGated: false }, 'Refused'],
    ['for which there was no time', RESTART, BUSY],
  ])('blocks no upgrade when it is one %s', (_, action, reason) => {
    const told = withRefusal(step(action), { action, reason, message: 'no' });
    expect(told.operation?.blockedBy).toBe(`${reason}: no`);
    expect(told.findings).toBeUndefined();
  });

  test('says nothing of another action', () => {
    const other = step({ ...RESTART, uid: 'another' });
    expect(withRefusal(other, refused)).toBe(other);
  });

  test('fits into a status, however long the answer is', () => {
    const told = withRefusal(step(RESTART), { ...refused, message: 'n'.repeat(9999) });
    const texts = [told.operation?.blockedBy, told.findings?.[0]?.message];
    for (const text of texts) expect(text?.length).toBeLessThanOrEqual(1000);
  });
});

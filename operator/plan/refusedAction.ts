/** What was to be done in the pass before and was refused at the last moment: it is tried again, and people are told meanwhile. */
import type { Step } from './step.ts';
import type { RiskyAction } from './types.ts';

/** No answer of its own: a little later there is one. */
export const BUSY = 'Busy';

/** As a condition has it, with the step before it. */
const BLOCKED_BY_LENGTH_MAX = 700;

export interface RefusedAction {
  readonly action: RiskyAction;
  /** In one word: what a node said, `DisruptionBudget`, `Refused` (by the API server), or BUSY. */
  readonly reason: string;
  readonly message: string;
}

/** The same action again waits for what refused it. */
export function withRefusal(step: Step, refused: RefusedAction | null): Step {
  const { risky, operation, findings = [] } = step;
  if (refused === null || risky === undefined || operation === undefined) return step;
  if (!isSame(risky, refused.action)) return step;
  const blockedBy = `${refused.reason}: ${refused.message}`.slice(0, BLOCKED_BY_LENGTH_MAX);
  const waiting = { ...step, operation: { ...operation, blockedBy } };
  // One that mends a broken pod is no roll: what is said of a revision that fails stays said.
  const isOfRoll = risky.type === 'RestartPod' && risky.isGated;
  if (!isOfRoll || refused.reason === BUSY) return waiting;
  const message = `${risky.name} cannot be restarted now (${blockedBy})`;
  return {
    ...waiting,
    findings: [...findings, { type: 'UpgradeBlocked', reason: 'RestartRefused', message }],
  };
}

function isSame(a: RiskyAction, b: RiskyAction): boolean {
  if (a.type === 'RestartPod' && b.type === 'RestartPod') return a.uid === b.uid;
  return a.type === b.type;
}

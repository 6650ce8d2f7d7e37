/**
 * What to do next about one cluster. Pure: the same observation gives the same plan, and every plan is safe whatever
 * came before it, so that an operator may die between any two of its actions.
 */
import { assert } from '../../base/assert.ts';
import type { Desired } from '../desired/types.ts';
import type { Observed } from '../observe/types.ts';
import { bootstrap, identify, noteBegun } from './bootstrap.ts';
import { childWrites, foreignObjects } from './children.ts';
import { conditionsOf } from './conditions.ts';
import { tellOfMonitoring } from './monitoring.ts';
import { recover } from './recovery.ts';
import { withRefusal } from './refusedAction.ts';
import type { RefusedAction } from './refusedAction.ts';
import { roll, stillSaid } from './rolling.ts';
import { scale } from './scaling.ts';
import { situationOf } from './situation.ts';
import type { Situation } from './situation.ts';
import { MESSAGE_LENGTH_MAX, STEP_LENGTH_MAX } from './step.ts';
import type { Finding, Step } from './step.ts';
import type { Operation, Plan, Write } from './types.ts';
import { changeVoters } from './voters.ts';

export interface PlanInput {
  readonly desired: Desired;
  readonly observed: Observed;
  /** 32 random hex digits, for a cluster that has no id yet. */
  readonly newClusterId: string;
  /** What the API server has said to the writes of this pass. */
  readonly refusals?: readonly Finding[];
  /** Told, and holds up nothing. */
  readonly remarks?: readonly Finding[];
  /** Of the pass before: what it was to do, and what was said to that. */
  readonly refusedAction?: RefusedAction | null;
}

/** What recovers comes before what can block (DESIGN, the order of a pass). */
const STEPS: readonly ((situation: Situation) => Step | null)[] = [
  ...[noteBegun, bootstrap, recover, scale, roll],
  changeVoters,
];

/** Its children go with it, by their owner; its volumes by the policy of the StatefulSet. */
const DELETING: Step = {
  operation: { kind: 'Delete', ordinal: null, step: 'its objects go with it', blockedBy: null },
  isLast: true,
};

export function plan({
  desired,
  observed,
  newClusterId,
  refusals = [],
  remarks = [],
  refusedAction = null,
}: PlanInput): Plan {
  const writes = childWrites(desired, observed);
  const { metadata, spec } = observed.cluster;
  // Whatever of it is not applied while it is paused is not as the spec says.
  const missing = spec.paused ? writes : writes.filter(isOfTemplate);
  const situation = situationOf(observed, missing.length === 0);
  if (metadata.deletionTimestamp !== undefined) return planOf(situation, [DELETING]);
  if (spec.paused) return planOf(situation, []);
  const findings = foreignObjects(desired, observed);
  if (findings.length > 0) return planOf(situation, [{ findings, isLast: true }]);
  const identity = identify(situation, newClusterId);
  if (identity !== null) return planOf(situation, [identity]);
  const steps = [
    { findings: remarks, isLast: false },
    ...stepsOf(situation).map((step) => withRefusal(step, refusedAction)),
  ];
  if (refusals.length === 0) return planOf(situation, [{ writes, isLast: false }, ...steps]);
  return planOf(situation, [{ findings: refusals, isLast: false }, ...steps.map(withoutRisk)]);
}

/** What is to be done is looked at as ever; it waits until all children are as they should be. */
function withoutRisk(step: Step): Step {
  if (step.risky === undefined) return step;
  const { operation, findings, isLast } = step;
  return {
    ...(operation === undefined ? {} : { operation: { ...operation, blockedBy: 'Refused' } }),
    ...(findings === undefined ? {} : { findings }),
    isLast,
  };
}

function isOfTemplate(write: Write): boolean {
  return write.type === 'Apply' && write.object.kind === 'StatefulSet';
}

function stepsOf(situation: Situation): readonly Step[] {
  const steps: Step[] = [];
  for (const stepOf of STEPS) {
    const step = stepOf(situation);
    if (step === null) continue;
    steps.push(step);
    if (step.isLast) break;
  }
  return steps;
}

function planOf(situation: Situation, steps: readonly Step[]): Plan {
  const risky = steps.flatMap((step) => (step.risky === undefined ? [] : [step.risky]));
  assert(risky.length <= 1, 'one risky action in a pass');
  const findings = steps.flatMap((step) => step.findings ?? []);
  const told = steps.filter((step) => step.operation !== undefined);
  const operation = cut((told.find(({ isAside }) => isAside !== true) ?? told[0])?.operation);
  const delays = steps.flatMap(({ requeueAfterMs: ms }) => (ms === undefined ? [] : [ms]));
  return {
    writes: steps.flatMap((step) => step.writes ?? []),
    risky: risky[0] ?? null,
    conditions: conditionsOf(situation, operation, [
      ...findings,
      ...stillSaid(situation, findings),
    ]),
    operation,
    events: tellOfMonitoring(situation),
    eventsOfRisky: steps.flatMap((step) => step.events ?? []),
    requeueAfterMs: delays.length === 0 ? null : Math.min(...delays),
  };
}

/** As the status takes it. */
function cut(operation: Operation | undefined): Operation | null {
  if (operation === undefined) return null;
  const { step, blockedBy } = operation;
  return {
    ...operation,
    step: step.slice(0, STEP_LENGTH_MAX),
    blockedBy: blockedBy?.slice(0, MESSAGE_LENGTH_MAX) ?? null,
  };
}

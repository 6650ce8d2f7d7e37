/** Judges one run: did it show what its manifest says that it must show? Pure. */
import type { Model, Mutant } from './manifest.ts';
import { propertyNames } from './modelConfig.ts';
import type { Job } from './selection.ts';
import type { TlcOutcome, TlcResult } from './tlcOutput.ts';

/** A run with its judgement. */
export interface Verdict {
  readonly job: Job;
  readonly result: TlcResult;
  readonly seconds: number;
  readonly isPassed: boolean;
  /** What was violated, `-` when nothing. */
  readonly violated: string;
  /** Why it failed, empty when it passed. */
  readonly reason: string;
}

/**
 * Judges a run.
 * @param job - What was run.
 * @param result - What TLC said.
 * @param run - The configuration's text and the time the run took.
 * @returns The verdict.
 */
export function judge(
  job: Job,
  result: TlcResult,
  run: { readonly config: string; readonly seconds: number },
): Verdict {
  const violated = nameViolation(result.outcome, run.config);
  const reason =
    job.kind === 'model'
      ? judgeModel(job.model, result, violated)
      : judgeMutant(job.mutant, job.kind, { result, violated });
  return { job, result, seconds: run.seconds, isPassed: reason === '', violated, reason };
}

function judgeModel(model: Model, result: TlcResult, violated: string): string {
  if (result.outcome.kind === 'error') return result.outcome.message;
  if (result.outcome.kind !== 'completed') return `violates ${violated}`;
  const { distinctStates } = result;
  if (model.distinctStates === undefined || model.distinctStates === distinctStates) return '';
  return (
    `has ${String(distinctStates)} distinct states, the manifest says ` +
    `${String(model.distinctStates)}: the specification changed`
  );
}

function judgeMutant(
  mutant: Mutant,
  kind: 'mutant' | 'witness',
  found: { readonly result: TlcResult; readonly violated: string },
): string {
  const { outcome } = found.result;
  if (outcome.kind === 'error') return outcome.message;
  if (outcome.kind === 'completed') return kind === 'mutant' ? 'survives' : 'is not reached';
  if (found.violated === mutant.violates) return '';
  return `violates ${found.violated} instead of ${mutant.violates}`;
}

function nameViolation(outcome: TlcOutcome, config: string): string {
  switch (outcome.kind) {
    case 'completed':
    case 'error':
      return '-';
    case 'invariant':
    case 'actionProperty':
      return outcome.name;
    case 'deadlock':
      return 'Deadlock';
    case 'temporal':
      return propertyNames(config).join(' or ');
  }
}

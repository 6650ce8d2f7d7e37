/** Prints verdicts as tables and as JSON. Pure. */
import type { Verdict } from './verdict.ts';
import { jobName } from './selection.ts';

/**
 * Lays out the verdicts of models: specification/model, states generated and distinct, depth, seconds.
 * @param verdicts - Any verdicts; those of mutants are left out.
 * @returns The table, empty when there is none.
 */
export function modelTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts
    .filter(({ job }) => job.kind === 'model')
    .map((verdict) => [
      `${verdict.job.spec}/${jobName(verdict.job)}`,
      formatCount(verdict.result.generatedStates),
      formatCount(verdict.result.distinctStates),
      formatCount(verdict.result.depth),
      verdict.seconds.toFixed(1),
      passedOrFailed(verdict),
    ]);
  return table(['model', 'states generated', 'distinct', 'depth', 'seconds', ''], rows);
}

/**
 * Lays out the verdicts of mutants or of witnesses.
 * @param verdicts - Any verdicts; those of another kind are left out.
 * @param kind - Which ones.
 * @returns The table, empty when there is none.
 */
export function mutantTable(verdicts: readonly Verdict[], kind: 'mutant' | 'witness'): string {
  const rows: string[][] = [];
  for (const verdict of verdicts) {
    const { job, result, violated, seconds } = verdict;
    if (job.kind !== kind) continue;
    rows.push([
      `${job.spec}/${job.mutant.name}`,
      job.mutant.rule,
      violated,
      String(result.traceLength),
      seconds.toFixed(1),
      passedOrFailed(verdict),
    ]);
  }
  return table([kind, 'rule', 'violated property', 'trace', 'seconds', ''], rows);
}

/**
 * Turns verdicts into plain objects for `--json`.
 * @param verdicts - Any verdicts.
 * @returns The JSON text.
 */
export function toJson(verdicts: readonly Verdict[]): string {
  const results = verdicts.map(({ job, result, seconds, isPassed, violated, reason }) => ({
    kind: job.kind,
    spec: job.spec,
    name: jobName(job),
    ...(job.kind === 'model' ? {} : { rule: job.mutant.rule }),
    isPassed,
    violated,
    reason,
    generatedStates: result.generatedStates,
    distinctStates: result.distinctStates,
    depth: result.depth,
    traceLength: result.traceLength,
    seconds: Number(seconds.toFixed(1)),
  }));
  return JSON.stringify({ results, ...countVerdicts(verdicts) }, undefined, 2);
}

/**
 * Counts what passed and what failed.
 * @param verdicts - Any verdicts.
 * @returns Both counts.
 */
export function countVerdicts(verdicts: readonly Verdict[]): { passed: number; failed: number } {
  const passed = verdicts.filter(({ isPassed }) => isPassed).length;
  return { passed, failed: verdicts.length - passed };
}

function passedOrFailed({ isPassed, reason }: Verdict): string {
  return isPassed ? 'ok' : `FAILED: ${reason.split('\n')[0] ?? ''}`;
}

function formatCount(count: number | undefined): string {
  return count === undefined ? '-' : count.toLocaleString('en-US');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) => row.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Numbers to the right, words to the left. */
function pad(cell: string, width: number): string {
  return /^[\d,.-]+$/.test(cell) ? cell.padStart(width) : cell.padEnd(width);
}

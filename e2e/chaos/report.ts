/** What a run of faults came to, for people and for tools; and whether it is a success. */
import type { DoneFault } from './faults.ts';
import type { Distribution } from '../load/distribution.ts';
import { distributionOf, showDistribution } from '../load/distribution.ts';
import type { Ledger } from '../load/ledger.ts';
import type { ChaosOptions } from './options.ts';
import type { Verification } from './verify.ts';
import { TROUBLES } from '../load/logCheck.ts';

/** Below these a run means nothing, and fails. */
const ACKNOWLEDGED_PER_WRITER_PER_SECOND_MIN = 5;
const SECONDS_PER_FAULT_MAX = 20;
const SEGMENTS_PER_TOPIC_MIN = 3;
const TOPICS_THAT_ROLL = 2;

export interface RunResult {
  readonly options: ChaosOptions;
  readonly loadMs: number;
  readonly faults: readonly DoneFault[];
  readonly ledgers: readonly Ledger[];
  readonly uncertainCount: number;
  readonly segmentsCount: number;
  readonly verification: Verification | null;
  /** Of the processes, the writers, the deadlines. */
  readonly failures: readonly string[];
}

export interface Report {
  readonly ok: boolean;
  readonly seed: number;
  readonly seconds: number;
  readonly acknowledged: Record<string, number>;
  readonly acknowledgedBytes: number;
  readonly uncertainPuts: number;
  readonly segments: number;
  readonly faults: Record<string, number>;
  readonly troubles: Record<string, number>;
  readonly cursor: Verification['cursor'] | null;
  /** The longest time without an acknowledgement, by fault and kind of writer. */
  readonly pauses: Record<string, Record<string, Distribution>>;
  readonly problems: readonly string[];
}

export function makeReport(result: RunResult): Report {
  const { options, faults, ledgers, verification } = result;
  const problems = [...result.failures, ...(verification?.problems ?? ['nothing was verified'])];
  problems.push(...tooLittle(result));
  const acknowledged: Record<string, number> = {};
  for (const { kind, acknowledgedCount } of ledgers) {
    acknowledged[kind] = (acknowledged[kind] ?? 0) + acknowledgedCount;
  }
  const done: Record<string, number> = {};
  for (const { kind } of faults) done[kind] = (done[kind] ?? 0) + 1;
  const troubles: Record<string, number> = verification?.troubles ?? {};
  const isBad = Object.values(troubles).some((count) => count > 0);
  return {
    ok: problems.length === 0 && !isBad,
    seed: options.seed,
    seconds: Math.round(result.loadMs / 1000),
    acknowledged,
    acknowledgedBytes: ledgers.reduce((sum, each) => sum + each.acknowledgedBytes, 0),
    uncertainPuts: result.uncertainCount,
    segments: result.segmentsCount,
    faults: done,
    troubles,
    cursor: verification?.cursor ?? null,
    pauses: pausesOf(faults, ledgers),
    problems,
  };
}

function tooLittle({ ledgers, loadMs, faults, segmentsCount }: RunResult): string[] {
  const seconds = loadMs / 1000;
  const problems: string[] = [];
  for (const { writer, kind, acknowledgedCount } of ledgers) {
    const wanted = Math.floor(ACKNOWLEDGED_PER_WRITER_PER_SECOND_MIN * seconds);
    if (acknowledgedCount >= wanted) continue;
    const what = `writer ${writer} (${kind}) got ${acknowledgedCount} acknowledgements`;
    problems.push(`too little to mean anything: ${what}, at least ${wanted} are wanted`);
  }
  const faultsMin = Math.max(1, Math.floor(seconds / SECONDS_PER_FAULT_MAX));
  if (faults.length < faultsMin) {
    const what = `${faults.length} faults, at least ${faultsMin} are wanted`;
    problems.push(`too little to mean anything: ${what}`);
  }
  const segmentsMin = SEGMENTS_PER_TOPIC_MIN * TOPICS_THAT_ROLL;
  if (segmentsCount < segmentsMin) {
    const what = `${segmentsCount} segments, at least ${segmentsMin} are wanted`;
    problems.push(`too little to mean anything: ${what}`);
  }
  return problems;
}

/** For each kind of fault and of writer: the longest pause of each writer after each fault. */
function pausesOf(
  faults: readonly DoneFault[],
  ledgers: readonly Ledger[],
): Record<string, Record<string, Distribution>> {
  const times: Record<string, Record<string, number[]>> = {};
  for (const [i, fault] of faults.entries()) {
    const untilMs = faults[i + 1]?.startMs ?? Infinity;
    for (const ledger of ledgers) {
      const during = ledger.pauses.filter(
        ({ fromMs, toMs }) => toMs > fault.startMs && fromMs < untilMs && toMs <= untilMs,
      );
      const longest = Math.max(0, ...during.map(({ fromMs, toMs }) => toMs - fromMs));
      ((times[fault.kind] ??= {})[ledger.kind] ??= []).push(longest);
    }
  }
  return Object.fromEntries(
    Object.entries(times).map(([fault, byWriter]) => [
      fault,
      Object.fromEntries(
        Object.entries(byWriter).map(([kind, each]) => [kind, distributionOf(each)]),
      ),
    ]),
  );
}

/** The report as text. */
export function showReport(report: Report): string {
  const lines = [
    `chaos: seed ${report.seed}, ${report.seconds} s of load`,
    `  acknowledged: ${showCounts(report.acknowledged)}, ${Math.round(report.acknowledgedBytes / 1e6)} MB; ` +
      `${report.uncertainPuts} PUTs without a known outcome; ${report.segments} segments`,
    `  faults: ${showCounts(report.faults)}`,
    `  read through every node: ${TROUBLES.map((name) => `${name} ${report.troubles[name] ?? '?'}`).join(', ')}`,
  ];
  if (report.cursor !== null) {
    const { deliveredCount, redeliveredCount, unansweredCount, lateCount } = report.cursor;
    const { skippedCount, missingAtEndCount } = report.cursor;
    lines.push(
      `  shared cursor: ${deliveredCount} delivered, ${redeliveredCount} again, ` +
        `${unansweredCount} GETs unanswered, ${skippedCount + missingAtEndCount} left out, ` +
        `${lateCount} that nobody was told of came behind the end`,
    );
  }
  lines.push('  the longest pause of each writer, by fault:');
  for (const [fault, byWriter] of Object.entries(report.pauses)) {
    for (const [kind, each] of Object.entries(byWriter)) {
      lines.push(`    ${fault.padEnd(20)} ${kind.padEnd(7)} ${showDistribution(each)}`);
    }
  }
  for (const problem of report.problems) lines.push(`  FAILED: ${problem}`);
  lines.push(report.ok ? 'chaos: ok' : 'chaos: FAILED');
  return `${lines.join('\n')}\n`;
}

function showCounts(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

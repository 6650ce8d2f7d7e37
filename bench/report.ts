/** Results as text: tables in Markdown, to be read as they are and to be kept in docs/benchmarks.md. */
import type { ComparisonResult, MeasurementResult } from './run.ts';
import { shortNumber } from './stats.ts';
import type { Spread } from './stats.ts';

const COMPARISON_HEAD = [
  '| item | ratio: median (min-max) | by processor time | Walrus: median (min-max) | p50 / p99 ms | baseline: median (min-max) | p50 / p99 ms | target | met |',
  '|---|---|---|---|---|---|---|---|---|',
];
const MEASUREMENT_HEAD = [
  '| item | figure | median (min-max) | limit | met |',
  '|---|---|---|---|---|',
];

/** All results as text. */
export function showResults(
  comparisons: readonly ComparisonResult[],
  measurements: readonly MeasurementResult[],
): string {
  const lines: string[] = [];
  if (comparisons.length > 0) lines.push(...COMPARISON_HEAD, ...comparisons.map(comparisonRow), '');
  if (measurements.length > 0) lines.push(...MEASUREMENT_HEAD, ...measurements.flatMap(rowsOf), '');
  return lines.join('\n');
}

function comparisonRow(result: ComparisonResult): string {
  const { baseline, subject, unit } = result;
  return row([
    `\`${result.name}\`: ${result.title}`,
    show(result.ratio),
    result.processorRatio === null ? '' : shortNumber(result.processorRatio),
    `${show(subject.rate)} ${unit}`,
    latencies(subject),
    `${result.baselineName}: ${show(baseline.rate)} ${unit}`,
    latencies(baseline),
    result.target,
    verdict(result.isMet),
  ]);
}

function rowsOf({ name, figures }: MeasurementResult): string[] {
  return figures.map((figure) =>
    row([
      `\`${name}\``,
      figure.label,
      `${show(figure.spread)} ${figure.unit}`,
      figure.limit === undefined ? '' : `${figure.limit} ${figure.unit}`,
      verdict(figure.isMet),
    ]),
  );
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function show({ median, min, max }: Spread): string {
  const middle = shortNumber(median);
  return min === max ? middle : `${middle} (${shortNumber(min)}-${shortNumber(max)})`;
}

function latencies(side: { readonly p50Ms: number | null; readonly p99Ms: number | null }): string {
  if (side.p50Ms === null || side.p99Ms === null) return '';
  return `${shortNumber(side.p50Ms)} / ${shortNumber(side.p99Ms)}`;
}

function verdict(isMet: boolean | null): string {
  if (isMet === null) return '';
  return isMet ? 'yes' : 'NO';
}

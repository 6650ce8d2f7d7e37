/** Runs items and judges what comes out. */
import { percentile, spreadOf } from './stats.ts';
import type { Spread } from './stats.ts';
import type { BenchContext, Comparison, Figure, Measurement, Sample } from './types.ts';

/** One side of a comparison over all rounds. All but the rate are the medians of the rounds'. */
interface Side {
  readonly rate: Spread;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly processorRate: number | null;
}

export interface ComparisonResult {
  readonly kind: 'comparison';
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly baselineName: string;
  readonly baseline: Side;
  readonly subject: Side;
  /** Of the two legs of each round. */
  readonly ratio: Spread;
  /** Of the rates for each second of processor time, where both sides are this process. */
  readonly processorRatio: number | null;
  readonly target: string;
  /** null where there is no target. */
  readonly isMet: boolean | null;
}

export interface MeasurementResult {
  readonly kind: 'measurement';
  readonly name: string;
  readonly title: string;
  readonly figures: readonly (Figure & {
    readonly spread: Spread;
    readonly isMet: boolean | null;
  })[];
}

/** Runs both sides by turns, the one that comes first changing with every round. */
export async function compare(item: Comparison, context: BenchContext): Promise<ComparisonResult> {
  const baselines: Sample[] = [];
  const subjects: Sample[] = [];
  const legs = [
    async () => void baselines.push(await item.baseline(context)),
    async () => void subjects.push(await item.subject(context)),
  ];
  for (let round = 0; round < context.rounds; round += 1) {
    context.say(`${item.name}: round ${round + 1} of ${context.rounds}`);
    for (const leg of round % 2 === 0 ? legs : [...legs].reverse()) await leg();
  }
  const ratio = spreadOf(subjects.map(({ rate }, i) => rate / (baselines[i]?.rate ?? NaN)));
  const subject = sideOf(subjects);
  const { name, title, unit, baselineName } = item;
  const baseline = sideOf(baselines);
  return {
    ...{ kind: 'comparison', name, title, unit, baselineName, baseline, subject, ratio },
    processorRatio:
      subject.processorRate === null || baseline.processorRate === null
        ? null
        : subject.processorRate / baseline.processorRate,
    ...judge(item, ratio.median, subject.rate.median),
  };
}

function sideOf(samples: readonly Sample[]): Side {
  const middle = (of: (sample: Sample) => number | undefined): number | null => {
    const values = samples.flatMap((sample) => of(sample) ?? []);
    return values.length === 0 ? null : percentile(Float64Array.from(values).sort(), 0.5);
  };
  return {
    rate: spreadOf(samples.map(({ rate }) => rate)),
    p50Ms: middle(({ p50Ms }) => p50Ms),
    p99Ms: middle(({ p99Ms }) => p99Ms),
    processorRate: middle(({ processorRate }) => processorRate),
  };
}

function judge(
  item: Comparison,
  ratio: number,
  rate: number,
): { readonly target: string; readonly isMet: boolean | null } {
  const { targetRatio, targetRate, unit } = item;
  const parts: { readonly text: string; readonly isMet: boolean }[] = [];
  if (targetRatio !== undefined) {
    parts.push({ text: `ratio ${targetRatio}`, isMet: ratio >= targetRatio });
  }
  if (targetRate !== undefined) {
    parts.push({ text: `${targetRate} ${unit}`, isMet: rate >= targetRate });
  }
  if (parts.length === 0) return { target: '', isMet: null };
  const isEither = item.isEither === true;
  return {
    target: parts.map(({ text }) => text).join(isEither ? ' or ' : ' and '),
    isMet: isEither ? parts.some(({ isMet }) => isMet) : parts.every(({ isMet }) => isMet),
  };
}

/** Measures something by itself; a limit holds for every value. */
export async function measure(
  item: Measurement,
  context: BenchContext,
): Promise<MeasurementResult> {
  context.say(`${item.name}: begins`);
  const figures = await item.measure(context);
  return {
    kind: 'measurement',
    name: item.name,
    title: item.title,
    figures: figures.map((figure) => {
      const spread = spreadOf(figure.values);
      return {
        ...figure,
        spread,
        isMet: figure.limit === undefined ? null : spread.max <= figure.limit,
      };
    }),
  };
}

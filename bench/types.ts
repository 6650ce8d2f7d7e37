/** What a benchmark is made of. */
import type { Cluster } from './cluster.ts';

/** One leg: one side of a comparison, once. */
export interface Sample {
  /** In the unit of the item, more is better. */
  readonly rate: number;
  /** Of single operations, where the item is about them. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
  /** The rate for each second of processor time of this process, which others on the machine change little. */
  readonly processorRate?: number;
}

/** What every leg may use. */
export interface BenchContext {
  /** An empty directory of the benchmark's own, on the disk to be measured. */
  readonly directory: string;
  /** About how long one leg lasts. */
  readonly seconds: number;
  readonly rounds: number;
  readonly kills: number;
  /** How much log the node has that is killed and started again. */
  readonly logMegabytes: number;
  /** The cluster that the items share; started when the first one asks. */
  cluster(): Promise<Cluster>;
  /** Tells whoever waits what is going on. */
  say(line: string): void;
}

/** Two ways to do the same, by turns. */
export interface Comparison {
  readonly kind: 'comparison';
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly baselineName: string;
  /** What the ratio of the subject to the baseline should be at least; absent where there is no target. */
  readonly targetRatio?: number;
  /** What the subject's own rate should be at least, where that is a target, too; either is enough if `isEither`. */
  readonly targetRate?: number;
  readonly isEither?: boolean;
  baseline(context: BenchContext): Promise<Sample>;
  subject(context: BenchContext): Promise<Sample>;
}

/** One figure of something that is not compared. */
export interface Figure {
  readonly label: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** What no value should exceed. */
  readonly limit?: number;
}

/** Something that is measured by itself. */
export interface Measurement {
  readonly kind: 'measurement';
  readonly name: string;
  readonly title: string;
  measure(context: BenchContext): Promise<readonly Figure[]>;
}

export type BenchItem = Comparison | Measurement;

/** Medians, percentiles, processor time, and how figures are shown. */
import process from 'node:process';

/** Middle, least and most of a few measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @param values - At least one. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: percentile(sorted, 0.5),
    min: percentile(sorted, 0),
    max: percentile(sorted, 1),
  };
}

/**
 * The value below which `share` of the values lie, between two neighbours in proportion.
 * @param sorted - In ascending order.
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return NaN;
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/** Three figures that count, with thousands and millions shortened. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 1e6) return `${threeFigures(value / 1e6)} M`;
  if (Math.abs(value) >= 1e4) return `${threeFigures(value / 1e3)} k`;
  return threeFigures(value);
}

function threeFigures(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** Times of single operations, in order of arrival; later ones replace earlier ones once there is no room. */
export class Latencies {
  readonly #values: Float64Array;
  #count = 0;

  constructor(countMax = 1_000_000) {
    this.#values = new Float64Array(countMax);
  }

  add(ms: number): void {
    this.#values[this.#count % this.#values.length] = ms;
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  /** p50 and p99 in ms. */
  summary(): { readonly p50: number; readonly p99: number } {
    const sorted = this.#values.slice(0, Math.min(this.#count, this.#values.length)).sort();
    return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
  }
}

/** Starts to measure; the function returned says how many ms have passed, and for how many this process computed. */
export function startWatch(): () => { readonly ms: number; readonly processorMs: number } {
  const startMs = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { ms: performance.now() - startMs, processorMs: (user + system) / 1000 };
  };
}

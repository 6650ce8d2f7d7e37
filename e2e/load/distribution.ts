/** Times in short: how many, and how they spread. */

/** In ms. */
export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
}

export function distributionOf(times: readonly number[]): Distribution {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p90: at(0.9), max: at(1) };
}

export function showDistribution({ count, p50, p90, max }: Distribution): string {
  return `p50 ${p50} ms, p90 ${p90} ms, max ${max} ms (${count} times)`;
}

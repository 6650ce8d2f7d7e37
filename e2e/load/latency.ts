/** How long records took, and how long writers heard nothing. */
import type { Acknowledgement } from './writers.ts';

/** One record. In ms of the wall clock. */
export interface Sample {
  readonly writer: number;
  readonly sentMs: number;
  readonly tookMs: number;
}

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

export function sampleOf(writer: number, { sentMs, nowMs }: Acknowledgement): Sample {
  return { writer, sentMs: performance.timeOrigin + sentMs, tookMs: nowMs - sentMs };
}

/** Of the records that were sent within the window. */
export function latencyOf(samples: readonly Sample[], { fromMs, toMs }: Window): Latency {
  const times = samples
    .filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  const rounded = (value: number): number => Math.round(value * 10) / 10;
  return {
    count: times.length,
    p50Ms: rounded(at(0.5)),
    p99Ms: rounded(at(0.99)),
    maxMs: rounded(at(1)),
  };
}

/** The longest time in which a writer got no acknowledgement, as far as it lies within the window. */
export function longestPauseMs(samples: readonly Sample[], { fromMs, toMs }: Window): number {
  const byWriter = new Map<number, number[]>();
  for (const { writer, sentMs, tookMs } of samples) {
    const times = byWriter.get(writer) ?? [];
    times.push(sentMs + tookMs);
    byWriter.set(writer, times);
  }
  let longest = 0;
  for (const times of byWriter.values()) {
    const inside = times.filter((time) => time > fromMs && time < toMs).sort((a, b) => a - b);
    const edges = [fromMs, ...inside, toMs];
    for (const [index, time] of edges.entries())
      longest = Math.max(longest, time - (edges[index - 1] ?? time));
  }
  return Math.round(longest);
}

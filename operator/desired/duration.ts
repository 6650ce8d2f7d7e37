/** Durations and sizes as they stand in the spec. */
import { assert } from '../../base/assert.ts';

const UNITS_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PATTERN = /^(?<amount>[0-9]+)(?<unit>ms|s|m|h|d)$/;

/** @param text - As the schema lets it through: `500ms`, `30s`. */
export function durationMs(text: string): number {
  const { amount, unit } = PATTERN.exec(text)?.groups ?? {};
  assert(amount !== undefined && unit !== undefined, 'the schema checks durations');
  return Number(amount) * UNITS_MS[unit as keyof typeof UNITS_MS];
}

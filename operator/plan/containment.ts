/**
 * Whether an object already is as it is wanted: everything that is wanted is there; what else is there belongs to the
 * API server or to others (what was wanted once is told by the mark of desired/object.ts). So nothing is written twice, and what was changed by hand is put right.
 */
const QUANTITY =
  /^(?<sign>[+-]?)(?<whole>[0-9]*)\.?(?<part>[0-9]*)(?:(?<unit>[numkMGTPE]|[KMGTPE]i)|[eE](?<exponent>[+-]?[0-9]{1,2}))?$/;

interface QuantityParts {
  readonly sign: string;
  readonly whole: string;
  readonly part: string;
  readonly unit?: string;
  readonly exponent?: string;
}

/** Powers of ten. */
const DECIMAL: Readonly<Record<string, number>> = {
  ...{ n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 },
};
/** Powers of two. */
const BINARY: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };

export function contains(actual: unknown, wanted: unknown): boolean {
  if (actual === undefined || actual === null) return isEmpty(wanted);
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => contains(actual[index], item))
    );
  }
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof actual !== 'object' || Array.isArray(actual)) return false;
    return Object.entries(wanted).every(([key, value]) =>
      contains((actual as Readonly<Record<string, unknown>>)[key], value),
    );
  }
  return actual === wanted || isSameQuantity(actual, wanted);
}

/** The API server leaves out what is empty. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.values(value).every(isEmpty);
}

/** It also writes amounts in its own way: `1000m` becomes `1`, and `0.7` becomes `700m`. */
function isSameQuantity(a: unknown, b: unknown): boolean {
  const one = amountOf(a);
  const other = amountOf(b);
  if (one === null || other === null) return false;
  const decimals = Math.max(one.decimals, other.decimals);
  return withDecimals(one, decimals) === withDecimals(other, decimals);
}

/** Exact: `digits` / 10^`decimals`. As floating-point numbers 0.7 and 700 * 0.001 are not the same. */
interface Amount {
  readonly digits: bigint;
  readonly decimals: number;
}

function withDecimals({ digits, decimals }: Amount, wanted: number): bigint {
  return digits * 10n ** BigInt(wanted - decimals);
}

function amountOf(value: unknown): Amount | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const groups = QUANTITY.exec(String(value))?.groups as QuantityParts | undefined;
  if (groups === undefined || groups.whole + groups.part === '') return null;
  const { sign, whole, part, unit = '', exponent = '0' } = groups;
  const digits = BigInt(whole + part) << BigInt(BINARY[unit] ?? 0);
  const decimals = part.length - (DECIMAL[unit] ?? 0) - Number(exponent);
  return { digits: sign === '-' ? -digits : digits, decimals };
}

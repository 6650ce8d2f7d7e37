/**
 * Whether an object already is as it is wanted: everything that is wanted is there; what else is there belongs to the
 * API server or to others. So nothing is written twice, and what was changed by hand is put right.
 */
const QUANTITY = /^(?<amount>[0-9]+(?:\.[0-9]+)?)(?<unit>m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;
const UNITS: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

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

/** It also writes amounts in its own way: `1000m` becomes `1`. */
function isSameQuantity(a: unknown, b: unknown): boolean {
  const value = amountOf(a);
  return value !== null && value === amountOf(b);
}

function amountOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return null;
  const { amount, unit } = QUANTITY.exec(value)?.groups ?? {};
  if (amount === undefined) return null;
  return Number(amount) * (unit === undefined ? 1 : (UNITS[unit] ?? Number.NaN));
}

/**
 * Whether an object already is as it is wanted: everything that is wanted is there; what else is there belongs to the
 * API server or to others (what was wanted once is told by the mark of desired/object.ts). So nothing is written twice, and what was changed by hand is put right.
 */
import { compareAmounts } from '../desired/quantity.ts';

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
  return compareAmounts(a, b) === 0;
}

/** Assertions that stay on in production. A failed one is a bug of ours, never bad input. */

/** A broken invariant. Never caught except to log it and end the process. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * Ends the operation when an invariant does not hold.
 * @param condition - What must be true.
 * @param message - What was broken, as a sentence.
 * @throws {AssertionError} When `condition` is false.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/**
 * Returns a value that the caller knows to be there.
 * @throws {AssertionError} When it is `undefined` or `null`.
 */
export function assertDefined<T>(value: T | undefined | null, message: string): T {
  if (value === undefined || value === null) throw new AssertionError(message);
  return value;
}

/** Marks a switch as exhaustive: does not compile when a case is missing. */
export function assertNever(value: never, message: string): never {
  throw new AssertionError(`${message}: unexpected ${JSON.stringify(value)}`);
}

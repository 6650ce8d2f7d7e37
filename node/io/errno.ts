/** Errors of the operating system. */

/** The system's name of an error: "ENOENT". */
export function errnoOf(error: unknown): string | undefined {
  // Not instanceof Error: an error of Node's own modules may come from another realm (jest).
  if (typeof error === 'object' && error !== null && 'code' in error) {
    return typeof error.code === 'string' ? error.code : undefined;
  }
  return undefined;
}

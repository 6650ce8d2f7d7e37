/** From errors of node:fs to the codes of the disk interface. */
import { WalrusError, messageOf } from '../../base/errors.ts';
import { errnoOf } from './errno.ts';

const FULL_CODES: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/**
 * Makes the error of a failed disk operation.
 * @param verb - What was tried: "write to".
 * @param options - `isFinal`: DISK_FAILED even when the disk is full, because what was written earlier may be lost.
 */
export function diskError(
  verb: string,
  file: string,
  options: { cause?: unknown; reason?: string; isFinal?: boolean },
): WalrusError {
  const errno = errnoOf(options.cause);
  const code = FULL_CODES.includes(errno) && options.isFinal !== true ? 'DISK_FULL' : 'DISK_FAILED';
  const reason = options.reason ?? messageOf(options.cause);
  return new WalrusError(code, `Cannot ${verb} ${file}: ${reason}`, {
    details: errno === undefined ? { file } : { file, errno },
    cause: options.cause,
  });
}

/**
 * Runs a synchronous disk operation.
 * @throws {WalrusError} DISK_FULL when there is no space, DISK_FAILED for any other failure.
 */
export function guarded<T>(verb: string, file: string, operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    throw diskError(verb, file, { cause });
  }
}

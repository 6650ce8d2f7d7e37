/** The two outcomes of a command. A refusal is a value, the same on every node; it changes nothing. */
import type { ErrorCode } from '../../base/errors.ts';
import type { ApplyResult, ApplyValue } from './commands.ts';

/** A refused command. */
export type Refusal = Extract<ApplyResult, { readonly ok: false }>;

const NONE: ApplyResult = { ok: true, value: { type: 'None' } };

/** The result of a command that has nothing to tell. */
export function done(): ApplyResult {
  return NONE;
}

/** The result of a command that took place. */
export function accept(value: ApplyValue): ApplyResult {
  return { ok: true, value };
}

/** The result of a command that changed nothing. */
export function refuse(code: ErrorCode, message: string): Refusal {
  return { ok: false, code, message };
}

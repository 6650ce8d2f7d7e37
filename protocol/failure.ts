/**
 * A WalrusError on the wire, where a response's error number is not 0. Whether it may be retried follows from the
 * code (docs/errors.md).
 *
 * | size | field   | notes                                                                            |
 * |------|---------|----------------------------------------------------------------------------------|
 * | 4+n  | message | u32 length, UTF-8                                                                |
 * | 4+n  | details | u32 count; each: key (u32 length, UTF-8), u8 kind (0 text, 1 number, 2 boolean), |
 * |      |         | value as text (u32 length, UTF-8)                                                |
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { ErrorDetails } from '../base/errors.ts';
import { WalrusError } from '../base/errors.ts';
import { errorCodeOf, wireNumberOf } from './errorCodes.ts';

/** Details beyond these are left out: an error must stay small. */
const DETAILS_MAX = 32;

const KINDS = ['string', 'number', 'boolean'] as const;

/** The error number and the rest of a failed response. */
export function writeFailure(writer: ByteWriter, error: WalrusError): void {
  writer.u16(wireNumberOf(error.code)).text(error.message);
  const details = Object.entries(error.details).slice(0, DETAILS_MAX);
  writer.list(details, (w, [key, value]) => {
    const kind = KINDS.indexOf(typeof value as (typeof KINDS)[number]);
    w.text(key).u8(kind).text(String(value));
  });
}

/**
 * Reads what `writeFailure` wrote, after its number. A number of a later version becomes UNSUPPORTED_VERSION
 * and keeps the message.
 */
export function readFailureBody(reader: ByteReader, number: number): WalrusError {
  const message = reader.text();
  const pairs = reader.list((r): [string, string | number | boolean] => [r.text(), readDetail(r)]);
  const details: ErrorDetails = Object.fromEntries(pairs);
  const code = errorCodeOf(number);
  if (code !== undefined) return new WalrusError(code, message, { details });
  return new WalrusError(
    'UNSUPPORTED_VERSION',
    `The other side answered with error ${number}, which this version does not know: ${message}`,
    { details: { ...details, errorNumber: number } },
  );
}

function readDetail(reader: ByteReader): string | number | boolean {
  const kind = KINDS[reader.u8()] ?? reader.fail('a detail is of an unknown kind');
  const text = reader.text();
  if (kind === 'number') return readNumber(reader, text);
  if (kind === 'string') return text;
  if (text !== 'true' && text !== 'false') reader.fail('a detail is no boolean');
  return text === 'true';
}

function readNumber(reader: ByteReader, text: string): number {
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) reader.fail('a detail is no number');
  return value;
}

/** Values of flags that need more than a look: delimiters, positions, addresses. Pure. */
import type { StartPosition } from '../client/index.ts';
import { UsageError } from './usageError.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  '\\': '\\',
};

/** The bytes of a delimiter: text with \n \r \t \0 \\ and \xNN. */
export function delimiterBytes(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const [whole, hex, escape] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.)|[^\\]+|\\$/gsu)) {
    if (hex !== undefined) parts.push(Buffer.from(hex, 'hex'));
    else if (escape === undefined) parts.push(Buffer.from(whole));
    else if (Object.hasOwn(ESCAPES, escape)) parts.push(Buffer.from(ESCAPES[escape] ?? ''));
    else
      throw new UsageError(`Unknown escape "${whole}": there are \\n \\r \\t \\0 \\\\ and \\xNN`);
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) throw new UsageError('A delimiter has at least one byte');
  return bytes;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `earliest`, `latest`, an offset, an ISO 8601 time, or an age like `-10m`. */
export function startPosition(text: string, nowMs: number): StartPosition {
  if (text === 'earliest' || text === 'latest') return { type: text };
  if (/^\d{1,15}$/.test(text)) return { type: 'offset', offset: Number(text) };
  const age = /^-(\d{1,9})([smhd])$/.exec(text);
  if (age?.[1] !== undefined) {
    const timestampMs = Math.max(0, nowMs - Number(age[1]) * (UNIT_MS[age[2] ?? 's'] ?? 0));
    return { type: 'time', timestampMs };
  }
  const timestampMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN;
  if (timestampMs >= 0) return { type: 'time', timestampMs };
  throw new UsageError(
    `"${text}" is no position: give earliest, latest, an offset, a time (2026-01-31T12:00:00Z) or an age (-10m)`,
  );
}

export const DEFAULT_ADDRESS = '127.0.0.1:9091';

/** The nodes to connect to: the flag, else the environment, else the default. */
export function addressesOf(
  given: readonly string[] | undefined,
  fromEnvironment: string | undefined,
): string[] {
  if (given === undefined && (fromEnvironment ?? '') === '') return [DEFAULT_ADDRESS];
  const texts = given ?? (fromEnvironment ?? '').split(',');
  const addresses = texts.map((each) => each.trim()).filter((each) => each !== '');
  if (addresses.length === 0)
    throw new UsageError(`"${texts.join(',')}" names no address: give HOST:PORT`);
  for (const address of addresses) {
    if (/^(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5}$/.test(address)) continue;
    throw new UsageError(`"${address}" is no address: give HOST:PORT`);
  }
  return addresses;
}

/** A time like 30s. */
export function durationMs(text: string): number {
  const match = /^(\d{1,6})(ms|s|m)$/.exec(text);
  if (match?.[1] === undefined) {
    throw new UsageError(`"${text}" is no time: give a number with ms, s or m`);
  }
  return Number(match[1]) * (match[2] === 'ms' ? 1 : (UNIT_MS[match[2] ?? ''] ?? 0));
}

/** A size for people: 12.3 MB. */
export function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit] ?? ''}`;
}

/** How far a command has come, for people. */
export function progressText(
  { records, bytes }: { readonly records: number; readonly bytes: number },
  seconds: number,
): string {
  const noun = records === 1 ? 'record' : 'records';
  return `${records} ${noun}, ${sizeText(bytes)}, ${sizeText(bytes / seconds)}/s`;
}

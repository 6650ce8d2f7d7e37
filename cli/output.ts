/** What a command says: results on stdout, everything else on stderr; as text or as JSON. */
import { isWalrusError, messageOf } from '../base/errors.ts';
import type { ErrorCode, ErrorDetails } from '../base/errors.ts';
import { UsageError } from './usageError.ts';

/** What a process ends with; also in docs/cli.md. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  unavailable: 4,
  interrupted: 130,
} as const;

/** The meaning of each exit code, for the documentation. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'It is done.',
  failure: 'It failed; the message says why.',
  usage: 'The command line or a setting is wrong.',
  notFound: 'The topic, partition, segment, group or offset does not exist.',
  unavailable: 'The cluster cannot be reached or cannot do it now: trying again may help.',
  interrupted: 'It was interrupted (Ctrl-C) before it was done; what it asked for may take place.',
};

const USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_CONFIG',
  'INVALID_TOPIC_NAME',
  'INVALID_REPLICATION',
]);
const NOT_FOUND: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TOPIC_NOT_FOUND',
  'PARTITION_NOT_FOUND',
  'SEGMENT_NOT_FOUND',
  'GROUP_NOT_FOUND',
  'OFFSET_OUT_OF_RANGE',
]);

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (!isWalrusError(error)) return EXIT.failure;
  if (USAGE.has(error.code)) return EXIT.usage;
  if (NOT_FOUND.has(error.code)) return EXIT.notFound;
  return error.retriable ? EXIT.unavailable : EXIT.failure;
}

/** What to do about a failure, by its code. */
export type Hints = Readonly<Partial<Record<ErrorCode, string>>>;

const HINTS: Hints = {
  CONNECTION_FAILED: 'is a node running there? Start a cluster with `npm start`, or give --addr',
  TOPIC_NOT_FOUND: 'create it with `walrus topic create NAME`, or see `walrus topic list`',
  NOT_ENOUGH_REPLICAS: 'too few nodes are up: see `walrus cluster status`',
  METADATA_UNAVAILABLE: 'is a quorum of the nodes up? See `walrus cluster status`',
  TIMED_OUT: 'is a quorum of the nodes up? See `walrus cluster status`',
};

/** The code as docs/errors.md has it; null for what is no failure of Walrus. */
function describe(error: unknown): { code: ErrorCode | null; details: ErrorDetails } {
  if (isWalrusError(error)) return error;
  return { code: error instanceof UsageError ? 'INVALID_CONFIG' : null, details: {} };
}

/** Why standard output takes no more, for a person. */
export function outputFailure(error: NodeJS.ErrnoException): Error {
  const why = error.code === 'ENOSPC' ? 'no space is left there' : error.message;
  return new Error(`Cannot write to standard output: ${why}`, { cause: error });
}

export interface Streams {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person looks at `out`: names that are very long are cut there, and nowhere else. */
  readonly isTerminal?: boolean;
}

/** No column of a table is made wider: a name may have 249 characters. */
const COLUMN_WIDTH_MAX = 48;
const CUT = '...';

function cut(cell: string): string {
  if (cell.length <= COLUMN_WIDTH_MAX) return cell;
  return `${cell.slice(0, COLUMN_WIDTH_MAX - CUT.length)}${CUT}`;
}

export class Output {
  readonly isJson: boolean;
  readonly #streams: Streams;

  constructor(streams: Streams, isJson: boolean) {
    this.#streams = streams;
    this.isJson = isJson;
  }

  /** A result: `value` as JSON, or the text. */
  result(value: unknown, text: string | readonly string[]): void {
    if (this.isJson) {
      this.#streams.out(`${JSON.stringify(value)}\n`);
      return;
    }
    const lines = typeof text === 'string' ? [text] : text;
    if (lines.length > 0) this.#streams.out(`${lines.join('\n')}\n`);
  }

  /** A result that is a table. */
  table(value: unknown, rows: readonly (readonly string[])[]): void {
    const shown = this.#streams.isTerminal === true ? rows.map((row) => row.map(cut)) : rows;
    const widths = (rows[0] ?? []).map((_, column) =>
      Math.min(COLUMN_WIDTH_MAX, Math.max(...rows.map((row) => (row[column] ?? '').length))),
    );
    const lines = shown.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
    this.result(value, lines);
  }

  /** A remark for people. */
  note(text: string): void {
    if (!this.isJson) this.#streams.err(`${text}\n`);
  }

  /** @param hints - The command's own, before those for every command. */
  error(error: unknown, hints: Hints = {}): void {
    const message = messageOf(error);
    if (this.isJson) {
      const { code, details } = describe(error);
      this.#streams.err(`${JSON.stringify({ error: { code, message, details } })}\n`);
      return;
    }
    const hint = isWalrusError(error) ? { ...HINTS, ...hints }[error.code] : undefined;
    const code = isWalrusError(error) ? ` (${error.code})` : '';
    this.#streams.err(`walrus: ${message}${code}${hint === undefined ? '' : `; ${hint}`}\n`);
  }
}

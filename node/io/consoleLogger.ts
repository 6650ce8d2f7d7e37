/**
 * The log of a process: one JSON object a line, on stderr or appended to a file.
 * `{"time":"2026-01-02T03:04:05.678Z","level":"info","message":"...", ...fields}`
 */
import fs from 'node:fs';
import process from 'node:process';
import { WalrusError, messageOf } from '../../base/errors.ts';
import type { LogFields, LogLevel, Logger } from '../../base/log.ts';

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface ConsoleLoggerOptions {
  /** Entries below it are dropped. */
  readonly level: LogLevel;
  /** Appended to; stderr when empty. */
  readonly file?: string;
  /** Fields of every line: the node's id. */
  readonly fields?: LogFields;
  /** Where lines go instead; for tests. */
  readonly write?: (line: string) => void;
}

/** Writes log lines synchronously, so that the last words of a dying process are not lost. */
export class ConsoleLogger implements Logger {
  readonly #least: number;
  readonly #fields: LogFields;
  readonly #write: (line: string) => void;

  /** @throws {WalrusError} INVALID_CONFIG when the log file cannot be opened. */
  constructor(options: ConsoleLoggerOptions) {
    this.#least = SEVERITY[options.level];
    this.#fields = options.fields ?? {};
    this.#write = options.write ?? lineWriter(openTarget(options.file ?? ''));
  }

  log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (SEVERITY[level] < this.#least) return;
    const time = new Date().toISOString();
    this.#write(`${JSON.stringify({ time, level, message, ...this.#fields, ...fields })}\n`);
  }
}

function openTarget(file: string): number {
  if (file === '') return process.stderr.fd;
  try {
    return fs.openSync(file, 'a', 0o640);
  } catch (cause) {
    throw new WalrusError(
      'INVALID_CONFIG',
      `Cannot open the log file ${file}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/**
 * Lines that cannot be written (a full disk, a closed or congested pipe) are dropped and counted: logging must
 * neither end nor stall a node. The next line that can be written says how many are missing.
 */
export function lineWriter(
  fd: number,
  writeSync: (fd: number, text: string) => number = (to, text) => fs.writeSync(to, text),
): (line: string) => void {
  let lost = 0;
  return (line) => {
    const text =
      lost === 0 ? line : `${JSON.stringify({ level: 'warn', linesLost: lost })}\n${line}`;
    try {
      writeSync(fd, text);
      lost = 0;
    } catch {
      lost += 1;
    }
  };
}

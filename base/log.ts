/** Structured logging, as a parameter. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Logger {
  /** Writes one line. `message` is a constant sentence; what varies goes into `fields`. */
  log(level: LogLevel, message: string, fields?: LogFields): void;
}

/** A logger that drops everything. */
export const SILENT: Logger = { log: () => undefined };

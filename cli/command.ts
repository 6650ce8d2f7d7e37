/** What a command is made of: its arguments and flags as data, from which parsing, help and docs/cli.md follow. */
import type { Client } from '../client/index.ts';
import type { Hints, Output } from './output.ts';
import { UsageError } from './usageError.ts';

export type FlagKind = 'switch' | 'text' | 'integer' | 'list';

export interface FlagSpec {
  readonly kind: FlagKind;
  /** How the value is named in help: "N". Absent for switches. */
  readonly value?: string;
  readonly description: string;
  /** The only values, when they are few. */
  readonly choices?: readonly string[];
  /** The least value of an integer. */
  readonly min?: number;
  /** As shown; applied by the command. */
  readonly default?: string;
}

export interface ArgumentSpec {
  readonly name: string;
  readonly description: string;
  readonly isOptional?: boolean;
  /** Takes all that follow. Only the last one. */
  readonly isList?: boolean;
}

/** What was given on the command line. */
export interface Given {
  readonly args: readonly string[];
  readonly flags: ReadonlyMap<string, readonly string[]>;
}

/** What a command works with. */
export interface CommandContext extends Given {
  readonly addresses: readonly string[];
  readonly output: Output;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Whether it was typed at the prompt of `walrus repl`, to which standard input belongs. */
  readonly isAtPrompt: boolean;
  /** Connects on first use; closed by the dispatcher. */
  client(): Promise<Client>;
  /** All that there are. */
  readonly commands: readonly Command[];
  /** Runs another command line at the prompt, with the same addresses. @returns its exit code. */
  runLine(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

export interface Command {
  /** Its words: "topic create". */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  readonly args: readonly ArgumentSpec[];
  readonly flags: Readonly<Record<string, FlagSpec>>;
  /** What to do about failures, where it is another thing than for every command. */
  readonly hints?: Hints;
  /** Further paragraphs and examples. */
  readonly notes?: readonly string[];
  /** Comes to an end by itself when it is interrupted; any other command is left at once. */
  readonly endsBySignal?: boolean;
  /** Takes its arguments as they are: it has a parser of its own. */
  readonly isRaw?: boolean;
  /** @returns the exit code; 0 when it gives none. */
  run(context: CommandContext): Promise<number | undefined>;
}

/** The text of a flag that may be absent. */
export function textOf(given: Given, flag: string): string | undefined {
  return given.flags.get(flag)?.at(-1);
}

/** The number of a flag that may be absent; checked by the parser. */
export function integerOf(given: Given, flag: string): number | undefined {
  const text = textOf(given, flag);
  return text === undefined ? undefined : Number(text);
}

export function isGiven(given: Given, flag: string): boolean {
  return given.flags.has(flag);
}

/** A required argument; its presence is checked by the parser. */
export function argumentOf(given: Given, index: number): string {
  const value = given.args[index];
  if (value === undefined) throw new UsageError('An argument is missing');
  return value;
}

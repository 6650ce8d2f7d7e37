/** From a command line to a command that runs, and from its outcome to an exit code. */
import process from 'node:process';
import { SOFTWARE_VERSION } from '../base/version.ts';
import { connect } from '../client/index.ts';
import type { Client } from '../client/index.ts';
import type { CommandContext, Given } from './command.ts';
import { COMMANDS } from './commands.ts';
import { commandHelp, overview } from './help.ts';
import { EXIT, Output, exitCodeOf } from './output.ts';
import type { Streams } from './output.ts';
import { findCommand, groupOf, parseArguments, unknownCommand } from './parse.ts';
import { addressesOf } from './values.ts';

/** How long a cluster is looked for: nobody waits a request's whole time in front of a wrong address. */
const FIRST_CONTACT_MS = 3000;

export interface DispatchOptions {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  /** Instead of the environment's. */
  readonly addresses?: readonly string[];
  /** Whether the line was typed at the prompt of `walrus repl`. */
  readonly isAtPrompt?: boolean;
}

/** Runs a command line. @returns the exit code. */
export async function dispatch(argv: readonly string[], options: DispatchOptions): Promise<number> {
  const output = new Output(options.streams, argv.includes('--json'));
  try {
    return await run(argv, options, output);
  } catch (error) {
    if (error instanceof Error || exitCodeOf(error) !== EXIT.failure)
      output.error(error, findCommand(COMMANDS, argv)?.command.hints);
    else throw error;
    return exitCodeOf(error);
  }
}

async function run(
  argv: readonly string[],
  options: DispatchOptions,
  output: Output,
): Promise<number> {
  if (argv[0] === '--version') {
    output.result({ version: SOFTWARE_VERSION }, `walrus ${SOFTWARE_VERSION}`);
    return EXIT.ok;
  }
  const found = findCommand(COMMANDS, argv);
  if (found === null) return showOverview(argv, options.streams);
  const { command } = found;
  const rest = isHelp(found.rest) ? ['--help'] : found.rest;
  const given: Given =
    command.isRaw === true ? { args: rest, flags: new Map() } : parseArguments(command, rest);
  if (given.flags.has('help')) {
    options.streams.out(commandHelp(command));
    return EXIT.ok;
  }
  const addresses =
    given.flags.get('addr') === undefined && options.addresses !== undefined
      ? options.addresses
      : addressesOf(given.flags.get('addr'), process.env['WALRUS_ADDR']);
  let client: Client | null = null;
  const context: CommandContext = {
    ...given,
    addresses,
    output,
    signal: options.signal,
    isAtPrompt: options.isAtPrompt === true,
    commands: COMMANDS,
    runLine: (line, signal) => dispatch(line, { ...options, addresses, signal, isAtPrompt: true }),
    client: async () =>
      (client ??= await connect({
        addresses,
        clientName: 'walrus-cli',
        firstContactMs: FIRST_CONTACT_MS,
      })),
  };
  try {
    const running = command.run(context);
    const ending =
      command.endsBySignal === true ? [running] : [running, interrupted(options.signal)];
    return (await Promise.race(ending)) ?? EXIT.ok;
  } finally {
    (client as Client | null)?.abort();
  }
}

/** `-h` is short for `--help` where it stands alone: elsewhere it may be a value. */
function isHelp(words: readonly string[]): boolean {
  return words.length === 1 && words[0] === '-h';
}

function interrupted(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(EXIT.interrupted);
    signal.addEventListener('abort', () => resolve(EXIT.interrupted));
  });
}

/** Without a command there is help: asked for, or with the exit code of a mistake. */
function showOverview(argv: readonly string[], streams: Streams): number {
  const group = groupOf(COMMANDS, argv[0] ?? '');
  const wantsHelp =
    argv.length === 0 || argv.some((word) => ['--help', '-h', 'help'].includes(word));
  if (!wantsHelp && (group.length === 0 || argv.length > 1)) unknownCommand(COMMANDS, argv);
  streams.out(overview(group.length > 0 ? group : COMMANDS));
  return wantsHelp ? EXIT.ok : EXIT.usage;
}

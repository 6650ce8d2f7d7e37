/** Reads a command line by a command's table. */
import { nearest } from '../node/config/nearest.ts';
import type { Command, FlagSpec, Given } from './command.ts';
import { UsageError } from './usageError.ts';

/** Flags that every command takes. */
export const GLOBAL_FLAGS: Readonly<Record<string, FlagSpec>> = {
  addr: {
    kind: 'list',
    value: 'HOST:PORT[,HOST:PORT]',
    description: 'Nodes to connect to.',
    default: '$WALRUS_ADDR or 127.0.0.1:9091',
  },
  json: { kind: 'switch', description: 'Results and errors as JSON.' },
  help: { kind: 'switch', description: 'Shows the help of the command.' },
};

/**
 * Parses what follows a command's words.
 * @throws {UsageError} naming what is wrong and the nearest thing that would be right.
 */
export function parseArguments(command: Command, argv: readonly string[]): Given {
  const specs = { ...command.flags, ...GLOBAL_FLAGS };
  const args: string[] = [];
  const flags = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i += 1) {
    const argument = argv[i] as string;
    if (argument === '--') {
      args.push(...argv.slice(i + 1));
      break;
    }
    const match = /^--([^=]+)(?:=(.*))?$/s.exec(argument);
    if (match?.[1] === undefined) {
      args.push(argument);
      continue;
    }
    const [, name, inline] = match;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined) throw unknownFlag(command, name, Object.keys(specs));
    let value = inline;
    if (spec.kind !== 'switch' && value === undefined) {
      i += 1;
      value = argv[i];
    }
    add(flags, name, checked(spec, name, value));
  }
  if (!flags.has('help')) checkArguments(command, args);
  return { args, flags };
}

function add(flags: Map<string, string[]>, name: string, values: readonly string[]): void {
  flags.set(name, [...(flags.get(name) ?? []), ...values]);
}

function checked(spec: FlagSpec, name: string, value: string | undefined): string[] {
  if (spec.kind === 'switch') {
    if (value !== undefined) throw new UsageError(`The flag --${name} takes no value`);
    return [];
  }
  if (value === undefined)
    throw new UsageError(`The flag --${name} needs a value: ${spec.value ?? ''}`);
  checkValue(spec, name, value);
  if (spec.kind !== 'list') return [value];
  const values = value.split(',').filter((each) => each.trim() !== '');
  if (values.length > 0) return values;
  throw new UsageError(`The flag --${name} needs a value: ${spec.value ?? ''}, not "${value}"`);
}

function checkValue(spec: FlagSpec, name: string, value: string): void {
  if (spec.kind === 'integer' && !/^\d{1,15}$/.test(value)) {
    throw new UsageError(`--${name} must be a whole number, not "${value}"`);
  }
  if (spec.min !== undefined && Number(value) < spec.min) {
    throw new UsageError(`--${name} must be at least ${spec.min}, not ${value}`);
  }
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    throw new UsageError(`--${name} must be one of ${spec.choices.join(', ')}, not "${value}"`);
  }
}

function checkArguments(command: Command, args: readonly string[]): void {
  const missing = command.args.find(
    (each, index) => each.isOptional !== true && args[index] === undefined,
  );
  if (missing !== undefined) {
    throw new UsageError(`${command.name} needs ${missing.name}: ${missing.description}`);
  }
  const takesAll = command.args.at(-1)?.isList === true;
  const extra = args[command.args.length];
  if (!takesAll && extra !== undefined) throw new UsageError(`Unexpected argument "${extra}"`);
}

function unknownFlag(command: Command, name: string, known: readonly string[]): UsageError {
  const near = nearest(name, known);
  const hint = near === undefined ? `see walrus ${command.name} --help` : `did you mean --${near}?`;
  return new UsageError(`Unknown flag --${name}: ${hint}`);
}

/** Finds a command by the first words; the longest name wins. */
export function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } | null {
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(' ');
    const command = commands.find((each) => each.name === name);
    if (command !== undefined) return { command, rest: words.slice(count) };
  }
  return null;
}

/** The names of commands that begin with a word, for help on a group like `topic`. */
export function groupOf(commands: readonly Command[], word: string): Command[] {
  return commands.filter(({ name }) => name.startsWith(`${word} `));
}

/** @throws {UsageError} always. */
export function unknownCommand(commands: readonly Command[], words: readonly string[]): never {
  const given = words.slice(0, 2).join(' ');
  const names = commands.map(({ name }) => name);
  const near = nearest(given, names) ?? nearest(words[0] ?? '', names);
  const hint = near === undefined ? 'see walrus --help' : `did you mean "${near}"?`;
  throw new UsageError(`Unknown command "${given}": ${hint}`);
}

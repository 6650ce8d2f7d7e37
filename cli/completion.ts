/** What a half-typed line of the prompt may become: commands, topics, flags and their values. Pure. */
import type { Command } from './command.ts';
import { GLOBAL_FLAGS, findCommand } from './parse.ts';

/** Words of the prompt that are no commands of `walrus`. */
const PROMPT_WORDS = ['help', 'exit'];

/** @returns the endings that fit, each with a space behind it, and the part of the line that they replace. */
export function complete(
  line: string,
  commands: readonly Command[],
  topics: readonly string[],
): [string[], string] {
  const last = line.slice(line.lastIndexOf(' ') + 1);
  const before = line.split(' ').filter((word) => word !== '');
  if (last !== '') before.pop();
  const found = findCommand(commands, before);
  const isWhole = found !== null && (last === '' || line.trim() !== found.command.name);
  if (!isWhole)
    return [fitting([...commands.map(({ name }) => name), ...PROMPT_WORDS], line), line];
  return [fitting(nextWords(found.command, found.rest, { last, topics }), last), last];
}

function fitting(words: readonly string[], beginning: string): string[] {
  return words.filter((word) => word.startsWith(beginning)).map((word) => `${word} `);
}

function nextWords(
  command: Command,
  given: readonly string[],
  { last, topics }: { readonly last: string; readonly topics: readonly string[] },
): readonly string[] {
  const flags = { ...command.flags, ...GLOBAL_FLAGS };
  const previous = given.at(-1) ?? '';
  const spec = previous.startsWith('--') ? flags[previous.slice(2)] : undefined;
  if (spec !== undefined && spec.kind !== 'switch') return spec.choices ?? [];
  if (last.startsWith('-')) return Object.keys(flags).map((name) => `--${name}`);
  const count = given.filter((word, i) => {
    const owner =
      given[i - 1]?.startsWith('--') === true ? flags[given[i - 1]?.slice(2) ?? ''] : undefined;
    return !word.startsWith('--') && (owner === undefined || owner.kind === 'switch');
  }).length;
  const argument = command.args[Math.min(count, command.args.length - 1)];
  const isTaken = count >= command.args.length && argument?.isList !== true;
  return argument?.name === 'TOPIC' && !isTaken ? topics : [];
}

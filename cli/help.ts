/** Help texts and docs/cli.md, made from the table of commands. Pure. */
import type { Command, FlagSpec } from './command.ts';
import { EXIT, EXIT_MEANINGS } from './output.ts';
import { GLOBAL_FLAGS } from './parse.ts';

/** `walrus topic create NAME [flags]`. */
export function usageOf(command: Command): string {
  const args = command.args.map(({ name, isOptional, isList }) => {
    const shown = isList === true ? `${name}...` : name;
    return isOptional === true ? `[${shown}]` : shown;
  });
  return ['walrus', command.name, ...args, '[flags]'].join(' ');
}

function flagRows(flags: Readonly<Record<string, FlagSpec>>): [string, string][] {
  return Object.entries(flags).map(([name, spec]) => {
    const choices = spec.choices === undefined ? '' : ` One of ${spec.choices.join(', ')}.`;
    const standard = spec.default === undefined ? '' : ` Default: ${spec.default}.`;
    const value = spec.value === undefined ? '' : ` ${spec.value}`;
    return [`--${name}${value}`, `${spec.description}${choices}${standard}`];
  });
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const lines = [command.summary, '', `Usage: ${usageOf(command)}`];
  if (command.args.length > 0) {
    lines.push('', ...columns(command.args.map(({ name, description }) => [name, description])));
  }
  lines.push('', 'Flags:', ...columns(flagRows({ ...command.flags, ...GLOBAL_FLAGS })));
  if (command.notes !== undefined) lines.push('', ...command.notes);
  return `${lines.join('\n')}\n`;
}

/** The list of all commands, or of some. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }): [string, string] => [name, summary]);
  const usage =
    'Usage: walrus COMMAND [arguments] [flags]; walrus COMMAND --help says more, walrus --version the version';
  return `${[usage, '', ...columns(rows)].join('\n')}\n`;
}

/** docs/cli.md. */
export function cliDocument(commands: readonly Command[]): string {
  const lines = [
    '# The command line',
    '',
    'Made from the table of commands (`cli/commands.ts`); a test keeps both the same.',
    '',
    '## Flags of every command',
    '',
    ...flagTable(GLOBAL_FLAGS),
    '## Exit codes',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(EXIT).map(
      ([name, code]) => `| ${code} | ${EXIT_MEANINGS[name as keyof typeof EXIT]} |`,
    ),
    '',
  ];
  for (const command of commands) {
    lines.push(`## ${command.name}`, '', command.summary, '', '```', usageOf(command), '```', '');
    for (const { name, description } of command.args) lines.push(`- \`${name}\`: ${description}`);
    if (command.args.length > 0) lines.push('');
    lines.push(...flagTable(command.flags));
    for (const note of command.notes ?? []) lines.push(note, '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function flagTable(flags: Readonly<Record<string, FlagSpec>>): string[] {
  const rows = flagRows(flags);
  if (rows.length === 0) return [];
  const cells = rows.map(([left, right]) => `| \`${left}\` | ${right.replaceAll('|', '\\|')} |`);
  return ['| flag | meaning |', '|---|---|', ...cells, ''];
}

/**
 * A node's settings: flags over environment over file over defaults. Pure: who calls it reads the file
 * (whose name `commandFlags` gives) and brings argv and the environment.
 */
import { WalrusError } from '../base/errors.ts';
import type { Parsed } from './config/kinds.ts';
import { NO_LESS_THAN, SETTING_NAMES, flagsOf, settingOf } from './config/settings.ts';
import type { NodeSettings, SettingName } from './config/settings.ts';
import { readEnvironment, readFile, readFlags } from './config/sources.ts';
import type { CommandFlags, Given, Source } from './config/sources.ts';

export type { NodeSettings, SettingName } from './config/settings.ts';
export type { CommandFlags } from './config/sources.ts';

export interface ConfigInput {
  /** The arguments after `walrus node`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configuration file, when there is one. */
  readonly file?: { readonly path: string; readonly content: string };
}

export interface ResolvedConfig {
  /** Complete; where a value was wrong, its default. Not to be used when there are errors. */
  readonly settings: NodeSettings;
  /** Where each value came from: "flag --node-id", "variable WALRUS_NODE_ID", "file F", "default". */
  readonly sources: Readonly<Record<SettingName, string>>;
  /** Everything that is wrong, in a fixed order, each INVALID_CONFIG. */
  readonly errors: readonly WalrusError[];
}

/** The flags that are no settings, and the configuration file to read (`--config` or `WALRUS_CONFIG`). */
export function commandFlags(input: Omit<ConfigInput, 'file'>): CommandFlags {
  const { command } = readFlags(input.argv);
  const fromEnvironment = input.env['WALRUS_CONFIG'];
  return {
    ...command,
    configPath: command.configPath ?? (fromEnvironment === '' ? undefined : fromEnvironment),
  };
}

/** Finds the value of every setting. */
export function resolveConfig(input: ConfigInput): ResolvedConfig {
  const layers: Source[] = [readFlags(input.argv), readEnvironment(input.env)];
  if (input.file !== undefined) layers.push(readFile(input.file.path, input.file.content));
  const problems = layers.flatMap((layer) => layer.problems);
  const values: Partial<Record<SettingName, unknown>> = {};
  const sources: Partial<Record<SettingName, string>> = {};
  for (const name of SETTING_NAMES) {
    const given = layers.map((layer) => layer.given.get(name)).find((each) => each !== undefined);
    const parsed = parse(name, given);
    values[name] = parsed.ok ? parsed.value : settingOf(name).default;
    sources[name] = given?.source ?? 'default';
    if (!parsed.ok) problems.push(parsed.problem);
  }
  const settings = values as NodeSettings;
  problems.push(...contradictions(settings));
  return {
    settings,
    sources: sources as Record<SettingName, string>,
    errors: problems.map((problem) => new WalrusError('INVALID_CONFIG', problem)),
  };
}

function parse(name: SettingName, given: Given | undefined): Parsed<unknown> {
  const setting = settingOf(name);
  if (given === undefined) return { ok: true, value: setting.default };
  const parsed = setting.parse(given.texts);
  if (parsed.ok) return parsed;
  const shown = given.texts.join(',').slice(0, 60);
  return { ok: false, problem: `Invalid ${name} "${shown}" (${given.source}): ${parsed.problem}` };
}

/** Hosts that stand for every interface. */
const EVERY_HOST: readonly string[] = ['0.0.0.0', '::'];

/** Values that are fine alone and not together. */
function contradictions(settings: NodeSettings): string[] {
  const problems = samePorts(settings);
  for (const kind of ['client', 'peer', 'http'] as const) {
    const host = settings[`${kind}Host`];
    if (!EVERY_HOST.includes(host) || settings[`${kind}AdvertiseHost`] !== '') continue;
    const [flag] = flagsOf(`${kind}AdvertiseHost`);
    problems.push(
      `Invalid ${kind}Host "${host}": others need a host to connect to, give --${flag}`,
    );
  }
  if (settings.raftHeartbeatTicks * 3 > settings.raftElectionTicks) {
    problems.push(
      `Invalid raftHeartbeatTicks "${settings.raftHeartbeatTicks}": it must be at most a third of ` +
        `raftElectionTicks (${settings.raftElectionTicks})`,
    );
  }
  for (const [larger, smaller] of NO_LESS_THAN) {
    if (settings[larger] < settings[smaller])
      problems.push(`Invalid ${larger}: it must be at least ${smaller}`);
  }
  return problems;
}

/** Ports that are given twice; 0 is a free one of its own. */
function samePorts(settings: NodeSettings): string[] {
  const problems: string[] = [];
  const pairs = [
    ['client', 'peer'],
    ['client', 'http'],
    ['peer', 'http'],
  ] as const;
  for (const [one, other] of pairs) {
    const port = settings[`${one}Port`];
    if (port === 0 || port !== settings[`${other}Port`]) continue;
    const hosts = [settings[`${one}Host`], settings[`${other}Host`]];
    if (hosts[0] !== hosts[1] && !hosts.some((host) => EVERY_HOST.includes(host))) continue;
    problems.push(`Invalid ${other}Port "${port}": it is the ${one}Port as well`);
  }
  return problems;
}

/** Each value as a flag would give it, with its source: for `--print-config --json`. */
export function describeConfig(
  config: ResolvedConfig,
): { readonly name: SettingName; readonly value: string; readonly source: string }[] {
  return SETTING_NAMES.map((name) => ({
    name,
    value: settingOf(name).format(config.settings[name]),
    source: config.sources[name],
  }));
}

/** Shows each value with its source, for `--print-config`: `name = value  # source`. */
export function printConfig(config: ResolvedConfig): string {
  const rows = describeConfig(config).map(({ name, value, source }) => ({
    text: `${name} = ${value || '""'}`,
    source,
  }));
  const width = Math.max(...rows.map(({ text }) => text.length));
  return rows.map(({ text, source }) => `${text.padEnd(width)}  # ${source}\n`).join('');
}

/** The three places that settings come from, each read into the same shape. All pure. */
import { messageOf } from '../../base/errors.ts';
import { nearest } from './nearest.ts';
import { SETTING_NAMES, flagsOf, settingOf, variablesOf } from './settings.ts';
import type { SettingName } from './settings.ts';

/** What one source says about one setting. */
export interface Given {
  /** For messages and `--print-config`: "flag --node-id". */
  readonly source: string;
  readonly texts: readonly string[];
}

/** What one source says, and what is wrong with it. */
export interface Source {
  readonly given: Map<SettingName, Given>;
  readonly problems: string[];
}

/** Flags of `walrus node` that are not settings. */
export interface CommandFlags {
  readonly configPath: string | undefined;
  readonly shouldPrintConfig: boolean;
  readonly shouldHelp: boolean;
}

const SWITCHES = ['print-config', 'help'];
/** Variables with our prefix that other commands use. */
const OTHER_VARIABLES = ['WALRUS_CONFIG', 'WALRUS_ADDR'];
/** The largest name from outside that a message repeats. */
const SHOWN_LENGTH = 60;

/** Reads the command line. */
export function readFlags(argv: readonly string[]): Source & { readonly command: CommandFlags } {
  const names = new Map<string, SettingName | 'config'>([['config', 'config']]);
  for (const name of SETTING_NAMES) for (const flag of flagsOf(name)) names.set(flag, name);
  const known = [...names.keys(), ...SWITCHES].map((flag) => `--${flag}`);
  const source: Source = { given: new Map(), problems: [] };
  const switches = new Set<string>();
  let configPath: string | undefined;
  for (const { flag, value: given } of cutFlags(argv)) {
    const name = names.get(flag);
    const value = given ?? valueOfLone(name);
    if (SWITCHES.includes(flag) && value === undefined) switches.add(flag);
    else if (flag === '') source.problems.push(unexpected(value ?? ''));
    else if (name === undefined) source.problems.push(unknown('flag', `--${flag}`, known));
    else if (value === undefined) source.problems.push(`The flag --${flag} needs a value`);
    else if (name === 'config') configPath = value;
    else add(source, name, { source: `flag --${flag}`, texts: [value] });
  }
  const shouldPrintConfig = switches.has('print-config');
  return {
    ...source,
    command: { configPath, shouldPrintConfig, shouldHelp: switches.has('help') },
  };
}

/** What a flag without a value says, when it may stand alone. */
function valueOfLone(name: SettingName | 'config' | undefined): string | undefined {
  if (name === undefined || name === 'config') return undefined;
  return settingOf(name).isSwitch === true ? 'true' : undefined;
}

interface Flag {
  /** '' for an argument that is none. */
  readonly flag: string;
  readonly value: string | undefined;
}

/** Cuts `--flag value`, `--flag=value` and switches; what is no flag comes with an empty name. */
function cutFlags(argv: readonly string[]): Flag[] {
  const flags: Flag[] = [];
  for (let i = 0; i < argv.length; i += 1) {
    const argument = argv[i] ?? '';
    const match = /^--([a-z][a-z-]*)(?:=(.*))?$/s.exec(argument);
    const next = argv[i + 1];
    if (match?.[1] === undefined) {
      flags.push({ flag: '', value: argument });
    } else if (match[2] !== undefined || SWITCHES.includes(match[1])) {
      flags.push({ flag: match[1], value: match[2] });
    } else {
      const isValue = next !== undefined && !next.startsWith('--');
      flags.push({ flag: match[1], value: isValue ? next : undefined });
      if (isValue) i += 1;
    }
  }
  return flags;
}

function unexpected(argument: string): string {
  return `Unexpected argument "${shown(argument)}": settings are given as --flag value`;
}

/** Reads the environment. An empty variable counts as absent. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Source {
  const names = new Map(
    SETTING_NAMES.flatMap((name) => variablesOf(name).map((variable) => [variable, name])),
  );
  const source: Source = { given: new Map(), problems: [] };
  for (const variable of Object.keys(env).sort()) {
    const value = env[variable] ?? '';
    if (!variable.startsWith('WALRUS_') || value === '' || isServiceLink(variable, value)) continue;
    if (OTHER_VARIABLES.includes(variable)) continue;
    const name = names.get(variable);
    if (name === undefined) source.problems.push(unknown('variable', variable, [...names.keys()]));
    else add(source, name, { source: `variable ${variable}`, texts: [value] });
  }
  return source;
}

/**
 * Kubernetes puts variables for every Service into a pod: for one named `walrus-client` also
 * `WALRUS_CLIENT_PORT=tcp://10.0.0.7:9091`, which is no setting of ours.
 */
function isServiceLink(variable: string, value: string): boolean {
  return (
    /^(tcp|udp|sctp):\/\//.test(value) ||
    /_SERVICE_(HOST|PORT|PORT_\w+)$/.test(variable) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable)
  );
}

/** Reads a configuration file: one JSON object with the names of settings. */
export function readFile(path: string, content: string): Source {
  const source: Source = { given: new Map(), problems: [] };
  let values: unknown;
  try {
    values = JSON.parse(content);
  } catch (error) {
    source.problems.push(`Cannot read the configuration file ${path}: ${messageOf(error)}`);
    return source;
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    source.problems.push(`Cannot read the configuration file ${path}: it must be a JSON object`);
    return source;
  }
  for (const [key, value] of Object.entries(values)) {
    const name = SETTING_NAMES.find((candidate) => candidate === key);
    const texts = textsOf(value);
    if (name === undefined)
      source.problems.push(`${path}: ${unknown('setting', key, SETTING_NAMES)}`);
    else if (texts === undefined) {
      source.problems.push(
        `${path}: ${key} must be a string, a number, a boolean or a list of strings`,
      );
    } else add(source, name, { source: `file ${path}`, texts });
  }
  return source;
}

function textsOf(value: unknown): string[] | undefined {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  const isPlain = items.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
  return isPlain ? items.map(String) : undefined;
}

function add(source: Source, name: SettingName, given: Given): void {
  const earlier = source.given.get(name);
  const texts = [...(earlier?.texts ?? []), ...given.texts];
  if (!settingOf(name).isList && texts.length > 1) {
    source.problems.push(
      earlier === undefined
        ? `The ${given.source} takes one value, not a list`
        : `The ${given.source} is given twice (the other one: ${earlier.source})`,
    );
    return;
  }
  source.given.set(name, { source: given.source, texts });
}

function unknown(kind: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  const hint = near === undefined ? 'see docs/configuration.md' : `did you mean ${near}?`;
  return `Unknown ${kind} ${shown(name)}: ${hint}`;
}

function shown(name: string): string {
  return name.length > SHOWN_LENGTH ? `${name.slice(0, SHOWN_LENGTH)}...` : name;
}

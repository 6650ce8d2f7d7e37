/** The kinds of settings: how each is read from text, shown, and described. All pure. */

/** What reading a value came to. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export interface Setting<T> {
  readonly default: T;
  /** What a value may be, for messages and the documentation: "an integer in 1..65535". */
  readonly range: string;
  /** One sentence or two. */
  readonly description: string;
  /** Without dashes; made from the setting's name when absent. */
  readonly flag?: string;
  /** Flags that mean the same, kept for old scripts. */
  readonly aliases?: readonly string[];
  /** A flag without a value means "true". */
  readonly isSwitch?: boolean;
  /** May be given several times; values are also cut at commas. */
  readonly isList: boolean;
  /** Reads a value as text, one for each time that it was given. */
  parse(texts: readonly string[]): Parsed<T>;
  /** The text of a value, such that `parse` gives the same value again. */
  format(value: T): string;
}

/** What every setting has, whatever its kind. */
interface Common<T> {
  readonly default: T;
  readonly description: string;
  readonly flag?: string;
  readonly aliases?: readonly string[];
}

interface Unit {
  readonly name: string;
  readonly factor: number;
}

/** A number within bounds; who checks it before a node does has them from here. */
export interface BoundedSetting extends Setting<number> {
  readonly min: number;
  readonly max: number;
  /** What may follow the number; none: it stands alone. */
  readonly units: readonly Unit[];
}

export interface ChoiceSetting<T> extends Setting<T> {
  readonly values: readonly T[];
}

const BYTE_UNITS: readonly Unit[] = [
  { name: 'GiB', factor: 1024 ** 3 },
  { name: 'MiB', factor: 1024 ** 2 },
  { name: 'KiB', factor: 1024 },
  { name: 'B', factor: 1 },
];

const TIME_UNITS: readonly Unit[] = [
  { name: 'd', factor: 86_400_000 },
  { name: 'h', factor: 3_600_000 },
  { name: 'm', factor: 60_000 },
  { name: 's', factor: 1_000 },
  { name: 'ms', factor: 1 },
];

/** A whole number within bounds. */
export function integer(
  options: Common<number> & { readonly min: number; readonly max: number },
): BoundedSetting {
  return bounded(options, [], String, `an integer in ${options.min}..${options.max}`);
}

/** A TCP port to listen on. */
export function port(options: Common<number>): BoundedSetting {
  return integer({ ...options, min: 0, max: 65535 });
}

/** A size, in bytes. */
export function bytes(
  options: Common<number> & { readonly min: number; readonly max: number },
): BoundedSetting {
  const show = (value: number): string => withUnit(value, BYTE_UNITS);
  const range = `a size in ${show(options.min)}..${show(options.max)} (units KiB, MiB, GiB)`;
  return bounded(options, BYTE_UNITS, show, range);
}

/** A span of time, in milliseconds. */
export function duration(
  options: Common<number> & { readonly min: number; readonly max: number },
): BoundedSetting {
  const show = (value: number): string => withUnit(value, TIME_UNITS);
  const range = `a time in ${show(options.min)}..${show(options.max)} (units ms, s, m, h, d)`;
  return bounded(options, TIME_UNITS, show, range);
}

function bounded(
  options: Common<number> & { readonly min: number; readonly max: number },
  units: readonly Unit[],
  format: (value: number) => string,
  range: string,
): BoundedSetting {
  const { min, max } = options;
  const parse = ([text = '']: readonly string[]): Parsed<number> => {
    const value = readNumber(text, units);
    if (value === undefined || !Number.isSafeInteger(value) || value < min || value > max) {
      return { ok: false, problem: `it must be ${range}` };
    }
    return { ok: true, value };
  };
  return { ...options, units, range, isList: false, parse, format };
}

function readNumber(text: string, units: readonly Unit[]): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = '', name = ''] = match;
  const factor =
    name === '' ? 1 : units.find((unit) => unit.name.toLowerCase() === name.toLowerCase())?.factor;
  return factor === undefined ? undefined : Number(digits) * factor;
}

/** In the largest unit that gives a whole number. */
function withUnit(value: number, units: readonly Unit[]): string {
  const unit = units.find(({ factor }) => value >= factor && value % factor === 0);
  return unit === undefined ? `${value}` : `${value / unit.factor}${unit.name}`;
}

/** Text, checked by a pattern. */
export function text(
  options: Common<string> & { readonly pattern: RegExp; readonly range: string },
): Setting<string> {
  const { pattern, ...common } = options;
  return {
    ...common,
    isList: false,
    parse: ([value = '']) =>
      pattern.test(value)
        ? { ok: true, value }
        : { ok: false, problem: `it must be ${options.range}` },
    format: (value) => value,
  };
}

/** One of a few words (or numbers). */
export function choice<T extends string | number>(
  options: Common<T> & { readonly values: readonly T[] },
): ChoiceSetting<T> {
  const { values } = options;
  const range = `one of ${values.join(', ')}`;
  return {
    ...options,
    range,
    isList: false,
    parse: ([given = '']) => {
      const value = values.find((candidate) => String(candidate) === given);
      return value === undefined
        ? { ok: false, problem: `it must be ${range}` }
        : { ok: true, value };
    },
    format: String,
  };
}

/** Yes or no; as a flag, its name alone means yes. */
export function toggle(options: Common<boolean>): Setting<boolean> {
  const range = 'true or false';
  return {
    ...options,
    range,
    isList: false,
    isSwitch: true,
    parse: ([given = '']) =>
      given === 'true' || given === 'false'
        ? { ok: true, value: given === 'true' }
        : { ok: false, problem: `it must be ${range}` },
    format: String,
  };
}

/** Several `host:port`, cut at commas. */
export function addresses(options: Common<readonly string[]>): Setting<readonly string[]> {
  const range = 'host:port, several at commas or by repeating it';
  return {
    ...options,
    range,
    isList: true,
    parse: (texts) => {
      const value = texts.flatMap((given) => given.split(',')).map((item) => item.trim());
      const items = value.filter((item) => item !== '');
      const bad = items.find((item) => !isAddress(item));
      return bad === undefined
        ? { ok: true, value: items }
        : { ok: false, problem: `"${bad}" must be host:port` };
    },
    format: (value) => value.join(','),
  };
}

function isAddress(item: string): boolean {
  const match = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(item);
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65535;
}

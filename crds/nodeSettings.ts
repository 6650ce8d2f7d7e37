/**
 * Fields of the spec that end in a setting of the nodes: their bounds are those of node/config/settings.ts, so that the API
 * server refuses what a node would not start with.
 */
import { Type } from '@sinclair/typebox';
import type { TInteger, TUnsafe } from '@sinclair/typebox';
import type { BoundedSetting } from '../node/config/kinds.ts';
import { NO_LESS_THAN, SETTINGS } from '../node/config/settings.ts';
import { described } from './fields.ts';
import type { Rule } from './fields.ts';

/** Of a setting, and of what the spec says instead of the node's own default. */
interface Words {
  readonly description: string;
  readonly default?: string;
}

type Settings = typeof SETTINGS;
/** The settings of which the value is a number within bounds. */
export type BoundedName = {
  [Name in keyof Settings]: Settings[Name] extends BoundedSetting ? Name : never;
}[keyof Settings];

/** A number alone. */
export function numberSetting(name: BoundedName, description: string): TInteger {
  const { min, max } = SETTINGS[name];
  return described(withRange(name, { description }), Type.Integer({ minimum: min, maximum: max }));
}

/** A number with a unit: `500ms`, `30s`, `5m`; `64KiB`, and bytes without one. */
export function amountSetting(name: BoundedName, words: Words): TUnsafe<string> {
  return bounded(SETTINGS[name], withRange(name, words), words.default);
}

/** The same for what is no setting of the nodes; its default is that of the spec. */
export function amount(setting: BoundedSetting): TUnsafe<string> {
  const description = `${setting.description} ${rangeOf(setting)}.`;
  return bounded(setting, description, setting.format(setting.default));
}

function bounded(setting: BoundedSetting, description: string, fallback?: string): TUnsafe<string> {
  const inBounds = `v >= ${double(setting.min)} && v <= ${double(setting.max)}`;
  return Type.Unsafe<string>({
    type: 'string',
    maxLength: 16,
    ...(fallback === undefined ? {} : { default: fallback }),
    description,
    'x-kubernetes-validations': [
      {
        rule: `self.matches('${patternOf(setting)}') && [${valueOf(setting, 'self')}].all(v, ${inBounds})`,
        message: `must be ${setting.range}`,
      },
    ],
  });
}

function withRange(name: BoundedName, { description, default: fallback }: Words): string {
  const range = rangeOf(SETTINGS[name]);
  return `${description} ${range}${fallback === undefined ? `; absent: ${absent(name)}` : ''}.`;
}

function rangeOf(setting: BoundedSetting): string {
  return `From ${setting.format(setting.min)} to ${setting.format(setting.max)}`;
}

/** Times have a unit: a number alone would be milliseconds to a node, and seconds to many a reader. */
function patternOf({ units }: BoundedSetting): string {
  const isTime = units.some(({ name }) => name === 'ms');
  return `^[0-9]+(${units.map(({ name }) => name).join('|')})${isTime ? '' : '?'}$`;
}

/** The value of a text in CEL, as a double, which no amount of digits overflows. */
function valueOf({ units }: BoundedSetting, text: string): string {
  const factors = units.map(({ name, factor }) => `'${name}': ${double(factor)}`).join(', ');
  return `double(${text}.find('^[0-9]+')) * {'': 1.0, ${factors}}[${text}.find('[A-Za-z]*$')]`;
}

function double(value: number): string {
  return value.toFixed(1);
}

/** The rules of all settings together that the nodes have, too. */
export const CONFIG_RULES: readonly Rule[] = NO_LESS_THAN.map(([larger, smaller]) => ({
  rule: `${given(larger)} >= ${given(smaller)}`,
  message: `${larger} must be at least ${smaller} (absent: ${absent(larger)} and ${absent(smaller)})`,
}));

function given(name: BoundedName): string {
  const setting = SETTINGS[name];
  return `(has(self.${name}) ? ${valueOf(setting, `self.${name}`)} : ${double(setting.default)})`;
}

function absent(name: BoundedName): string {
  return SETTINGS[name].format(SETTINGS[name].default);
}

/** For each number of the spec that ends in a setting of the nodes: the smallest and the largest that they take, and one beyond. */
import { NO_LESS_THAN, SETTINGS } from '../../node/config/settings.ts';
import type { BoundedName } from '../nodeSettings.ts';
import { spec } from '../schema.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface SettingEdge {
  readonly spec: Fields;
  readonly isTaken: boolean;
  /** What a refusal says: where, or what it must be. */
  readonly refusal: string;
}

function isBounded(name: string): name is BoundedName {
  return name in SETTINGS && 'min' in SETTINGS[name as keyof typeof SETTINGS];
}

/** As the spec has it, in the smallest unit. */
function written(name: BoundedName, value: number): number | string {
  const { units } = SETTINGS[name];
  if (units.length === 0) return value;
  return units.some((unit) => unit.name === 'ms') ? `${value}ms` : String(value);
}

/** The others such that they allow any value of this one. */
function besides(name: BoundedName): Fields {
  const order: readonly BoundedName[] = [NO_LESS_THAN[0][1], ...NO_LESS_THAN.map(([most]) => most)];
  const place = order.indexOf(name);
  if (place < 0) return {};
  return Object.fromEntries(
    order.map((other, index) => {
      const { min, max } = SETTINGS[other];
      return [other, written(other, index < place ? min : max)];
    }),
  );
}

function* edgesOf(name: BoundedName, specOf: (value: unknown) => Fields): Generator<SettingEdge> {
  const { min, max, units, range } = SETTINGS[name];
  const refusal = units.length === 0 ? `spec.config.${name}` : `must be ${range}`;
  for (const value of [min - 1, min, max, max + 1]) {
    const isTaken = value >= min && value <= max;
    yield { spec: specOf(written(name, value)), isTaken, refusal };
  }
}

/** All edges; they are made from the spec, so that a new field is among them. */
export function settingEdges(): readonly SettingEdge[] {
  const config = Object.keys(spec.properties.config.properties).filter(isBounded);
  return [
    ...config.flatMap((name) => {
      const specOf = (value: unknown): Fields => ({ config: { ...besides(name), [name]: value } });
      return [...edgesOf(name, specOf)];
    }),
    ...edgesOf('shutdownTimeout', (drainTimeout) => ({ drainTimeout })),
  ];
}

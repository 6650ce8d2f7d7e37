/** The kinds of fields of a structural schema of OpenAPI v3 as Kubernetes wants it: every list, map and string is bounded. */
import { Type } from '@sinclair/typebox';
import type { Static, TObject, TProperties, TSchema, TString, TUnsafe } from '@sinclair/typebox';

/** A rule in CEL, and what the user is told when it does not hold. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
}

export function described<S extends TSchema>(description: string, schema: S): S {
  return { ...schema, description };
}

export function oneOf<const T extends string | number>(
  values: readonly T[],
  fallback?: T,
): TUnsafe<T> {
  return Type.Unsafe<T>({
    type: typeof values[0] === 'number' ? 'integer' : 'string',
    enum: [...values],
    ...(fallback === undefined ? {} : { default: fallback }),
  });
}

/** A map of short strings: labels, annotations, selectors. */
export function strings(
  maxValueLength: number,
  pattern?: string,
): TUnsafe<Readonly<Record<string, string>>> {
  const bounded = { type: 'string', maxLength: maxValueLength };
  return Type.Unsafe({
    type: 'object',
    maxProperties: 32,
    additionalProperties: pattern === undefined ? bounded : { ...bounded, pattern },
  });
}

/** What the key of a label may be: a name, with a domain before it or none. */
export const LABEL_KEY = String.raw`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`;
/** What a label may be. */
export const LABEL_VALUE = '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$';

export function listOf<S extends TSchema>(
  item: S,
  maxItems: number,
): TUnsafe<readonly Static<S>[]> {
  return Type.Unsafe({ type: 'array', maxItems, items: item, 'x-kubernetes-list-type': 'atomic' });
}

export function object<P extends TProperties>(
  properties: P,
  rules: readonly Rule[] = [],
): TObject<P> {
  const validations = rules.length === 0 ? {} : { 'x-kubernetes-validations': rules };
  return Type.Object(properties, validations);
}

/** An object that may be left out: the defaults of its fields then. */
export function defaulted<P extends TProperties>(schema: TObject<P>): TUnsafe<Static<TObject<P>>> {
  const defaults = Object.entries(schema.properties)
    .map(([name, property]) => [name, (property as { default?: unknown }).default])
    .filter(([, value]) => value !== undefined);
  return Type.Unsafe({ ...schema, default: Object.fromEntries(defaults) as unknown });
}

/** As Kubernetes takes it; it is checked there. */
export function asKubernetesHasIt(): TUnsafe<Readonly<Record<string, unknown>>> {
  return Type.Unsafe({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
}

/** The name of an object of Kubernetes. */
export function objectName(): TString {
  const part = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  return Type.String({ maxLength: 253, pattern: String.raw`^${part}(\.${part})*$` });
}

/** The name of a namespace: it is part of names in DNS. */
export function namespaceName(): TString {
  return Type.String({ maxLength: 63, pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' });
}

/** An image as container runtimes take it: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. */
export function imageName(): TString {
  const host = String.raw`([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]+)?`;
  const part = String.raw`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`;
  const tag = '[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}';
  const digest = '[a-z0-9]+([-+._][a-z0-9]+)*:[0-9a-fA-F]{32,}';
  const pattern = `^(${host}/)?${part}(/${part})*(:${tag})?(@${digest})?$`;
  return Type.String({ maxLength: 512, pattern });
}

/** An amount as Kubernetes writes it: `10Gi`, `500m`. */
export const QUANTITY = String.raw`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`;
const quantity = Type.Unsafe<string | number>({
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
  minimum: 0,
  maxLength: 32,
  pattern: QUANTITY,
});
export const amounts = Type.Unsafe<Readonly<Record<string, string | number>>>({
  type: 'object',
  maxProperties: 8,
  additionalProperties: quantity,
});

/** A duration: `500ms`, `30s`, `5m`. */
export function duration(fallback: string): TUnsafe<string> {
  const pattern = '^[0-9]+(ms|s|m|h|d)$';
  return Type.Unsafe({ type: 'string', maxLength: 16, pattern, default: fallback });
}

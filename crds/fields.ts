/** The kinds of fields of a structural schema of OpenAPI v3 as Kubernetes wants it: every list, map and string is bounded. */
import { Type } from '@sinclair/typebox';
import type { Static, TObject, TProperties, TSchema, TUnsafe } from '@sinclair/typebox';

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

/** @param words - What it must be, for who reads the refusal: of a `pattern` Kubernetes would show the expression itself. */
interface Form {
  readonly pattern: string;
  readonly words: string;
  readonly maxLength: number;
  readonly default?: string;
}

/** A text of a form. */
function formed({ pattern, words, ...rest }: Form): TUnsafe<string> {
  const rules: readonly Rule[] = [{ rule: matching('self', pattern), message: `must be ${words}` }];
  return Type.Unsafe({ type: 'string', ...rest, 'x-kubernetes-validations': rules });
}

function matching(text: string, pattern: string): string {
  return `${text}.matches(r'${pattern}')`;
}

const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_NAME = String.raw`${DNS_LABEL}(\.${DNS_LABEL})*`;
const QUALIFIED_NAME = `^(${DNS_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`;
const LABEL_VALUE = '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$';
/** Of the domain, the slash and the name. */
const DOMAIN_LENGTH_MAX = 253;
const KEY_LENGTH_MAX = DOMAIN_LENGTH_MAX + 1 + 63;
const KEYS = 'like name or example.com/name';
const VALUES = 'up to 63 letters, digits and - _ . that begin and end with a letter or digit';

/** The key of a label. */
export function labelKey(fallback: string): TUnsafe<string> {
  const words = `the key of a label, ${KEYS}`;
  const form = { maxLength: KEY_LENGTH_MAX, pattern: QUALIFIED_NAME, words };
  return formed({ ...form, default: fallback });
}

type Strings = Readonly<Record<string, string>>;

/** A map of short strings, by keys as labels and annotations have them. */
function strings(maxLength: number, { rule, message }: Rule): TUnsafe<Strings> {
  const isShort = `key.indexOf('/') <= ${DOMAIN_LENGTH_MAX}`;
  return Type.Unsafe({
    type: 'object',
    maxProperties: 32,
    additionalProperties: { type: 'string', maxLength },
    'x-kubernetes-validations': [{ rule: `self.all(key, ${isShort} && ${rule})`, message }],
  });
}

/** Labels, and what selects by them: as Kubernetes checks them. */
export function labels(): TUnsafe<Strings> {
  return strings(63, {
    rule: `${matching('key', QUALIFIED_NAME)} && ${matching('self[key]', LABEL_VALUE)}`,
    message: `must be labels: keys ${KEYS}, values of ${VALUES}`,
  });
}

/** Annotations: their values are anything, and the domain of a key may have capital letters. */
export function annotations(): TUnsafe<Strings> {
  return strings(1024, {
    rule: matching('key.lowerAscii()', QUALIFIED_NAME),
    message: `must be annotations: keys ${KEYS}`,
  });
}

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
export function objectName(): TUnsafe<string> {
  const words = 'the name of an object: lower-case letters, digits, hyphens and dots';
  return formed({ maxLength: 253, pattern: `^${DNS_NAME}$`, words });
}

/** The name of a namespace: it is part of names in DNS. */
export function namespaceName(): TUnsafe<string> {
  const words = 'the name of a namespace: lower-case letters, digits and hyphens';
  return formed({ maxLength: 63, pattern: `^${DNS_LABEL}$`, words });
}

/** An image as container runtimes take it. */
export function imageName(): TUnsafe<string> {
  const host = String.raw`([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]+)?`;
  const part = String.raw`[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`;
  const tag = '[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}';
  const digest = '[a-z0-9]+([-+._][a-z0-9]+)*:[0-9a-fA-F]{32,}';
  const pattern = `^(${host}/)?${part}(/${part})*(:${tag})?(@${digest})?$`;
  const words = 'an image, [HOST[:PORT]/]PATH[:TAG][@DIGEST], its path in lower case';
  return formed({ maxLength: 512, pattern, words });
}

/** The tag of an image. */
export function tagName(): TUnsafe<string> {
  const words = 'the tag of an image: letters, digits and _ . -';
  return formed({ maxLength: 128, pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$', words });
}

const QUANTITY = String.raw`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$`;
const AMOUNT = 'an amount as Kubernetes writes it: 10Gi, 500m, 2';

/** An amount as Kubernetes writes it: `10Gi`, `500m`. */
export function quantity(fallback: string): TUnsafe<string> {
  return formed({ maxLength: 32, pattern: QUANTITY, words: AMOUNT, default: fallback });
}

const intOrQuantity = Type.Unsafe<string | number>({
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
  maxLength: 32,
  'x-kubernetes-validations': [
    { rule: matching('string(self)', QUANTITY), message: `must be ${AMOUNT}` },
  ],
});
export const amounts = Type.Unsafe<Readonly<Record<string, string | number>>>({
  type: 'object',
  maxProperties: 8,
  additionalProperties: intOrQuantity,
});

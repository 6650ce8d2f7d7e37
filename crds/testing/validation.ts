/** What the API server has to say of a value by a structural schema, but for its rules in CEL: those are asked of a real one (e2e/crd). */

export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly default?: unknown;
  readonly [keyword: string]: unknown;
}

/** @returns One line for each thing that is wrong. */
export function problemsIn(schema: Schema, value: unknown, at: string): readonly string[] {
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return [];
  if (!isOfType(schema, value)) return [`${at} is no ${schema.type ?? 'amount'}`];
  if (Array.isArray(value)) return itemsOf(schema, value, at);
  if (typeof value === 'object' && value !== null) return fieldsOf(schema, value, at);
  return isWithin(schema, value) ? [] : [`${at} cannot be ${String(value)}`];
}

function isOfType(schema: Schema, value: unknown): boolean {
  switch (schema.type) {
    case undefined:
      return typeof value === 'string' || Number.isInteger(value);
    case 'integer':
      return Number.isInteger(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === schema.type;
  }
}

function isWithin(schema: Schema, value: unknown): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value);
  const { minimum = value, maximum = value, minLength = 0, maxLength = Infinity } = schema;
  if (typeof value === 'number') return value >= Number(minimum) && value <= Number(maximum);
  if (typeof value !== 'string') return true;
  const isFit = value.length >= Number(minLength) && value.length <= Number(maxLength);
  return isFit && (schema.pattern === undefined || new RegExp(schema.pattern).test(value));
}

function itemsOf(schema: Schema, values: readonly unknown[], at: string): readonly string[] {
  if (values.length > Number(schema['maxItems'])) return [`${at} has too many items`];
  return values.flatMap((item, index) => problemsIn(schema.items ?? {}, item, `${at}[${index}]`));
}

function fieldsOf(schema: Schema, fields: object, at: string): readonly string[] {
  const missing = (schema.required ?? []).filter(
    (name) => !(name in fields) && schema.properties?.[name]?.default === undefined,
  );
  return [
    ...missing.map((name) => `${at}.${name} is missing`),
    ...Object.entries(fields).flatMap(([name, value]) => {
      const known = schema.properties?.[name] ?? schema.additionalProperties;
      const path = `${at}.${name}`;
      return known === undefined ? [`${path} is unknown`] : problemsIn(known, value, path);
    }),
  ];
}

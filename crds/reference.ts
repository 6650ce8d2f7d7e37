/** docs/kubernetes-reference.md: every field of a WalrusCluster, and every condition with its reasons. Pure. */
import { CONDITION_REASONS, CONDITION_TYPES } from '../operator/api/conditions.ts';
import { spec } from './schema.ts';
import { status } from './statusSchema.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly 'x-kubernetes-validations'?: readonly { readonly message: string }[];
}

function isGroup({ properties }: Schema): boolean {
  return properties !== undefined;
}

function rulesOf(schema: Schema): readonly { readonly message: string }[] {
  return schema['x-kubernetes-validations'] ?? [];
}

function valuesOf(schema: Schema): string {
  const { enum: values, minimum, maximum, type = 'amount' } = schema;
  const [rule] = isGroup(schema) ? [] : rulesOf(schema);
  if (rule !== undefined) return rule.message.replace(/^must be /, '');
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  return type;
}

function* rows(properties: Readonly<Record<string, Schema>>, at: string): Generator<string> {
  for (const [name, schema] of Object.entries(properties)) {
    const path = `${at}${name}`;
    const fallback =
      isGroup(schema) || schema.default === undefined
        ? ''
        : `\`${JSON.stringify(schema.default)}\``;
    const cells = [
      `\`${path}\``,
      isGroup(schema) ? '' : valuesOf(schema),
      fallback,
      schema.description ?? '',
    ];
    yield `| ${cells.join(' | ')} |`;
    if (schema.properties !== undefined) yield* rows(schema.properties, `${path}.`);
    const items = schema.items?.properties;
    if (items !== undefined) yield* rows(items, `${path}[].`);
  }
}

function* rules(schema: Schema, at: string): Generator<string> {
  if (!isGroup(schema)) return; // told beside the field
  for (const { message } of rulesOf(schema)) yield `- \`${at}\`: ${message}`;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield* rules(property, `${at}.${name}`);
  }
}

export function referenceDocument(): string {
  // A literal type, known in every field; here any schema is walked.
  const schema = spec as unknown as Schema;
  const seen = status as unknown as Schema;
  return [
    '# WalrusCluster: fields and conditions',
    '',
    'Made by `npm run crds` from crds/schema.ts, crds/statusSchema.ts and operator/api/conditions.ts. How to install and run a cluster: [kubernetes.md](kubernetes.md).',
    '',
    '## spec',
    '',
    '| field | values | default | |',
    '|---|---|---|---|',
    ...rows(schema.properties ?? {}, ''),
    '',
    'The API server refuses what breaks one of these rules:',
    '',
    ...rules(schema, 'spec'),
    '',
    '## status',
    '',
    'What the operator has seen, and does; `kubectl get wc NAME -o yaml` shows it.',
    '',
    '| field | values | default | |',
    '|---|---|---|---|',
    ...rows(seen.properties ?? {}, ''),
    '',
    '## Conditions',
    ...CONDITION_TYPES.flatMap((type) => [
      '',
      `### ${type}`,
      '',
      '| reason | |',
      '|---|---|',
      ...Object.entries(CONDITION_REASONS[type]).map(
        ([reason, text]) => `| \`${reason}\` | ${text} |`,
      ),
    ]),
    '',
  ].join('\n');
}

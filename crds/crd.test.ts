import { describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { CREATIONS } from '../e2e/crd/cases.ts';
import { resolveConfig } from '../node/config.ts';
import { SETTING_NAMES } from '../node/config/settings.ts';
import { environmentOf } from '../operator/desired/environment.ts';
import { ModelCluster } from '../operator/plan/testing/model.ts';
import { customResourceDefinition } from './crd.ts';
import { CONFIG_RULES } from './nodeSettings.ts';
import { referenceDocument } from './reference.ts';
import { spec } from './schema.ts';
import { status } from './statusSchema.ts';
import { settingEdges } from './testing/settingEdges.ts';
import { problemsIn } from './testing/validation.ts';
import type { Schema } from './testing/validation.ts';

const ROOT = path.resolve(__dirname, '..');
const EXAMPLES = fs.readdirSync(path.join(ROOT, 'crds', 'examples'));
const { cluster: CLUSTER } = new ModelCluster(3).observe();

/** Every schema within a schema, with its path. */
function* within(schema: Schema, at: string): Generator<readonly [string, Schema]> {
  yield [at, schema];
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    yield* within(property, `${at}.${name}`);
  }
  if (schema.items !== undefined) yield* within(schema.items, `${at}[]`);
  if (schema.additionalProperties !== undefined) {
    yield* within(schema.additionalProperties, `${at}.*`);
  }
}

describe('the CustomResourceDefinition', () => {
  test.each(['crds', 'helm/walrus/crds'])('is what %s holds: run `npm run crds`', (folder) => {
    const file = path.join(ROOT, folder, 'walrusclusters.walrus.io.yaml');
    expect(parse(fs.readFileSync(file, 'utf8'))).toEqual(customResourceDefinition());
  });

  test('is in the manifests that the chart makes: run `UPDATE_GOLDEN=1 npm run e2e -- e2e/helm`', () => {
    const made = fs.readFileSync(path.join(ROOT, 'helm', 'walrus-operator.yaml'), 'utf8');
    const [first] = parseAllDocuments(made);
    expect(first?.toJS()).toEqual(customResourceDefinition());
  });

  test('docs/kubernetes-reference.md is made from it: run `npm run crds`', () => {
    const file = path.join(ROOT, 'docs', 'kubernetes-reference.md');
    expect(fs.readFileSync(file, 'utf8')).toBe(referenceDocument());
  });

  test('bounds every list, map, number and string of the spec', () => {
    const bounds: Readonly<Record<string, readonly string[]>> = {
      array: ['maxItems'],
      string: ['maxLength', 'enum'],
      integer: ['maximum', 'enum', 'minimum'],
    };
    // A literal type, known in every field; here any schema is walked.
    for (const [at, schema] of within(spec as unknown as Schema, 'spec')) {
      const wanted = bounds[schema.type ?? ''] ?? [];
      if (schema.additionalProperties !== undefined) wanted.concat('maxProperties');
      const has = wanted.length === 0 || wanted.some((bound) => schema[bound] !== undefined);
      expect([at, has]).toEqual([at, true]);
    }
  });

  test('describes every field, for `kubectl explain`', () => {
    const schemas = [
      ...within(spec as unknown as Schema, 'spec'),
      ...within(status as unknown as Schema, 'status'),
    ];
    const fields = schemas.filter(([at]) => /\.\w+$/.test(at));
    const bare = fields.filter(([, { description = '' }]) => !/\.$/.test(String(description)));
    expect(bare.map(([at]) => at)).toEqual([]);
    expect(fields.length).toBeGreaterThan(80);
  });

  test('has as `config` settings that the nodes know', () => {
    const unknown = Object.keys(spec.properties.config.properties).filter(
      (name) => !(SETTING_NAMES as readonly string[]).includes(name),
    );
    expect(unknown).toEqual([]);
  });

  test('takes what the nodes take, to the edge: those of e2e/crd are asked of an API server', () => {
    for (const { spec: given, isTaken } of settingEdges()) {
      expect([given, problemsOf(given).length === 0]).toEqual([given, isTaken]);
    }
    for (const { spec: given, refusal } of CREATIONS) {
      if (refusal === undefined) expect([given, problemsOf(given)]).toEqual([given, []]);
    }
  });

  test.each(CONFIG_RULES)('has a rule of the nodes about several settings: $message', (rule) => {
    const refused = CREATIONS.filter(({ refusal }) => rule.message.startsWith(refusal ?? '-'));
    expect(refused.length).toBeGreaterThan(0);
    for (const { spec: given } of refused) expect(problemsOf(given)).toHaveLength(1);
  });

  test.each(EXAMPLES)('has %s in crds/examples, which is told of in docs/kubernetes.md', (name) => {
    const example = parse(fs.readFileSync(path.join(ROOT, 'crds', 'examples', name), 'utf8')) as {
      kind: string;
      spec: Readonly<Record<string, unknown>>;
    };
    expect(example.kind).toBe('WalrusCluster');
    // A literal type, as above.
    expect(problemsIn(spec as unknown as Schema, example.spec, 'spec')).toEqual([]);
    const wrong = { ...example.spec, replicas: 100, drain: '1s' };
    expect(problemsIn(spec as unknown as Schema, wrong, 'spec')).toHaveLength(2);
    expect(problemsOf(example.spec)).toEqual([]);
    const manual = fs.readFileSync(path.join(ROOT, 'docs', 'kubernetes.md'), 'utf8');
    expect(manual).toContain(`- \`${name}\``);
  });
});

/** What a node says of the environment that it gets for a spec. */
function problemsOf(given: object): readonly string[] {
  const { replicas, storage, placement, drainTimeout, networkPolicy, paused } = CLUSTER.spec;
  const defaults = { replicas, storage, placement, drainTimeout, networkPolicy, paused };
  const variables = environmentOf({ ...CLUSTER, spec: { ...defaults, ...given } });
  const env = Object.fromEntries(variables.map(({ name, value = '1' }) => [name, value]));
  const { POD_NAME, ...settings } = env;
  expect(POD_NAME).toBeDefined();
  return resolveConfig({ argv: [], env: settings }).errors.map(({ message }) => message);
}

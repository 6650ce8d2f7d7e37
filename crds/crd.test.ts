import { describe, expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { SETTING_NAMES, settingOf } from '../node/config/settings.ts';
import { customResourceDefinition } from './crd.ts';
import { referenceDocument } from './reference.ts';
import { spec } from './schema.ts';

const ROOT = path.resolve(__dirname, '..');

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly [keyword: string]: unknown;
}

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

  test('describes every field of the spec', () => {
    const missing = Object.entries(spec.properties)
      .filter(([, schema]) => schema.description === undefined)
      .map(([name]) => name);
    expect(missing).toEqual([]);
  });

  test('has as `config` settings that the nodes know, within their ranges', () => {
    // A literal type, as above.
    const config = (spec.properties.config as unknown as Schema).properties ?? {};
    for (const [name, schema] of Object.entries(config)) {
      expect(SETTING_NAMES).toContain(name);
      for (const value of [schema['minimum'], schema['maximum']].filter((v) => v !== undefined)) {
        const setting = settingOf(name as (typeof SETTING_NAMES)[number]);
        expect(setting.parse([String(value as number)])).toMatchObject({ ok: true });
      }
    }
  });
});

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseManifest } from './manifest.ts';
import type { Manifest, Mutant } from './manifest.ts';
import { checkOnly, invariantNames, overrideConstants, propertyNames } from './modelConfig.ts';
import { jobName, parseOptions, selectJobs } from './selection.ts';
import type { TlcOutcome, TlcResult } from './tlcOutput.ts';
import { judge } from './verdict.ts';

const DIRECTORY = new URL('.', import.meta.url);

function read(file: string): string {
  return readFileSync(new URL(file, DIRECTORY), 'utf8');
}

const manifestFiles = readdirSync(DIRECTORY).filter((file) => file.endsWith('.models.json'));
const manifests = manifestFiles.map((file) => parseManifest(JSON.parse(read(file)), file));
const broken = manifests.flatMap(({ spec, mutants, witnesses }) => [
  ...mutants.map((mutant) => ({ kind: 'mutant', spec, name: mutant.name, mutant })),
  ...witnesses.map((mutant) => ({ kind: 'witness', spec, name: mutant.name, mutant })),
]);

/** The text of a module with all modules of this folder that it extends or instantiates. */
function textOf(module: string): string {
  const file = `${module}.tla`;
  if (!existsSync(new URL(file, DIRECTORY))) return '';
  const text = read(file);
  const used = [...text.matchAll(/^\s*EXTENDS\s+([\w,\s]+?)$(?!\s*,)/gm)]
    .flatMap((match) => (match[1] ?? '').split(/[\s,]+/))
    .concat([...text.matchAll(/\bINSTANCE\s+(\w+)/g)].map((match) => match[1] ?? ''));
  return text + used.map(textOf).join('\n');
}

/** Names that specifications compare their switch with: `Mutant = "X"`, `Mutant # "X"`, in sets. */
function switchesOf(modules: readonly string[]): string[] {
  const text = [...new Set(modules)].map(textOf).join('\n');
  const alone = [...text.matchAll(/Mutant\s*(?:=|#|\/=)\s*"(\w+)"/g)].map((match) => match[1]);
  const sets = [...text.matchAll(/Mutant\s*\\(?:not)?in\s*\{([^}]*)\}/g)].flatMap((match) =>
    [...(match[1] ?? '').matchAll(/"(\w+)"/g)].map((name) => name[1]),
  );
  const names = [...alone, ...sets].filter((name) => name !== undefined && name !== 'none');
  return [...new Set(names)].map(String).sort();
}

describe('manifests', () => {
  test('there is one for a specification at least', () => {
    expect(manifests.length).toBeGreaterThan(0);
  });

  test.each(manifests)(
    '$spec names existing files, and configurations of the real thing',
    (manifest) => {
      for (const entry of [...manifest.models, ...manifest.mutants, ...manifest.witnesses]) {
        expect(existsSync(new URL(`${entry.module}.tla`, DIRECTORY))).toBe(true);
        const config = read(entry.config);
        expect(config).toMatch(/^ {4}Mutant = "none"$/m);
        expect(() => overrideConstants(config, entry.constants ?? {})).not.toThrow();
      }
    },
  );

  test.each(manifests)('$spec and its manifest know the same mutants', ({ models, mutants }) => {
    const modules = [...models, ...mutants].map(({ module }) => module);
    expect(mutants.map(({ name }) => name).sort()).toEqual(switchesOf(modules));
  });

  test.each(manifests)('$spec has a small and a large model', ({ models }) => {
    expect(new Set(models.map(({ size }) => size))).toEqual(new Set(['small', 'large']));
  });

  test.each(broken)('$spec/$name violates something that is checked', ({ mutant, kind }) => {
    const config = read(mutant.config);
    const temporal = propertyNames(config);
    if (kind === 'witness') {
      const text = textOf(mutant.module);
      expect(text).toMatch(new RegExp(`^${mutant.violates} ==`, 'm'));
    } else {
      expect([...invariantNames(config), ...temporal, 'Deadlock']).toContain(mutant.violates);
    }
  });
});

const MUTANT: Mutant = {
  name: 'SkipFence',
  rule: 'R2',
  change: 'The fence is not durable.',
  module: 'MCToy',
  config: 'Toy.cfg',
  violates: 'NothingLost',
};

function toyManifest(spec: string, mutantCount: number): Manifest {
  const model = { module: 'MCToy', config: 'Toy.cfg', checks: 'All.' };
  return {
    spec,
    models: [
      { ...model, name: 'small', size: 'small', distinctStates: 7 },
      { ...model, name: 'large', size: 'large' },
    ],
    mutants: Array.from({ length: mutantCount }, (_, index) => ({
      ...MUTANT,
      name: `${spec}${String(index)}`,
    })),
    witnesses: [],
  };
}

describe('parseManifest()', () => {
  test('gives back what it was given', () => {
    const manifest = toyManifest('Toy', 2);
    expect(parseManifest(JSON.parse(JSON.stringify(manifest)), 'toy')).toEqual(manifest);
  });

  test.each([
    { json: [], message: 'toy: is not an object' },
    { json: { ...toyManifest('Toy', 1), extra: 1 }, message: 'toy: unknown field extra' },
    { json: { ...toyManifest('Toy', 1), mutants: [{}] }, message: 'toy: mutants[0]: name' },
    {
      json: { ...toyManifest('Toy', 1), witnesses: [{ ...MUTANT, name: 'small' }] },
      message: 'toy: the name small is used twice',
    },
  ])('refuses with "$message"', ({ json, message }) => {
    expect(() => parseManifest(json, 'toy')).toThrow(message);
  });
});

describe('modelConfig', () => {
  const config = [
    'SPECIFICATION Spec \\* INVARIANT NotThis',
    'CONSTANTS',
    '    Mutant = "none"',
    '    Nodes <- MCNodes',
    'INVARIANTS',
    '    TypeOk',
    '    NothingLost',
    'PROPERTY Progress',
    'CHECK_DEADLOCK FALSE',
  ].join('\n');

  test('overrideConstants() replaces whole lines', () => {
    const result = overrideConstants(config, { Mutant: '"SkipFence"', Nodes: '<- OneNode' });
    expect(result).toContain('    Mutant = "SkipFence"\n    Nodes <- OneNode\n');
  });

  test('overrideConstants() refuses a name that is not there', () => {
    expect(() => overrideConstants(config, { Mutants: '1' })).toThrow('Cannot override Mutants');
  });

  test('invariantNames() and propertyNames() read their sections only', () => {
    expect(invariantNames(config)).toEqual(['TypeOk', 'NothingLost']);
    expect(propertyNames(config)).toEqual(['Progress']);
  });
});

describe('checkOnly()', () => {
  test('drops the other invariants and properties', () => {
    const config = [
      'SPECIFICATION Spec',
      'INVARIANTS',
      '    TypeOk',
      '    NothingLost',
      'PROPERTY Progress',
      'CHECK_DEADLOCK FALSE',
    ].join('\n');
    expect(checkOnly(config, 'NeverFull')).toBe(
      'SPECIFICATION Spec\nCHECK_DEADLOCK FALSE\nINVARIANT NeverFull\n',
    );
  });
});

describe('selection', () => {
  const toys = [toyManifest('Big', 7), toyManifest('Tiny', 2)];
  const select = (...args: string[]): string[] =>
    selectJobs(toys, parseOptions(args)).map((job) => `${job.spec}/${jobName(job)}`);

  test('chooses small models by default and large ones on demand', () => {
    expect(select()).toEqual(['Big/small', 'Tiny/small']);
    expect(select('--large', '--spec', 'Big')).toEqual(['Big/large']);
  });

  test('finds a single one by name', () => {
    expect(select('--only', 'Tiny1')).toEqual(['Tiny/Tiny1']);
  });

  test('shares cover all mutants, and each has one of every specification', () => {
    const shares = [1, 2, 3, 4].map((index) =>
      select('--mutants', '--share', `${String(index)}/4`),
    );
    expect(new Set(shares.flat())).toEqual(new Set(select('--mutants')));
    for (const share of shares) {
      expect(new Set(share.map((name) => name.split('/')[0]))).toEqual(new Set(['Big', 'Tiny']));
    }
  });

  test.each([
    ['--bogus'],
    ['--share', '1/2'],
    ['--mutants', '--share', '3/2'],
    ['--mutants', '--share'],
    ['--workers', '0'],
    ['--spec', 'Nope'],
    ['--only', 'Nope'],
  ])('refuses %s %s %s', (...args) => {
    expect(() => select(...args)).toThrow();
  });
});

describe('judge()', () => {
  const run = { config: 'PROPERTY Progress', seconds: 1 };
  const result = (outcome: TlcOutcome): TlcResult => ({
    outcome,
    generatedStates: 9,
    distinctStates: 8,
    depth: 3,
    traceLength: 0,
    trace: '',
  });
  const completed = result({ kind: 'completed' });
  const [small, large] = toyManifest('Toy', 0).models;

  test.each([
    { name: 'the named property', outcome: { kind: 'invariant', name: 'NothingLost' }, reason: '' },
    { name: 'nothing', outcome: { kind: 'completed' }, reason: 'survives' },
    {
      name: 'another property',
      outcome: { kind: 'temporal' },
      reason: 'violates Progress instead of NothingLost',
    },
    { name: 'an error', outcome: { kind: 'error', message: 'no parse' }, reason: 'no parse' },
  ] as const)('a mutant with $name', ({ outcome, reason }) => {
    const verdict = judge({ kind: 'mutant', spec: 'Toy', mutant: MUTANT }, result(outcome), run);
    expect(verdict).toMatchObject({ isPassed: reason === '', reason });
  });

  test('a witness that is not reached fails', () => {
    const verdict = judge({ kind: 'witness', spec: 'Toy', mutant: MUTANT }, completed, run);
    expect(verdict.reason).toBe('is not reached');
  });

  test('a model passes without a recorded count, and fails with another one', () => {
    const reasons = [small, large].map((model) =>
      model === undefined
        ? ''
        : judge({ kind: 'model', spec: 'Toy', model }, completed, run).reason,
    );
    expect(reasons).toEqual([
      'has 8 distinct states, the manifest says 7: the specification changed',
      '',
    ]);
  });
});

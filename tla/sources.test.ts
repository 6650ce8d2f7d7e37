/** Holds tla/README.md together with the specifications, the manifests and the code that it names. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseManifest } from './manifest.ts';

const DIRECTORY = new URL('.', import.meta.url);
const ROOT = new URL('..', import.meta.url);

function read(file: string): string {
  return readFileSync(new URL(file, DIRECTORY), 'utf8');
}

interface Row {
  readonly section: string;
  readonly cells: readonly string[];
}

/** All rows of tables, each with the `##` section that it stands in. */
function readRows(markdown: string): Row[] {
  const rows: Row[] = [];
  let section = '';
  for (const line of markdown.split('\n')) {
    if (line.startsWith('## ')) section = line.slice(3).trim();
    if (!line.startsWith('| ')) continue;
    const cells = line.split('|').slice(1, -1);
    rows.push({ section, cells: cells.map((cell) => cell.trim()) });
  }
  return rows;
}

function quoted(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}

const rows = readRows(read('README.md'));

/** Rows of the tables Action, Rule, Source: up to the next table's header. */
function actionRows(): Row[] {
  const found: Row[] = [];
  let isInside = false;
  for (const row of rows) {
    const [first = '', , third = ''] = row.cells;
    if (third === 'Source') isInside = first === 'Action';
    else if (row.cells.length !== 3) isInside = false;
    else if (isInside && !first.startsWith('---')) found.push(row);
  }
  return found;
}

const actions = actionRows();

const DEFINITION = /^(\w+)(?:\([^)]*\))? ==/;

function operatorsOf(specification: string): string[] {
  const lines = read(specification).split('\n');
  return lines.flatMap((line) => DEFINITION.exec(line)?.[1] ?? []);
}

/** Operators whose definition says what stays UNCHANGED: the actions, and the halves of actions. */
function actionsOf(specification: string): string[] {
  const names = new Set<string>();
  let name = '';
  for (const line of read(specification).split('\n')) {
    name = DEFINITION.exec(line)?.[1] ?? name;
    if (line.includes('UNCHANGED')) names.add(name);
  }
  return [...names];
}

/** Whether a TypeScript file declares a function, method, getter, constant or class of the name. */
function declares(text: string, name: string): boolean {
  const keyword = `(?:function|class|const) ${name}\\b`;
  const method = `^ +(?:static |async |get )*#?${name}(?:<[^>]*>)?\\(`;
  const property = `^ +${name}: `;
  return new RegExp(`${keyword}|${method}|${property}`, 'm').test(text);
}

describe('the table of actions', () => {
  test.each([
    ['Segment', ['Segment.tla', 'DiskIdentity.tla']],
    ['Chain', ['Chain.tla']],
    ['Metadata', ['Metadata.tla']],
  ])(
    '%s names every action of its specification, and nothing that it has not',
    (section, files) => {
      const named = actions
        .filter((row) => row.section === section)
        .flatMap((row) => quoted(row.cells[0] ?? ''));
      expect(named).toEqual(expect.arrayContaining(files.flatMap(actionsOf)));
      expect(files.flatMap(operatorsOf)).toEqual(expect.arrayContaining(named));
    },
  );

  test.each(actions)('$section: $cells.0 names what is there', ({ cells }) => {
    const source = cells[2] ?? '';
    const names = quoted(source);
    expect(names.length > 0 || /^(?:-|environment|not built: .+)$/.test(source)).toBe(true);
    let text = '';
    for (const name of names) {
      if (name.endsWith('.ts')) {
        expect([name, existsSync(new URL(name, ROOT))]).toEqual([name, true]);
        text = readFileSync(new URL(name, ROOT), 'utf8');
      } else {
        expect([name, declares(text, name)]).toEqual([name, true]);
      }
    }
  });
});

describe('the tables of models and mutants', () => {
  const manifests = readdirSync(DIRECTORY)
    .filter((file) => file.endsWith('.models.json'))
    .map((file) => parseManifest(JSON.parse(read(file)), file));
  const rowOf = (section: string, name: string): readonly string[] =>
    rows.find(
      (row) => row.section === section && [name, `\`${name}\``].includes(row.cells[0] ?? ''),
    )?.cells ?? [];

  test.each(manifests)('$spec: every model has been run to its end', ({ spec, models }) => {
    for (const { name, distinctStates } of models) {
      const count = distinctStates?.toLocaleString('en-US') ?? 'a count of distinct states';
      expect([name, rowOf(spec, name)]).toEqual([name, expect.arrayContaining([count])]);
    }
  });

  test('every configuration belongs to a model, a mutant or a witness', () => {
    const used = manifests.flatMap(({ models, mutants, witnesses }) =>
      [...models, ...mutants, ...witnesses].map(({ config }) => config),
    );
    const files = readdirSync(DIRECTORY).filter((file) => file.endsWith('.cfg'));
    expect(new Set(files)).toEqual(new Set(used));
  });

  test.each(manifests)('$spec: mutants violate what the manifest says', (manifest) => {
    for (const { name, violates } of [...manifest.mutants, ...manifest.witnesses]) {
      const cells = rowOf(manifest.spec, name).flatMap((cell) => [cell, ...quoted(cell)]);
      expect([name, cells]).toEqual([name, expect.arrayContaining([violates])]);
    }
  });
});

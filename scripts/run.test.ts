import { afterEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const RUN = path.resolve(__dirname, 'run.mjs');
const PACKAGES = {
  '': { version: '1.0.0' },
  'node_modules/sea': { version: '1.2.3', integrity: 'sha512-a' },
  'node_modules/elsewhere': { version: '1.0.0', integrity: 'sha512-b', optional: true },
};
const { 'node_modules/sea': sea, ...others } = PACKAGES;

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) fs.rmSync(place, { recursive: true });
});

/** A project, and an npm that says that it was called and installs what is wanted. */
function project(installed: object | string | null) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-run-'));
  places.push(root);
  const write = (name: string, content: string, mode = 0o644): void => {
    const file = path.join(root, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content, { mode });
  };
  fs.mkdirSync(path.join(root, 'scripts'));
  fs.copyFileSync(RUN, path.join(root, 'scripts', 'run.mjs'));
  write('package-lock.json', JSON.stringify({ packages: PACKAGES }));
  const npm =
    'echo "$@" >> calls; mkdir -p node_modules; cp package-lock.json node_modules/.package-lock.json';
  write('bin/npm', `#!/bin/sh\n${npm}\n`, 0o755);
  if (installed !== null) {
    const content = typeof installed === 'string' ? installed : JSON.stringify(installed);
    write('node_modules/.package-lock.json', content);
  }
  const run = (): { readonly status: number | null; readonly calls: number } => {
    const PATH = `${path.join(root, 'bin')}${path.delimiter}${process.env['PATH'] ?? ''}`;
    const args = [path.join(root, 'scripts', 'run.mjs'), process.execPath, '-e', 'process.exit(7)'];
    const { status } = spawnSync(process.execPath, args, { env: { ...process.env, PATH } });
    const file = path.join(root, 'calls');
    const calls = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
    for (const call of calls) expect(call).toMatch(/^ci /);
    return { status, calls: calls.length };
  };
  return { run };
}

describe('scripts/run.mjs', () => {
  test.each([
    ['all of it', { packages: PACKAGES }],
    ['all but what is for other platforms', { packages: { 'node_modules/sea': sea } }],
    ['more than that', { packages: { ...PACKAGES, 'node_modules/more': sea } }],
  ])('installs nothing where whoever it was has installed %s', (_, installed) => {
    expect(project(installed).run()).toEqual({ status: 7, calls: 0 });
  });

  test.each([
    ['nothing is there', null],
    ['an installation was broken off', '{"packages":'],
    ['a package is missing', { packages: others }],
    [
      'a package is an older one',
      { packages: { ...PACKAGES, 'node_modules/sea': { ...sea, version: '1.2.2' } } },
    ],
    [
      'a package has other content',
      { packages: { ...PACKAGES, 'node_modules/sea': { ...sea, integrity: 'sha512-c' } } },
    ],
  ])('installs once where %s', (_, installed) => {
    const { run } = project(installed);
    expect(run()).toEqual({ status: 7, calls: 1 });
    expect(run()).toEqual({ status: 7, calls: 1 });
  });
});

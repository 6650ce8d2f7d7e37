import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(__dirname, '..');
const FOLDERS = ['base', 'protocol', 'node', 'client', 'cli', 'bench', 'scripts'];

/** A small project that breaks each rule once: file -> imports. */
const BROKEN: Readonly<Record<string, { imports: string[]; breaks: string[] }>> = {
  'base/a.ts': { imports: ['../protocol/a.ts'], breaks: ['base-is-alone', 'no-cycles'] },
  'protocol/a.ts': { imports: ['../base/a.ts'], breaks: [] }, // the cycle is told at its first file
  'protocol/b.ts': { imports: ['../client/b.ts'], breaks: ['protocol-is-pure'] },
  'node/raft/a.ts': { imports: ['../state/a.ts'], breaks: ['raft-is-pure'] },
  'node/state/a.ts': { imports: ['../storage/a.ts'], breaks: ['state-is-pure'] },
  'node/storage/a.ts': { imports: ['node:fs'], breaks: ['only-io-touches-the-outside'] },
  'node/server/a.ts': { imports: ['../io/a.ts'], breaks: ['io-is-passed-in'] },
  'node/server/b.ts': { imports: ['../sim/a.ts'], breaks: ['nobody-imports-node-sim'] },
  'node/server/c.ts': { imports: ['./c.test.ts'], breaks: ['nobody-imports-tests'] },
  'node/server/d.ts': { imports: ['./absent.ts'], breaks: ['no-missing'] },
  'node/server/e.ts': { imports: ['express'], breaks: ['only-io-uses-packages'] },
  'node/io/b.ts': { imports: ['fast-check'], breaks: ['no-dev-packages'] },
  'client/a.ts': { imports: ['../node/server/b2.ts'], breaks: ['client-is-a-library'] },
  'client/io/a.ts': { imports: ['../../node/io/a.ts'], breaks: ['client-io-knows-no-node'] },
  'cli/a.ts': { imports: ['../node/server/b2.ts'], breaks: ['cli-uses-the-client'] },
  'cli/b.ts': { imports: ['../bench/a.ts'], breaks: ['nobody-imports-bench'] },
};

/** What is allowed, beside it. */
const FINE: Readonly<Record<string, string[]>> = {
  'client/b.ts': [],
  'node/storage/b.ts': ['../../base/b.ts'],
  'base/b.ts': [],
  'node/server/b2.ts': ['../storage/b.ts', '../../protocol/c.ts'],
  'protocol/c.ts': ['../base/b.ts'],
  'node/io/a.ts': ['node:fs', 'node:net', 'express', '../server/b2.ts'],
  'node/main.ts': ['./io/a.ts', './server/b2.ts', 'node:process'],
  'node/sim/a.ts': ['../server/b2.ts'],
  'node/server/c.test.ts': ['node:fs', '../io/a.ts'],
  'client/io/b.ts': ['node:net', '../b.ts'],
  'cli/main.ts': ['../client/b.ts', '../node/main.ts', 'node:process'],
  'bench/a.ts': ['../node/io/a.ts'],
  'scripts/a.ts': ['node:fs'],
};

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
}

test('the import rules find each kind of forbidden import, and nothing else', () => {
  const project = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-structure-'));
  const imports = Object.entries(FINE).concat(
    Object.entries(BROKEN).map(([file, broken]) => [file, broken.imports]),
  );
  for (const [file, targets] of imports) {
    fs.mkdirSync(path.dirname(path.join(project, file)), { recursive: true });
    const lines = targets.map((target) => `import '${target}';\n`);
    fs.writeFileSync(path.join(project, file), `${lines.join('')}export {};\n`);
  }
  fs.writeFileSync(path.join(project, 'tsconfig.json'), '{}');
  fs.copyFileSync(path.join(ROOT, 'package.json'), path.join(project, 'package.json'));
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(project, 'node_modules'));
  const config = path.join(ROOT, '.dependency-cruiser.mjs');
  const cruise = spawnSync(
    process.execPath,
    [path.join(ROOT, 'node_modules/.bin/depcruise'), '--config', config, '-T', 'json', ...FOLDERS],
    { cwd: project, encoding: 'utf8' },
  );
  fs.rmSync(project, { recursive: true });
  const { summary } = JSON.parse(cruise.stdout) as { summary: { violations: Violation[] } };
  const found = summary.violations.map(({ rule, from }) => `${from} ${rule.name}`);
  const expected = Object.entries(BROKEN).flatMap(([file, { breaks }]) =>
    breaks.map((name) => `${file} ${name}`),
  );
  expect(found.sort()).toEqual(expected.sort());
});

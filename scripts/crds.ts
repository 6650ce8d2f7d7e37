/** Writes the CustomResourceDefinition and its reference from crds/schema.ts: `npm run crds`. A test holds both together. */
import fs from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { customResourceDefinition } from '../crds/crd.ts';
import { referenceDocument } from '../crds/reference.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const NAME = 'walrusclusters.walrus.io.yaml';
/** For kubectl, and for the chart, which installs it before its templates. */
const FILES = [path.join('crds', NAME), path.join('helm', 'walrus', 'crds', NAME)];
const HEADER = '# Made by `npm run crds` from crds/schema.ts.\n';

write(path.join('docs', 'kubernetes-reference.md'), referenceDocument());
for (const file of FILES) write(file, HEADER + crdYaml());

function write(file: string, content: string): void {
  fs.writeFileSync(path.join(ROOT, file), content);
  process.stdout.write(`${file}\n`);
}

function crdYaml(): string {
  return stringify(customResourceDefinition(), { lineWidth: 120, aliasDuplicateObjects: false });
}

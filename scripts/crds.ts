/** Writes crds/ from crds/schema.ts: `npm run crds`. A test holds both together. */
import fs from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { customResourceDefinition } from '../crds/crd.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const FILE = path.join('crds', 'walrusclusters.walrus.io.yaml');
const HEADER = '# Made by `npm run crds` from crds/schema.ts.\n';

fs.writeFileSync(path.join(ROOT, FILE), HEADER + crdYaml());
process.stdout.write(`${FILE}\n`);

function crdYaml(): string {
  return stringify(customResourceDefinition(), { lineWidth: 120, aliasDuplicateObjects: false });
}

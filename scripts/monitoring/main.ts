/** Writes the files of files.ts: `npm run monitoring`. A test holds both together. */
import fs from 'node:fs';
import path from 'node:path';
import { monitoringFiles } from './files.ts';

const ROOT = path.resolve(import.meta.dirname, '..', '..');

for (const file of monitoringFiles()) {
  const place = path.join(ROOT, file.path);
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.writeFileSync(place, file.content);
  process.stdout.write(`${file.path}\n`);
}

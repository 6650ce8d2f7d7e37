import { expect, test } from '@jest/globals';
import fs from 'node:fs';
import path from 'node:path';
import { monitoringFiles } from './files.ts';

const ROOT = path.resolve(__dirname, '..', '..');

test.each(monitoringFiles())('$path is made from code: run `npm run monitoring`', (file) => {
  expect(fs.readFileSync(path.join(ROOT, file.path), 'utf8')).toBe(file.content);
});

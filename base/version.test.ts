import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SOFTWARE_VERSION } from './version.ts';

test('SOFTWARE_VERSION is the version of the package', () => {
  const file = path.join(__dirname, '..', 'package.json');
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string };
  expect(SOFTWARE_VERSION).toBe(version);
});

/** Runs the stories in testdata/; UPDATE_GOLDEN=1 rewrites what they print, and the diff is to be reviewed. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { runScript } from './testing/script.ts';

const DIRECTORY = join(__dirname, 'testdata');

describe('The story', () => {
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith('.txt'));

  test.each(names)('%s', (name) => {
    const path = join(DIRECTORY, name);
    const script = readFileSync(path, 'utf8');
    const printed = runScript(script);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, printed);
    else expect(printed).toBe(script);
  });
});

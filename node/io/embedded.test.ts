/** Runs the example of docs/embedded.md as it stands there, in a process of its own; and what a killed process leaves. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { openStore } from './embedded.ts';

const ENTRY = pathToFileURL(path.resolve('node/io/embedded.ts')).href;
const NODE = path.resolve('node_modules/.bin/node');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'walrus-embedded-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('the embedded engine', () => {
  test('does what docs/embedded.md shows', () => {
    const [, source = '', output] =
      /```ts\n([\s\S]*?)```[\s\S]*?```\n([\s\S]*?)```/.exec(
        readFileSync('docs/embedded.md', 'utf8'),
      ) ?? [];
    const file = path.join(folder, 'example.mts');
    writeFileSync(file, source.replace('walrus/embedded', ENTRY));
    const printed = execFileSync(NODE, [file], { cwd: folder, encoding: 'utf8' });
    expect(printed).toBe(output);
  });

  test('has everything that was confirmed to a process that is killed, and its lock is free', async () => {
    const file = path.join(folder, 'writer.mts');
    writeFileSync(
      file,
      `import { openStore } from '${ENTRY}';
       const topic = (await openStore({ directory: 'data' })).topic('t');
       for (let i = 0; ; i += 1) {
         for (let n = 0; n < i % 5; n += 1) topic.push(Buffer.from('not awaited'));
         await topic.append(Buffer.from(String(i)));
         process.stdout.write(i + '\\n');
       }`,
    );
    const writer = spawn(NODE, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let confirmed = '';
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      confirmed += text;
      if (confirmed.length > 500) writer.kill('SIGKILL');
    });
    const directory = path.join(folder, 'data');
    await once(writer.stdout, 'data');
    await expect(openStore({ directory })).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' });
    await once(writer, 'close');
    const store = await openStore({ directory });
    const values = [...store.topic('t').records()].map(({ value }) =>
      Buffer.from(value ?? []).toString(),
    );
    const numbers = values.filter((value) => /^\d+$/.test(value)).map(Number);
    expect(numbers).toEqual(numbers.map((_, i) => i));
    const lines = confirmed.split('\n').slice(0, -1);
    expect(numbers.length).toBeGreaterThanOrEqual(lines.length);
    await store.close();
  });
});

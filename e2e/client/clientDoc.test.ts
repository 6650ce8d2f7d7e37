/** Runs each example of docs/client.md as it stands there against a real node, and compares what it prints. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Cluster } from '../chaos/cluster.ts';

const ROOT = path.resolve(__dirname, '..', '..');
const ENTRY = pathToFileURL(path.join(ROOT, 'client', 'index.ts')).href;
const NODE = path.join(ROOT, 'node_modules', '.bin', 'node');
const TEST_MS_MAX = 120_000;

interface Example {
  readonly source: string;
  readonly output: string;
}

/** Each block of TypeScript with the block of output behind it. */
function examples(): Example[] {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'client.md'), 'utf8');
  const pairs = text.matchAll(/```ts\n([^]*?)```\n+It prints:\n+```\n([^]*?)```/g);
  return [...pairs].map(([, source = '', output = '']) => ({ source, output }));
}

let folder: string;
let cluster: Cluster;
beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-client-doc-'));
  cluster = await Cluster.start({
    nodesCount: 1,
    directory: folder,
    command: [path.join(ROOT, 'cli', 'main.ts'), 'node'],
    settings: [],
  });
}, TEST_MS_MAX);
afterAll(async () => {
  await cluster.end();
  fs.rmSync(folder, { recursive: true, force: true });
}, TEST_MS_MAX);

test('every block of TypeScript has its output', () => {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'client.md'), 'utf8');
  expect(examples().length).toBe(text.split('```ts').length - 1);
});

test.each(examples().map((example, index) => [index + 1, example] as const))(
  'example %i does what it says',
  async (index, { source, output }) => {
    const file = path.join(folder, `example-${index}.mts`);
    const [address = ''] = cluster.addresses;
    fs.writeFileSync(
      file,
      source.replace('walrus/client', ENTRY).replaceAll('127.0.0.1:9091', address),
    );
    const { stdout } = await promisify(execFile)(NODE, [file], { cwd: folder });
    expect(stdout).toBe(output);
  },
  TEST_MS_MAX,
);

test('the metrics that docs/health.md names are there', async () => {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'health.md'), 'utf8');
  const named = [...text.matchAll(/`(walrus_\w+)`/g)].map(([, name = '']) => name);
  const [node] = cluster.nodes;
  const metrics = await (await fetch(`http://127.0.0.1:${node?.ports.http}/metrics`)).text();
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !metrics.includes(`# TYPE ${name} `))).toEqual([]);
});

/** Runs the README's tour as it stands there: real processes on free ports, the commands and the outputs compared. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const ROOT = process.cwd();
const READY = /walrus cluster ready: (\S+)/;
/** Ports in the text, and how far they lie above the base port of `npm start -- --base-port`. */
const PORTS = { 9091: 1, 9092: 2, 9093: 3, 9191: 21, 9192: 22, 9193: 23 };
const START_MS_MAX = 60_000;

interface Step {
  readonly command: string;
  readonly output: string;
}

/** Commands (`$ ...`) of the tour's shell blocks, each with the lines that follow it. */
function stepsOf(readme: string): Step[] {
  const tour = readme.slice(
    readme.indexOf('## Five-minute tour'),
    readme.indexOf('## What it guarantees'),
  );
  const blocks = [...tour.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...lines] = step.trimEnd().split('\n');
        return { command, output: lines.join('\n') };
      }),
  );
}

/** A port P such that P+1..P+23 were free a moment ago. */
async function freeBasePort(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const base = 20_000 + Math.floor(Math.random() * 30_000);
    const wanted = [1, 2, 3, 11, 12, 13, 21, 22, 23].map((step) => base + step);
    const isFree = await Promise.all(wanted.map(canListen));
    if (isFree.every(Boolean)) return base;
  }
  throw new Error('No free ports');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

const steps = stepsOf(readFileSync(path.join(ROOT, 'README.md'), 'utf8'));
let folder: string;
let cluster: ChildProcess;
let basePort: number;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'walrus-tour-'));
  basePort = await freeBasePort();
  const args = ['dev', '--base-port', String(basePort), '--data-dir', path.join(folder, 'data')];
  cluster = spawn(process.execPath, ['cli/main.ts', ...args], { cwd: ROOT });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Not ready: ${output}`)), START_MS_MAX);
    const listen = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!READY.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    cluster.stdout?.on('data', listen);
    cluster.stderr?.on('data', listen);
  });
  // `npx walrus`, without the second that npx takes.
  const launcher = `#!/bin/sh\nshift\nexec "${process.execPath}" "${ROOT}/cli/main.ts" "$@"\n`;
  writeFileSync(path.join(folder, 'npx'), launcher, { mode: 0o755 });
}, START_MS_MAX + 5000);

afterAll(async () => {
  cluster.kill('SIGINT');
  await new Promise((resolve) => cluster.once('exit', resolve));
  rmSync(folder, { recursive: true, force: true });
}, 30_000);

function atOurPorts(text: string): string {
  return text.replace(/(127\.0\.0\.1:)(\d{4})/g, (whole, host: string, port: string) => {
    const step = PORTS[Number(port) as keyof typeof PORTS] as number | undefined;
    return step === undefined ? whole : `${host}${basePort + step}`;
  });
}

test('the tour has its steps', () => {
  expect(steps.length).toBeGreaterThanOrEqual(10);
  expect(steps[0]?.command).toBe('npm start');
});

test('every command of the tour prints what the README says', () => {
  for (const { command, output } of steps.slice(1)) {
    const env = {
      ...process.env,
      PATH: `${folder}${path.delimiter}${process.env['PATH'] ?? ''}`,
      WALRUS_ADDR: `127.0.0.1:${basePort + 1}`,
    };
    const printed = execFileSync('sh', ['-c', atOurPorts(command)], {
      env,
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect({ command, printed: printed.toString().trimEnd() }).toEqual({
      command,
      printed: atOurPorts(output),
    });
  }
}, 120_000);

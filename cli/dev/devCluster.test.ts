/**
 * The whole of it with real processes: three nodes under their supervisor, records in through one node, a node killed
 * in the middle, everything back through another one. Waits for conditions, never for a time.
 */
import { afterEach, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFree } from './ports.ts';

const ROOT = path.resolve(__dirname, '..', '..');
const LINE = `${'0123456789abcdef'.repeat(63)}....`;
const LINES_COUNT = 8 * 1024;
const LIMIT_MS = 120_000;

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}, LIMIT_MS);

/** The stock Node of a test run hands over to the one that the package brings. */
function walrus(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [path.join(ROOT, 'cli', 'walrus.mjs'), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return child;
}

/** All that a process writes to a stream. */
function textOf(stream: NodeJS.ReadableStream | null): { text: string } {
  const all = { text: '' };
  stream?.on('data', (chunk: Buffer | string) => {
    all.text += chunk.toString();
  });
  return all;
}

async function until(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS / 2;
  while (!(await isDone())) {
    if (performance.now() > deadlineMs) throw new Error(`In vain waited for: ${what}`);
    await sleep(20);
  }
}

async function freeBasePort(): Promise<number> {
  for (;;) {
    const base = randomInt(12_000, 31_000);
    const ports = [1, 2, 3, 11, 12, 13, 21, 22, 23].map((each) => base + each);
    const free = await Promise.all(ports.map((port) => isFree(port)));
    if (free.every(Boolean)) return base;
  }
}

async function isReady(httpPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok;
  } catch {
    return false; // nobody listens yet
  }
}

/** The process id of a node, from the process table. */
async function pidOf(parent: number, nodeId: number): Promise<number> {
  const children = await fs.readFile(`/proc/${parent}/task/${parent}/children`, 'utf8');
  for (const word of children.split(' ').filter((each) => each !== '')) {
    const file = `/proc/${word}/cmdline`;
    const words = existsSync(file) ? readFileSync(file, 'utf8').split('\0') : [];
    if (words[words.indexOf('--node-id') + 1] === String(nodeId)) return Number(word);
  }
  throw new Error(`Node ${nodeId} does not run`);
}

async function done(child: ChildProcess, what: string): Promise<void> {
  const errors = textOf(child.stderr);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${errors.text}`);
}

/** The nodes' processes are found in /proc. */
const testOnLinux = process.platform === 'linux' ? test : test.skip;

testOnLinux(
  'what goes in through one node while another is killed comes out of a third, byte for byte',
  async () => {
    const base = await freeBasePort();
    const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'walrus-dev-'));
    cleanups.push(() => fs.rm(dataDir, { recursive: true, force: true }));
    const { dev, noted } = await started(base, dataDir);
    const second = walrus('dev', '--fresh', '--base-port', '1', '--data-dir', dataDir);
    await expect(done(second, 'a second one')).rejects.toThrow('DATA_DIR_LOCKED');
    const [first, third] = [`127.0.0.1:${base + 1}`, `127.0.0.1:${base + 3}`];
    await done(walrus('topic', 'create', 't', '--addr', first), 'topic create');

    const produce = walrus('produce', 't', '--addr', first);
    const produced = done(produce, 'produce');
    const sent = createHash('sha256');
    const victim = await pidOf(await supervisorOf(dev), 2);
    for (let i = 0; i < LINES_COUNT; i += 1) {
      if (i === LINES_COUNT / 2) process.kill(victim, 'SIGKILL');
      const line = `${i} ${LINE}\n`;
      sent.update(line);
      if (produce.stdin?.write(line) === false) await once(produce.stdin, 'drain');
    }
    produce.stdin?.end();
    await produced;

    const consume = walrus('consume', 't', '--addr', third);
    const received = createHash('sha256');
    consume.stdout?.on('data', (chunk: Buffer) => received.update(chunk));
    await done(consume, 'consume');
    expect(received.digest('hex')).toBe(sent.digest('hex'));

    expect(noted.text).toContain('node 2 died (SIGKILL)');
    expect(noted.text).toContain(`export WALRUS_ADDR=${first}`);
    await until('node 2 to serve again', () => isReady(base + 22));
  },
  LIMIT_MS,
);

testOnLinux(
  'a stopped cluster finds its data again, also with all of its ports changed',
  async () => {
    const dataDir = await fs.mkdtemp(path.join(os.tmpdir(), 'walrus-dev-'));
    cleanups.push(() => fs.rm(dataDir, { recursive: true, force: true }));
    const base = await freeBasePort();
    const { dev } = await started(base, dataDir);
    await done(walrus('register', 't', '--addr', `127.0.0.1:${base + 1}`), 'register');
    await done(walrus('put', 't', 'still here', '--addr', `127.0.0.1:${base + 2}`), 'put');
    await stop(dev);
    const other = await freeBasePort();
    await started(other, dataDir);
    const get = walrus('get', 't', '--addr', `127.0.0.1:${other + 3}`);
    const got = textOf(get.stdout);
    await done(get, 'get');
    expect(got.text).toBe('OK still here\n');
  },
  LIMIT_MS,
);

/** Starts a cluster and waits until it serves. */
async function started(
  base: number,
  dataDir: string,
): Promise<{ readonly dev: ChildProcess; readonly noted: { readonly text: string } }> {
  const dev = walrus('dev', '--base-port', String(base), '--data-dir', dataDir);
  cleanups.push(() => stop(dev));
  const said = textOf(dev.stdout);
  const noted = textOf(dev.stderr);
  await until('the cluster', () => said.text.includes('walrus cluster ready'));
  return { dev, noted };
}

async function stop(dev: ChildProcess): Promise<void> {
  if (dev.exitCode !== null) return;
  dev.kill('SIGTERM');
  await once(dev, 'close');
}

/** The process that has the nodes: the one started here, or its child on an older Node. */
async function supervisorOf(dev: ChildProcess): Promise<number> {
  const pid = dev.pid as number;
  const isHandedOver = Number(process.versions.node.split('.')[0]) < 24;
  if (!isHandedOver) return pid;
  return Number((await fs.readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ')[0]);
}

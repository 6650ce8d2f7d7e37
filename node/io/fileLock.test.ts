import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { RealDisk } from './realDisk.ts';

/** Takes the lock in a process of its own, says so, and stays. */
const HOLDER = `
const { lockFile } = await import(process.argv[1]);
try {
  lockFile(process.argv[2]);
  process.stdout.write('locked');
  setInterval(() => undefined, 1000);
} catch (error) {
  process.stdout.write(error.code);
}`;

let root = '';
let children: ChildProcess[] = [];

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-lock-'));
});

afterEach(async () => {
  for (const child of children) await kill(child);
  children = [];
  fs.rmSync(root, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function startHolder(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(
    process.execPath,
    ['--input-type=module', '-e', HOLDER, path.join(__dirname, 'fileLock.ts'), `${root}/LOCK`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(child);
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, said: said.toString() };
}

describe('the lock of a data directory', () => {
  test('excludes another process, also a stopped one, and names it', async () => {
    const { child, said } = await startHolder();
    expect(said).toBe('locked');
    const disk = new RealDisk(root);
    expect(() => disk.lock('LOCK')).toThrow(
      `process ${String(child.pid)} on ${os.hostname()} uses this data directory`,
    );
    child.kill('SIGSTOP');
    expect(() => disk.lock('LOCK')).toThrow(expect.objectContaining({ code: 'DATA_DIR_LOCKED' }));
  });

  test('is free at once after kill -9, whatever the process ids are', async () => {
    const { child } = await startHolder();
    await kill(child);
    // The dead owner's pid now belongs to a living process: this one.
    fs.writeFileSync(
      `${root}/LOCK.owner`,
      JSON.stringify({ pid: process.pid, host: os.hostname() }),
    );
    const lock = new RealDisk(root).lock('LOCK');
    expect((await startHolder()).said).toBe('DATA_DIR_LOCKED');
    lock.release();
    lock.release();
    expect((await startHolder()).said).toBe('locked');
  });

  test('goes to exactly one of several processes that start together', async () => {
    const said = await Promise.all(
      Array.from({ length: 4 }, async () => (await startHolder()).said),
    );
    expect(said.sort()).toEqual([...Array<string>(3).fill('DATA_DIR_LOCKED'), 'locked']);
  });

  test('excludes a second holder in the same process', () => {
    const disk = new RealDisk(root);
    const lock = disk.lock('LOCK');
    expect(() => disk.lock('LOCK')).toThrow(expect.objectContaining({ code: 'DATA_DIR_LOCKED' }));
    lock.release();
    disk.lock('LOCK').release();
    expect(disk.list('')).toEqual(['LOCK']);
    expect(disk.open('LOCK').sizeBytes()).toBe(0);
  });

  test('tells a lock file that is not one', () => {
    fs.writeFileSync(`${root}/LOCK`, 'x'.repeat(5000));
    expect(() => new RealDisk(root).lock('LOCK')).toThrow(
      expect.objectContaining({ code: 'DISK_FAILED' }),
    );
  });
});

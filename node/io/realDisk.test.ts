import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AssertionError } from '../../base/assert.ts';
import { WalrusError } from '../../base/errors.ts';
import { diskError } from './diskErrors.ts';
import { RealDisk } from './realDisk.ts';

let root = '';
let disk: RealDisk;

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-disk-'));
  disk = new RealDisk(path.join(root, 'data', 'node-1'));
});

afterEach(() => {
  jest.restoreAllMocks();
  fs.rmSync(root, { recursive: true, force: true });
});

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof WalrusError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('RealDisk in a directory that cannot be one', () => {
  test.each(['file', 'file/below', '/proc/absent/below', `/${'x'.repeat(300)}`])(
    'refuses %s as INVALID_CONFIG, and comes back',
    (directory) => {
      fs.writeFileSync(path.join(root, 'file'), '');
      expect(codeOf(() => new RealDisk(path.resolve(root, directory)))).toBe('INVALID_CONFIG');
    },
  );

  test('refuses one that it may not write to', () => {
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    jest.spyOn(fs, 'accessSync').mockImplementation(() => {
      throw denied;
    });
    expect(codeOf(() => new RealDisk(root))).toBe('INVALID_CONFIG');
  });
});

describe('RealDisk files', () => {
  test('write, read, grow, truncate and keep their bytes across open', async () => {
    const file = disk.create('log');
    file.write(new Uint8Array([1, 2, 3, 4]), 0);
    file.write(new Uint8Array([9, 9]), 6);
    expect(file.sizeBytes()).toBe(8);
    file.sync();
    file.truncate(7);
    file.close();

    const again = disk.open('log');
    const into = new Uint8Array(10).fill(255);
    expect(again.read(into, 1)).toBe(6);
    expect([...into]).toEqual([2, 3, 4, 0, 0, 9, 255, 255, 255, 255]);
    const asynchronous = new Uint8Array(3);
    expect(await again.readAsync(asynchronous, 0)).toBe(3);
    expect([...asynchronous]).toEqual([1, 2, 3]);
    expect(await again.readAsync(asynchronous, 7)).toBe(0);
    again.close();
  });

  test('create() refuses a file that exists, open() one that does not', () => {
    disk.create('a').close();
    expect(codeOf(() => disk.create('a'))).toBe('DISK_FAILED');
    expect(codeOf(() => disk.open('b'))).toBe('DISK_FAILED');
  });

  test('syncAsync() calls back once, after the call returned', async () => {
    const file = disk.create('a');
    file.write(new Uint8Array(8), 0);
    let calls = 0;
    const error = await new Promise<Error | null>((resolve) => {
      file.syncAsync((result) => {
        calls += 1;
        resolve(result);
      });
      expect(calls).toBe(0);
    });
    expect({ error, calls }).toEqual({ error: null, calls: 1 });
    file.close();
  });

  test('close() during a sync and a read keeps the descriptor until both are back', async () => {
    const close = jest.spyOn(fs, 'closeSync');
    const file = disk.create('a');
    file.write(new Uint8Array([7]), 0);
    const synced = new Promise((resolve) => file.syncAsync(resolve));
    const into = new Uint8Array(1);
    const read = file.readAsync(into, 0);
    file.close();
    expect(close).not.toHaveBeenCalled();
    expect(await Promise.all([synced, read])).toEqual([null, 1]);
    expect(close).toHaveBeenCalledTimes(1);
    expect(into[0]).toBe(7);
    expect(() => file.sizeBytes()).toThrow(AssertionError);
  });

  test('a short write is DISK_FAILED', () => {
    const file = disk.create('a');
    jest.spyOn(fs, 'writeSync').mockReturnValueOnce(3);
    expect(() => file.write(new Uint8Array(5), 0)).toThrow('only 3 of 5 bytes were written');
    jest.spyOn(fs, 'writeSync').mockReturnValueOnce(3);
    expect(codeOf(() => file.write(new Uint8Array(5), 0))).toBe('DISK_FAILED');
    file.close();
  });

  const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

  test('a full disk is DISK_FULL in a write and DISK_FAILED in a sync', async () => {
    const file = disk.create('a');
    jest.spyOn(fs, 'writeSync').mockImplementationOnce(() => {
      throw full;
    });
    expect(codeOf(() => file.write(new Uint8Array(5), 0))).toBe('DISK_FULL');
    jest.spyOn(fs, 'fdatasyncSync').mockImplementationOnce(() => {
      throw full;
    });
    expect(codeOf(() => file.sync())).toBe('DISK_FAILED');
    jest.spyOn(fs, 'fdatasync').mockImplementationOnce((_fd, done) => {
      setImmediate(() => done(full));
    });
    const error = await new Promise((resolve) => file.syncAsync(resolve));
    expect(error).toMatchObject({ code: 'DISK_FAILED', details: { errno: 'ENOSPC' }, cause: full });
    file.close();
  });

  test('/dev/full gives a real ENOSPC', () => {
    if (!fs.existsSync('/dev/full')) return;
    fs.symlinkSync('/dev/full', path.join(root, 'data/node-1/full'));
    const file = disk.open('full');
    expect(codeOf(() => file.write(new Uint8Array(5), 0))).toBe('DISK_FULL');
    file.close();
  });

  test('other errors are DISK_FAILED with their cause', () => {
    const cause = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    expect(diskError('read', '/d/x', { cause })).toMatchObject({
      code: 'DISK_FAILED',
      message: 'Cannot read /d/x: EIO: i/o error',
      details: { file: '/d/x', errno: 'EIO' },
      cause,
    });
  });
});

describe('RealDisk directories', () => {
  test('list() is sorted and empty for a missing one', () => {
    disk.makeDirectory('raft/deep');
    for (const name of ['b', 'a', 'C']) disk.create(`raft/${name}`).close();
    disk.syncDirectory('raft');
    expect(disk.list('raft')).toEqual(['C', 'a', 'b', 'deep']);
    expect(disk.list('absent')).toEqual([]);
    expect(disk.exists('raft/a')).toBe(true);
    expect(disk.exists('raft/z')).toBe(false);
  });

  test('rename() replaces and remove() removes', () => {
    disk.makeDirectory('.');
    const file = disk.create('new');
    file.write(new Uint8Array([1]), 0);
    file.close();
    disk.create('old').close();
    disk.rename('new', 'old');
    expect(disk.list('')).toEqual(['old']);
    expect(disk.open('old').sizeBytes()).toBe(1);
    disk.remove('old');
    expect(disk.list('')).toEqual([]);
    expect(codeOf(() => disk.remove('old'))).toBe('DISK_FAILED');
  });

  test('paths do not leave the data directory', () => {
    for (const bad of ['../x', '/etc/passwd', 'a/../../x', '../node-12/x']) {
      expect(() => disk.exists(bad)).toThrow(AssertionError);
    }
  });

  test('freeBytes() is what the file system says', () => {
    const stats = fs.statfsSync(root);
    expect(disk.freeBytes()).toBeGreaterThan(0);
    expect(disk.freeBytes()).toBeLessThanOrEqual(stats.blocks * stats.bsize);
  });
});

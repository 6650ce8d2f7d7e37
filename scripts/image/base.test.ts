import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { baseIn, fileIn, librariesOf, thisMachine } from './base.ts';
import { readElf } from './elf.ts';

const MACHINES = { x64: 62, arm64: 183, riscv64: 243 };
const ADDRESS = 0x40_0000; // programs are not loaded where they are in the file

interface Made {
  readonly cpu: keyof typeof MACHINES;
  readonly interpreter?: string;
  readonly needed?: readonly string[];
}

/** An ELF file with what the loader reads: header, three program headers, names, and the dynamic section. */
function elf({ cpu, interpreter = '', needed = [] }: Made): Buffer {
  const names = Buffer.from(['', interpreter, ...needed, ''].join('\0'));
  const [namesAt, dynamicAt] = [64 + 3 * 56, 1024];
  const entries = [...needed.map((name) => [1, names.indexOf(`\0${name}\0`) + 1]), [5, namesAt]];
  const file = Buffer.alloc(dynamicAt + (entries.length + 2) * 16);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  file.writeUInt16LE(MACHINES[cpu], 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(3, 56);
  const segment = (index: number, kind: number, offset: number, bytes: number): void => {
    const at = 64 + index * 56;
    file.writeUInt32LE(kind, at);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(BigInt(offset + ADDRESS), at + 16);
    file.writeBigUInt64LE(BigInt(bytes), at + 32);
  };
  segment(0, 1, 0, file.length);
  segment(1, 2, dynamicAt, file.length - dynamicAt);
  segment(2, interpreter === '' ? 0 : 3, namesAt + 1, interpreter.length + 1);
  file.set(names, namesAt);
  for (const [index, [tag = 0, value = 0]] of entries.entries()) {
    const at = dynamicAt + index * 16;
    file.writeBigUInt64LE(BigInt(tag), at);
    file.writeBigUInt64LE(BigInt(tag === 5 ? value + ADDRESS : value), at + 8);
  }
  // Behind the end, which is two words of zero: not to be read.
  file.writeBigUInt64LE(1n, file.length - 16);
  return file;
}

describe('readElf()', () => {
  test('reads what a program is for and what it needs', () => {
    const made = { cpu: 'arm64', interpreter: '/lib/ld.so', needed: ['libc.so.6', 'libm.so.6'] };
    expect(readElf(elf(made as Made))).toEqual(made);
    expect(readElf(elf({ cpu: 'x64' }))).toEqual({ cpu: 'x64', interpreter: null, needed: [] });
    expect(readElf(elf({ cpu: 'riscv64' }))?.cpu).toBeNull();
  });

  test('knows other files', () => {
    const bits32 = elf({ cpu: 'x64' }).fill(1, 4, 5);
    for (const file of [Buffer.from('#!/bin/sh\n'), Buffer.alloc(0), Buffer.alloc(99), bits32])
      expect(readElf(file)).toBeNull();
  });
});

describe('on this machine', () => {
  test('finds the libraries that the loader itself finds', () => {
    const base = thisMachine();
    expect(base.platform.cpu).toBe(process.arch);
    const { interpreter } = readElf(fs.readFileSync(base.node)) ?? {};
    const listed = execFileSync(interpreter ?? '', ['--list', base.node], { encoding: 'utf8' });
    const wanted = [...listed.matchAll(/\s(\/\S+)/g)].map(([, file = '']) => fs.realpathSync(file));
    const found = librariesOf(base, [base.node]).map(({ source }) => source);
    expect(found.sort()).toEqual([...new Set(wanted)].sort());
    expect(found.length).toBeGreaterThan(1);
  });
});

describe('a root file system of another architecture', () => {
  const LOADER = '/lib/ld-linux-aarch64.so.1';
  let dir: string;
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-base-'));
    fs.mkdirSync(path.join(dir, 'usr', 'lib'), { recursive: true });
    fs.symlinkSync('usr/lib', path.join(dir, 'lib'));
    put('usr/local/bin/node', { cpu: 'arm64', interpreter: LOADER, needed: ['libone.so'] });
    put('usr/lib/aarch64-linux-gnu/ld.so', { cpu: 'arm64' });
    fs.symlinkSync('/lib/aarch64-linux-gnu/ld.so', path.join(dir, LOADER)); // absolute: in there
    put('usr/lib/aarch64-linux-gnu/libone.so', {
      cpu: 'arm64',
      needed: ['libtwo.so', 'ld-linux-aarch64.so.1'],
    });
    put('usr/lib/libtwo.so', { cpu: 'arm64', needed: ['libone.so'] });
  });
  afterEach(() => fs.rmSync(dir, { recursive: true }));

  function put(name: string, made: Made): string {
    const file = path.join(dir, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, elf(made));
    return file;
  }

  const names = (...files: string[]): string[] => {
    const base = baseIn(dir);
    return librariesOf(base, [base.node, ...files]).map(({ name, source }) => {
      expect(source.startsWith(path.join(dir, 'usr', 'lib'))).toBe(true);
      return name;
    });
  };

  test('is recognized by its Node', () => {
    expect(baseIn(dir).platform).toEqual({ os: 'linux', cpu: 'arm64', libc: 'glibc' });
    put('usr/local/bin/node', { cpu: 'x64', interpreter: '/lib/ld-musl-x86_64.so.1' });
    expect(baseIn(dir).platform).toEqual({ os: 'linux', cpu: 'x64', libc: 'musl' });
    put('usr/local/bin/node', { cpu: 'riscv64', interpreter: '/lib/ld.so' });
    expect(() => baseIn(dir)).toThrow('for a processor that there is no image for');
    fs.rmSync(path.join(dir, 'usr', 'local'), { recursive: true });
    expect(() => baseIn(dir)).toThrow('has no /usr/local/bin/node');
  });

  test('gives each library once, with those that it is linked to', () => {
    const own = ['/lib/aarch64-linux-gnu/libone.so', '/lib/libtwo.so'];
    expect(names()).toEqual([LOADER, ...own]);
    put('lib/libthree.so', { cpu: 'arm64' });
    expect(names(put('native.node', { cpu: 'arm64', needed: ['libthree.so'] }))).toEqual(
      expect.arrayContaining([LOADER, ...own, '/lib/libthree.so']),
    );
  });

  test('gives no library and takes no package of another architecture', () => {
    put('lib/aarch64-linux-gnu/libtwo.so', { cpu: 'x64' });
    expect(names()).toContain('/lib/libtwo.so');
    const native = put('native.node', { cpu: 'x64' });
    expect(() => names(native)).toThrow(`${native} is not for arm64`);
  });

  test('says which library it lacks', () => {
    fs.rmSync(path.join(dir, 'usr', 'lib', 'libtwo.so'));
    expect(() => names()).toThrow('lacks the library libtwo.so for arm64');
  });

  test('is not left by its links', () => {
    fs.symlinkSync('../../../../../../../lib/libtwo.so', path.join(dir, 'up'));
    expect(fileIn(dir, '/up')).toBe(path.join(dir, 'usr', 'lib', 'libtwo.so'));
    fs.symlinkSync('/round', path.join(dir, 'round'));
    expect(() => fileIn(dir, '/round')).toThrow('a link that leads to itself');
    expect(fileIn(dir, '/lib/libnone.so')).toBeNull();
  });
});

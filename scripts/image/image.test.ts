import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { imageConfig } from './imageConfig.ts';
import { thisPlatform } from './files.ts';
import { productionPackages } from './packages.ts';
import type { Lock } from './packages.ts';

const ROOT = path.resolve(__dirname, '..', '..');
const read = (name: string): string => fs.readFileSync(path.join(ROOT, name), 'utf8');
const { version, description, license } = JSON.parse(read('package.json')) as {
  version: string;
  description: string;
  license: string;
};

/** What the last stage of a Dockerfile says, instruction by instruction. */
function lastStage(dockerfile: string): Record<string, string[]> {
  const lines = dockerfile
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const stage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
  const said: Record<string, string[]> = {};
  for (const line of stage) {
    const [instruction = '', rest = ''] = line.split(/ (.*)/s);
    (said[instruction] ??= []).push(rest);
  }
  return said;
}

/** `a=b c="d e"` as pairs. */
function pairs(texts: readonly string[]): [string, string][] {
  return texts.flatMap((text) =>
    [...text.matchAll(/(\S+?)=(?:"([^"]*)"|(\S+))/g)].map(
      ([, key = '', quoted, plain]): [string, string] => [key, quoted ?? plain ?? ''],
    ),
  );
}

describe('the Dockerfile', () => {
  const said = lastStage(read('Dockerfile'));
  const config = imageConfig(version);

  test('copies the files of `npm run image`, and no others', () => {
    expect(said['FROM']).toEqual(['scratch']);
    expect(said['COPY']).toEqual(['--from=build /rootfs/ /']);
    expect(said['RUN']).toBeUndefined();
    expect(read('Dockerfile')).toContain('npm run --silent image -- --rootfs /rootfs');
  });

  test('runs them as `npm run image` says', () => {
    expect(said['USER']).toEqual([config.User]);
    expect(said['WORKDIR']).toEqual([config.WorkingDir]);
    expect(said['ENTRYPOINT']?.map((text) => JSON.parse(text) as unknown)).toEqual([
      config.Entrypoint,
    ]);
    expect(pairs(said['ENV'] ?? []).map((pair) => pair.join('='))).toEqual(config.Env);
    expect(Object.fromEntries(pairs(said['LABEL'] ?? []))).toEqual(config.Labels);
    const ports = said['EXPOSE']?.flatMap((text) => text.split(' ')).map((port) => `${port}/tcp`);
    expect(ports).toEqual(Object.keys(config.ExposedPorts ?? {}));
  });

  test('names the version, the description and the license of the package', () => {
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.description': description,
      'org.opencontainers.image.licenses': license,
    });
  });

  test('is given everything that is compiled, by .dockerignore', () => {
    const tsc = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    const list = [tsc, '-p', path.join(ROOT, 'tsconfig.build.json'), '--listFilesOnly'];
    const files = execFileSync(process.execPath, list, { encoding: 'utf8' }).trim().split('\n');
    const folders = files
      .map((file) => path.relative(ROOT, file).split(path.sep)[0] ?? '')
      .filter((folder) => folder !== 'node_modules');
    const given = read('.dockerignore').split('\n');
    expect(folders).toContain('node');
    for (const name of new Set([...folders, 'scripts', 'package-lock.json', 'tsconfig.build.json']))
      expect(given).toContain(`!${name}`);
  });

  test('builds with the Node that the package wants', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const major = /FROM node:(\d+)-/.exec(read('Dockerfile'))?.[1];
    expect(engines.node).toBe(`>=${major ?? ''}`);
  });
});

describe('productionPackages()', () => {
  const lock = JSON.parse(read('package-lock.json')) as Lock;
  const native = (folder: string): boolean => folder.startsWith('node_modules/@node-rs/crc32-');

  test.each([
    ['x64', 'glibc', 'node_modules/@node-rs/crc32-linux-x64-gnu'],
    ['x64', 'musl', 'node_modules/@node-rs/crc32-linux-x64-musl'],
    ['arm64', 'glibc', 'node_modules/@node-rs/crc32-linux-arm64-gnu'],
  ])('has the native part for %s with %s, and only that', (cpu, libc, folder) => {
    const packages = productionPackages(lock, { os: 'linux', cpu, libc });
    expect(packages.filter(native)).toEqual([folder]);
  });

  test('has every dependency of the package, and none for development', () => {
    const { dependencies } = JSON.parse(read('package.json')) as {
      dependencies: Record<string, string>;
    };
    const packages = productionPackages(lock, thisPlatform());
    for (const name of Object.keys(dependencies))
      expect(packages).toContain(`node_modules/${name}`);
    for (const name of ['jest', 'typescript', 'eslint', 'knip', 'node'])
      expect(packages).not.toContain(`node_modules/${name}`);
    for (const folder of packages) expect(fs.existsSync(path.join(ROOT, folder))).toBe(true);
  });

  test('understands lists of what is not meant', () => {
    const packages = { a: { os: ['!win32'] }, b: { os: ['!linux'] }, c: { dev: true }, '': {} };
    const here = { os: 'linux', cpu: 'x64', libc: 'glibc' };
    expect(productionPackages({ packages }, here)).toEqual(['a']);
  });
});

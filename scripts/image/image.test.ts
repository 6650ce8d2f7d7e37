import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { imageConfig } from './imageConfig.ts';
import { thisMachine } from './base.ts';
import { LAYERS } from './files.ts';
import { productionPackages } from './packages.ts';
import type { Lock } from './packages.ts';

const ROOT = path.resolve(__dirname, '..', '..');
const read = (name: string): string => fs.readFileSync(path.join(ROOT, name), 'utf8');
const { version, description, license } = JSON.parse(read('package.json')) as {
  version: string;
  description: string;
  license: string;
};

type Instruction = [name: string, rest: string];

/** What a Dockerfile says, stage by stage; before the first FROM is what is for all of them. */
function stages(dockerfile: string): Instruction[][] {
  const lines = dockerfile
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const all: Instruction[][] = [[]];
  for (const line of lines) {
    const [name = '', rest = ''] = line.split(/ (.*)/s);
    if (name === 'FROM') all.push([]);
    all.at(-1)?.push([name, rest]);
  }
  return all;
}

function saidBy(stage: readonly Instruction[] | undefined, wanted: string): string[] {
  return (stage ?? []).filter(([name]) => name === wanted).map(([, rest]) => rest);
}

/** `a=b c="d e"` as pairs. */
function pairs(texts: readonly string[]): [string, string][] {
  return texts.flatMap((text) =>
    [...text.matchAll(/(\S+?)=(?:"([^"]*)"|(\S+))/g)].map(
      ([, key = '', quoted, plain]): [string, string] => [key, quoted ?? plain ?? ''],
    ),
  );
}

/** Whether a line of .dockerignore means the file: a path from the root, or what is behind `**\/`. */
function matches(file: string, name: string): boolean {
  return name.startsWith('*') ? file.endsWith(name.slice(1)) : `/${file}`.includes(`/${name}/`);
}

describe('the Dockerfile', () => {
  const [common, base, build, last] = stages(read('Dockerfile'));
  const config = imageConfig(version);

  test('copies the files of `npm run image`, layer by layer, and no others', () => {
    expect(saidBy(last, 'FROM')).toEqual(['scratch']);
    expect(saidBy(last, 'COPY')).toEqual(LAYERS.map((layer) => `--from=build /rootfs/${layer}/ /`));
    expect(saidBy(last, 'RUN')).toEqual([]);
    expect(saidBy(build, 'RUN').at(-1)).toContain(
      'node scripts/image/main.ts --base /base --rootfs /rootfs',
    );
  });

  test('runs them as `npm run image` says', () => {
    expect(saidBy(last, 'USER')).toEqual([config.User]);
    expect(saidBy(last, 'WORKDIR')).toEqual([config.WorkingDir]);
    expect(saidBy(last, 'ENTRYPOINT').map((text) => JSON.parse(text) as unknown)).toEqual([
      config.Entrypoint,
    ]);
    expect(pairs(saidBy(last, 'ENV')).map((pair) => pair.join('='))).toEqual(config.Env);
    expect(Object.fromEntries(pairs(saidBy(last, 'LABEL')))).toEqual(config.Labels);
    const ports = saidBy(last, 'EXPOSE').flatMap((text) => text.split(' '));
    expect(ports.map((port) => `${port}/tcp`)).toEqual(Object.keys(config.ExposedPorts ?? {}));
  });

  test('runs nothing of the architecture that it is for', () => {
    expect(base).toEqual([['FROM', '${NODE_IMAGE} AS base']]);
    expect(saidBy(build, 'FROM')).toEqual(['--platform=${BUILDPLATFORM} ${NODE_IMAGE} AS build']);
    expect(saidBy(build, 'RUN')[0]).toMatch(/^npm ci --ignore-scripts /);
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
    const own = files
      .map((file) => path.relative(ROOT, file))
      .filter((file) => !file.startsWith('node_modules'));
    const folders = own.map((file) => file.split(path.sep)[0] ?? '');
    const given = read('.dockerignore').split('\n');
    expect(folders).toContain('node');
    const others = ['scripts/image', 'package-lock.json', 'tsconfig.build.json', '.npmrc'];
    for (const name of new Set([...folders, ...others])) expect(given).toContain(`!${name}`);
    const left = given.slice(given.indexOf('!scripts/image') + 1).filter((line) => line !== '');
    expect(left).toContain('**/testing');
    for (const name of left.map((line) => line.replace('**/', '')))
      expect(own.filter((file) => matches(file, name))).toEqual([]);
  });

  test('has the Node that the package is developed with', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as {
      devDependencies: Record<string, string>;
    };
    const node = devDependencies['node'] ?? '';
    expect(saidBy(common, 'ARG')).toEqual([`NODE_IMAGE=node:${node}-bookworm-slim`]);
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
    const packages = productionPackages(lock, thisMachine().platform);
    for (const name of Object.keys(dependencies))
      expect(packages).toContain(`node_modules/${name}`);
    for (const name of ['jest', 'typescript', 'eslint', 'knip', 'node'])
      expect(packages).not.toContain(`node_modules/${name}`);
    for (const folder of packages) expect(fs.existsSync(path.join(ROOT, folder))).toBe(true);
  });

  test('has none that is made when it is installed: it could be for another architecture', () => {
    const made = Object.entries(lock.packages).filter(([, entry]) => 'hasInstallScript' in entry);
    const platform = { os: 'linux', cpu: 'arm64', libc: 'glibc' };
    const packages = productionPackages(lock, platform);
    expect(made.map(([folder]) => folder)).toContain('node_modules/node');
    for (const [folder] of made) expect(packages).not.toContain(folder);
  });

  test('understands lists of what is not meant', () => {
    const packages = { a: { os: ['!win32'] }, b: { os: ['!linux'] }, c: { dev: true }, '': {} };
    const here = { os: 'linux', cpu: 'x64', libc: 'glibc' };
    expect(productionPackages({ packages }, here)).toEqual(['a']);
  });
});

/**
 * The files of the image, in three layers: Node with its libraries, the packages, the program. There is no shell and no
 * package manager. The OCI archive (archive.ts) and the Dockerfile (`--rootfs`) hold exactly these.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { librariesOf } from './base.ts';
import type { Base } from './base.ts';
import { DATA_DIR, USER_ID } from './imageConfig.ts';
import { productionPackages } from './packages.ts';
import type { Lock, Platform } from './packages.ts';
import type { TarEntry } from './tar.ts';

const APP = 'app';
const PASSWD = `root:x:0:0::/:/sbin/nologin
walrus:x:${USER_ID}:${USER_ID}::${DATA_DIR}:/sbin/nologin
`;
const GROUP = `root:x:0:\nwalrus:x:${USER_ID}:\n`;
/** Of packages: what only compilers, debuggers and readers want, and native parts for other runtimes than Node. */
const USELESS = /\.(?:[cm]?ts|map|md|markdown|bare)$/;
const LEGAL = /licen[cs]e|notice/i;
/** Fields of package.json that matter to whoever runs it. */
const PACKAGE_FIELDS = ['name', 'version', 'description', 'license', 'type', 'engines'];

export interface ImageSource {
  /** A checkout with its dependencies installed, for the platform of the base. */
  readonly root: string;
  readonly base: Base;
  /** In the image's package.json. */
  readonly version: string;
}

/** From the bottom: what changes least first, so that whoever has the version before gets only the last. */
export const LAYERS = ['runtime', 'packages', 'program'] as const;

export type ImageLayers = Readonly<Record<(typeof LAYERS)[number], TarEntry[]>>;

export function imageLayers({ root, base, version }: ImageSource): ImageLayers {
  const packages = packageFiles(root, base.platform);
  const natives = packages.filter(({ name }) => name.endsWith('.node')).map(({ source }) => source);
  return {
    runtime: withFolders([...runtime(base, natives), ...places()]),
    packages: withFolders(packages.map(({ name, source }) => copyOf(source, name))),
    program: withFolders(program(root, version)),
  };
}

/** Node, and the libraries that it and the native packages are linked to, where they look for them. */
function runtime(base: Base, natives: readonly string[]): TarEntry[] {
  const libraries = librariesOf(base, [base.node, ...natives]);
  return [
    copyOf(base.node, 'usr/bin/node', 0o755),
    ...libraries
      .map(({ name, source }) => copyOf(source, name.slice(1), 0o755))
      .sort((one, other) => (one.path < other.path ? -1 : 1)),
  ];
}

/** Users, names, and where there may be a volume. */
function places(): TarEntry[] {
  return [
    text('etc/passwd', PASSWD),
    text('etc/group', GROUP),
    text('etc/nsswitch.conf', 'hosts: files dns\n'),
    { type: 'directory', path: DATA_DIR.slice(1), mode: 0o750, owner: USER_ID },
    { type: 'directory', path: 'tmp', mode: 0o1777 },
  ];
}

interface PackageFile {
  readonly name: string;
  readonly source: string;
}

function packageFiles(root: string, platform: Platform): PackageFile[] {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as Lock;
  return productionPackages(lock, platform).flatMap((folder) => {
    if (!fs.existsSync(path.join(root, folder, 'package.json')))
      throw new Error(`${folder} is not installed: run npm ci --cpu=${platform.cpu}`);
    const files = filesIn(path.join(root, folder)).filter(
      (file) => LEGAL.test(file) || !USELESS.test(file),
    );
    return files.map((file) => ({
      name: path.posix.join(APP, folder, file),
      source: path.join(root, folder, file),
    }));
  });
}

/** The program: compiled anew, so that nothing is in it that is not in the source any more. */
function program(root: string, version: string): TarEntry[] {
  const compiled = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-image-'));
  try {
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = ['-p', 'tsconfig.build.json', '--outDir', compiled, '--declaration', 'false'];
    execFileSync(process.execPath, [tsc, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
    return [
      text(`${APP}/package.json`, packageJson(root, version)),
      copyOf(path.join(root, 'LICENSE'), `${APP}/LICENSE`),
      command(root),
      { type: 'link', path: 'usr/bin/walrus', target: `../../${APP}/cli/walrus.mjs` },
      ...filesIn(compiled).map((file) => copyOf(path.join(compiled, file), `${APP}/dist/${file}`)),
    ];
  } finally {
    fs.rmSync(compiled, { recursive: true });
  }
}

function packageJson(root: string, version: string): string {
  const all = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as object;
  const kept = Object.entries(all).filter(([name]) => PACKAGE_FIELDS.includes(name));
  return `${JSON.stringify({ ...Object.fromEntries(kept), version }, null, 2)}\n`;
}

/** `walrus`, which has no /usr/bin/env here to find Node with. */
function command(root: string): TarEntry {
  const script = fs.readFileSync(path.join(root, 'cli', 'walrus.mjs'), 'utf8');
  const lines = script.split('\n');
  if (lines[0] !== '#!/usr/bin/env node') throw new Error('cli/walrus.mjs begins otherwise');
  return text(`${APP}/cli/walrus.mjs`, ['#!/usr/bin/node', ...lines.slice(1)].join('\n'), 0o755);
}

/** All files below a folder, relative to it; packages that are nested in it have entries of their own in the lock. */
function filesIn(folder: string): string[] {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.split(path.sep).includes('node_modules'))
    .sort();
}

function text(name: string, content: string, mode = 0o644): TarEntry {
  return { type: 'file', path: name, mode, content: Buffer.from(content) };
}

/** Modes depend on who has checked out or installed: only whether it is a program is kept. */
function copyOf(source: string, name: string, mode?: number): TarEntry {
  const isProgram = (fs.statSync(source).mode & 0o100) !== 0;
  const content = fs.readFileSync(source);
  return { type: 'file', path: name, mode: mode ?? (isProgram ? 0o755 : 0o644), content };
}

/** Puts the folders that the entries lie in before them. */
function withFolders(entries: readonly TarEntry[]): TarEntry[] {
  const given = new Set(entries.filter(({ type }) => type === 'directory').map((one) => one.path));
  const folders = new Set<string>();
  for (const entry of entries) {
    const parts = entry.path.split('/').slice(0, -1);
    for (let count = 1; count <= parts.length; count += 1)
      folders.add(parts.slice(0, count).join('/'));
  }
  const made = [...folders].filter((folder) => !given.has(folder)).sort();
  return [
    ...made.map((folder): TarEntry => ({ type: 'directory', path: folder, mode: 0o755 })),
    ...entries,
  ];
}

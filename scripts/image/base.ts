/**
 * Where the image's Node and libraries come from: this machine, or the root file system of an image of any architecture.
 * Nothing in it is run: what a program needs is read from the program.
 */
import fs from 'node:fs';
import path from 'node:path';
import { readElf } from './elf.ts';
import type { Elf } from './elf.ts';
import type { Platform } from './packages.ts';

export interface Base {
  readonly dir: string;
  /** Its Node: the file. */
  readonly node: string;
  /** What Node was compiled for. */
  readonly platform: Platform;
}

export interface Library {
  /** Where programs look for it: absolute. */
  readonly name: string;
  /** The file itself. */
  readonly source: string;
}

/** Where the images of Node and where distributions have it. */
const NODE_PLACES = ['/usr/local/bin/node', '/usr/bin/node'];
const TRIPLETS: Readonly<Record<string, string>> = {
  x64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};
const LINKS_MAX = 40; // as in Linux

/** This machine, with the Node that runs this. */
export function thisMachine(): Base {
  return baseOf('/', process.execPath);
}

/** The root file system in `dir`. */
export function baseIn(dir: string): Base {
  const node = NODE_PLACES.map((place) => fileIn(dir, place)).find((file) => file !== null);
  if (node === undefined) throw new Error(`${dir} has no ${NODE_PLACES.join(' and no ')}`);
  return baseOf(dir, node);
}

function baseOf(dir: string, node: string): Base {
  const { cpu, interpreter } = elfOf(node);
  if (cpu === null || interpreter === null)
    throw new Error(`${node} is for a processor that there is no image for`);
  const libc = interpreter.includes('/ld-musl-') ? 'musl' : 'glibc';
  return { dir, node, platform: { os: 'linux', cpu, libc } };
}

/** The libraries that the files are linked to, and those that these are linked to; the loader is the first. */
export function librariesOf(base: Base, files: readonly string[]): Library[] {
  const found = new Map<string, Library>(); // by the name that a file asks for
  const elves = files.map((file) => checkedElf(base, file));
  for (const { interpreter } of elves)
    if (interpreter !== null) found.set(path.basename(interpreter), loader(base, interpreter));
  const wanted = elves.flatMap((elf) => elf.needed);
  for (const name of wanted) {
    if (found.has(name)) continue;
    const library = findLibrary(base, name);
    found.set(name, library);
    wanted.push(...elfOf(library.source).needed);
  }
  return [...found.values()];
}

function checkedElf(base: Base, file: string): Elf {
  const elf = elfOf(file);
  if (elf.cpu !== base.platform.cpu)
    throw new Error(`${file} is not for ${base.platform.cpu}, which Node is for`);
  return elf;
}

function loader(base: Base, name: string): Library {
  const source = fileIn(base.dir, name);
  if (source === null) throw new Error(`${base.dir} lacks ${name}`);
  return { name, source };
}

/** Looks where the loader looks when nothing else is set up, since nothing is in the image. */
function findLibrary(base: Base, name: string): Library {
  const triplet = TRIPLETS[base.platform.cpu] ?? '';
  const folders = [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib64', 'usr/lib64', 'lib', 'usr/lib'];
  for (const folder of folders) {
    const place = `/${folder}/${name}`;
    const source = fileIn(base.dir, place);
    if (source !== null && readElf(fs.readFileSync(source))?.cpu === base.platform.cpu)
      return { name: place, source };
  }
  throw new Error(`${base.dir} lacks the library ${name} for ${base.platform.cpu}`);
}

function elfOf(file: string): Elf {
  const elf = readElf(fs.readFileSync(file));
  if (elf === null) throw new Error(`${file} is not a program for Linux with 64 bits`);
  return elf;
}

/** The file that `name` is in `dir`, whose links mean files in `dir`, too. @returns Null if there is none. */
export function fileIn(dir: string, name: string): string | null {
  const rest = name.split('/');
  let [at, links] = ['/', 0];
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    const next = path.posix.join(at, part);
    const stat = fs.lstatSync(path.join(dir, next), { throwIfNoEntry: false });
    if (stat === undefined) return null;
    if (!stat.isSymbolicLink()) {
      at = next;
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) throw new Error(`${name} is a link that leads to itself`);
    const target = fs.readlinkSync(path.join(dir, next));
    if (target.startsWith('/')) at = '/';
    rest.unshift(...target.split('/'));
  }
  return path.join(dir, at);
}

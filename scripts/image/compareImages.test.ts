import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { writeArchive } from './archive.ts';
import type { ArchiveOptions } from './archive.ts';
import { differences } from './compareImages.ts';
import { readArchive } from './readArchive.ts';
import type { ArchivedImage } from './readArchive.ts';
import { tar } from './tar.ts';
import type { TarEntry } from './tar.ts';
import { untar } from './untar.ts';

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-compare-'));
});
afterAll(() => fs.rmSync(dir, { recursive: true }));

function file(name: string, content: string, mode = 0o644, owner = 0): TarEntry {
  return { type: 'file', path: name, mode, owner, content: Buffer.from(content) };
}

const LONG = path.posix.join(...'x'.repeat(300).match(/.{1,80}/g)!);
const ENTRIES: readonly TarEntry[] = [
  { type: 'directory', path: 'bin', mode: 0o755 },
  file('bin/run', 'run', 0o755),
  file(LONG, 'long'),
  { type: 'link', path: 'bin/link', target: 'run' },
];
const CONFIG = { User: '1:1', Entrypoint: ['/bin/run'], Env: ['A=1'], Labels: { a: 'b' } };
const ARCHIVE = { name: 'x/y:1', cpu: 'x64', config: CONFIG };

async function image(changed: Partial<ArchiveOptions> = {}): Promise<ArchivedImage> {
  const out = path.join(dir, 'image.tar');
  await writeArchive({ out, ...ARCHIVE, layers: [ENTRIES], ...changed });
  const [only, ...more] = readArchive(fs.readFileSync(out));
  if (only === undefined || more.length > 0) throw new Error('not one image');
  return only;
}

/** The entries of the image with some others in their place. */
function withEntries(...others: TarEntry[]): Partial<ArchiveOptions> {
  const kept = ENTRIES.filter((one) => !others.some((other) => other.path === one.path));
  return { layers: [[...kept, ...others]] };
}

describe('untar()', () => {
  test('reads what another tar writes', () => {
    const source = path.join(dir, 'source');
    fs.mkdirSync(path.join(source, path.dirname(LONG)), { recursive: true });
    fs.writeFileSync(path.join(source, LONG), 'long');
    fs.symlinkSync(LONG, path.join(source, 'link'));
    const written = execFileSync('tar', ['-cf', '-', '--format=pax', '-C', source, '.']);
    const read = new Map(untar(written).map((one) => [one.path, one]));
    expect(read.get(LONG)?.content.toString()).toBe('long');
    expect(read.get('link')).toMatchObject({ type: '2', target: LONG });
    expect(read.get('')).toMatchObject({ type: '5', owner: process.getuid?.() });
  });

  test('refuses what it does not understand', () => {
    expect(() => untar(Buffer.alloc(1024, 'x'))).toThrow('not a tar archive');
    const device = Buffer.concat([...tar([file('a', '')])]).fill('3', 156, 157);
    expect(() => untar(device)).toThrow('an entry of the type 3');
  });
});

describe('differences()', () => {
  test('are none between two that differ in the number and order of their layers', async () => {
    const layers = ENTRIES.map((entry) => [entry]).reverse();
    expect(differences(await image(), await image({ layers }))).toEqual([]);
  });

  const cases: [string, Partial<ArchiveOptions>, string][] = [
    ['a mode', withEntries(file('bin/run', 'run', 0o700)), '/bin/run: file 0755'],
    ['an owner', withEntries(file('bin/run', 'run', 0o755, 7)), '| file 0755 7:7 3 bytes'],
    ['a content', withEntries(file('bin/run', 'ran', 0o755)), '/bin/run: file 0755'],
    ['a target', withEntries({ type: 'link', path: 'bin/link', target: '/a' }), 'to run | link'],
    ['a type', withEntries(file('bin/link', 'run')), 'link 0:0 to run | file 0644'],
    ['a file', withEntries(file('more', '')), '/more: none | file 0644'],
    ['a user', { config: { ...CONFIG, User: '0' } }, 'user: "1:1" | "0"'],
    ['an entry point', { config: { ...CONFIG, Entrypoint: [] } }, 'entry point: '],
    ['an environment', { config: { ...CONFIG, Env: [] } }, 'environment: ["A=1"] | []'],
    ['a label', { config: { ...CONFIG, Labels: {} } }, 'labels: '],
    ['a port', { config: { ...CONFIG, ExposedPorts: { '1/tcp': {} } } }, 'ports: [] | ["1/tcp"]'],
    ['a directory', { config: { ...CONFIG, WorkingDir: '/bin' } }, 'directory: "/" | "/bin"'],
    ['a platform', { cpu: 'arm64' }, 'platform: "linux/amd64" | "linux/arm64"'],
  ];
  test.each(cases)('tell %s', async (_, changed, line) => {
    const told = differences(await image(), await image(changed));
    expect(told).toEqual([expect.stringContaining(line)]);
  });
});

describe('readArchive()', () => {
  type Stored = { mediaType: string; digest: string; platform: object | undefined };
  const OCI = 'application/vnd.oci.image';

  /** An archive as engines write them: packed layers, an index below the index, and how it was built. */
  function engineArchive(spoil: (blob: Buffer) => Buffer = (blob) => blob): Buffer {
    const blobs: TarEntry[] = [];
    const store = (type: string, content: Buffer, platform?: object): Stored => {
      const hash = createHash('sha256').update(content).digest('hex');
      blobs.push({ ...file(`blobs/sha256/${hash}`, ''), content: spoil(content) } as TarEntry);
      return { mediaType: `${OCI}.${type}`, digest: `sha256:${hash}`, platform };
    };
    const json = (type: string, value: object, platform?: object): Stored =>
      store(type, Buffer.from(JSON.stringify(value)), platform);
    const layer = store('layer.v1.tar+gzip', gzipSync(Buffer.concat([...tar(ENTRIES)])));
    const labels = { ...CONFIG.Labels, 'io.buildah.version': '1' };
    const config = { ...CONFIG, WorkingDir: '/', Labels: labels };
    const stored = json('config.v1+json', { architecture: 'amd64', os: 'linux', config });
    const manifest = json('manifest.v1+json', { config: stored, layers: [layer] });
    const unknown = { architecture: 'unknown', os: 'unknown' };
    const attestation = json('manifest.v1+json', { layers: [] }, unknown);
    const inner = json('index.v1+json', { manifests: [manifest, attestation] });
    const index = JSON.stringify({ manifests: [inner] });
    return Buffer.concat([...tar([...blobs, file('index.json', index)])]);
  }

  test('reads what engines write', async () => {
    const images = readArchive(engineArchive());
    expect(images).toHaveLength(1);
    expect(differences(images[0]!, await image())).toEqual([]);
  });

  test('believes no blob that is not what its digest says', () => {
    const spoil = (blob: Buffer): Buffer => Buffer.from(blob).fill(0, 0, 1);
    expect(() => readArchive(engineArchive(spoil))).toThrow('what is called sha256:');
  });

  test('refuses layers that remove files', async () => {
    await expect(image(withEntries(file('bin/.wh.run', '')))).rejects.toThrow('removes files');
  });
});

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeArchive } from './archive.ts';
import { tar } from './tar.ts';
import type { TarEntry } from './tar.ts';

const CONFIG = { User: '1:1', Entrypoint: ['/a'], Labels: { b: 'c' } };
let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-archive-'));
});
afterAll(() => fs.rmSync(dir, { recursive: true }));

function file(name: string, content: string | Uint8Array, mode = 0o644): TarEntry {
  return { type: 'file', path: name, mode, content: Buffer.from(content) };
}

describe('tar()', () => {
  test('another tar reads what it writes', () => {
    // Lengths around those at which a record's own length gets another digit.
    const long = [99, 100, 101, 120, 200, 980, 990, 991, 995].map((length) =>
      path.join(...'x'.repeat(length).match(/.{1,80}/g)!),
    );
    const entries: TarEntry[] = [
      { type: 'directory', path: 'dir', mode: 0o755 },
      { type: 'directory', path: 'tmp', mode: 0o1777 },
      file('dir/empty', ''),
      file('dir/block', 'b'.repeat(512), 0o755),
      file('dir/ümläut', 'u'),
      { type: 'link', path: 'dir/link', target: 'block' },
      { type: 'link', path: 'dir/far', target: `/${'t/'.repeat(80)}` },
      ...long.map((name) => file(name, name)),
    ];
    const out = path.join(dir, 'read');
    fs.mkdirSync(out);
    execFileSync('tar', ['-xpf', '-', '-C', out], { input: Buffer.concat([...tar(entries)]) });
    const modeOf = (name: string): number => fs.statSync(path.join(out, name)).mode & 0o7777;
    expect(modeOf('tmp')).toBe(0o1777);
    expect(modeOf('dir/block')).toBe(0o755);
    expect(fs.readFileSync(path.join(out, 'dir/block'), 'utf8')).toBe('b'.repeat(512));
    expect(fs.readFileSync(path.join(out, 'dir/ümläut'), 'utf8')).toBe('u');
    expect(fs.readlinkSync(path.join(out, 'dir/link'))).toBe('block');
    expect(fs.readlinkSync(path.join(out, 'dir/far'))).toBe(`/${'t/'.repeat(80)}`);
    for (const name of long) expect(fs.readFileSync(path.join(out, name), 'utf8')).toBe(name);
  });
});

describe('writeArchive()', () => {
  async function write(name: string, content: string): Promise<{ digest: string; out: string }> {
    const out = path.join(dir, `${name}.tar`);
    const layers = [[file('a', content, 0o755)]];
    return {
      digest: await writeArchive({ out, name: 'x/y:1.0', cpu: 'arm64', config: CONFIG, layers }),
      out,
    };
  }

  test('gives the same bytes for the same content, and another digest for another', async () => {
    const one = await write('one', 'content');
    const two = await write('two', 'content');
    expect(one.digest).toBe(two.digest);
    expect(fs.readFileSync(one.out).equals(fs.readFileSync(two.out))).toBe(true);
    expect((await write('three', 'changed')).digest).not.toBe(one.digest);
  });

  test('every blob is what its digest says, and the index leads to all of them', async () => {
    const { digest, out } = await write('whole', 'content');
    const layout = path.join(dir, 'layout');
    fs.mkdirSync(layout);
    execFileSync('tar', ['-xf', out, '-C', layout]);
    const blobs = path.join(layout, 'blobs', 'sha256');
    for (const name of fs.readdirSync(blobs)) {
      const content = fs.readFileSync(path.join(blobs, name));
      expect(createHash('sha256').update(content).digest('hex')).toBe(name);
    }
    const read = (hash: string): unknown =>
      JSON.parse(fs.readFileSync(path.join(blobs, hash.replace('sha256:', '')), 'utf8'));
    const index = JSON.parse(fs.readFileSync(path.join(layout, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(index.manifests[0]?.digest).toBe(digest);
    expect(index.manifests[0]?.annotations).toEqual({
      'io.containerd.image.name': 'x/y:1.0',
      'org.opencontainers.image.ref.name': '1.0',
    });
    const manifest = read(digest) as { config: { digest: string }; layers: { digest: string }[] };
    expect(read(manifest.config.digest)).toMatchObject({
      os: 'linux',
      architecture: 'arm64',
      config: CONFIG,
      rootfs: { diff_ids: manifest.layers.map((layer) => layer.digest) },
    });
    expect(fs.readdirSync(blobs)).toHaveLength(3);
  });
});

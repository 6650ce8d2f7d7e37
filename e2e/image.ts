/** The image that the tests on Kubernetes run: that of this checkout, made when anything that is in it has changed. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { thisMachine } from '../scripts/image/base.ts';
import { buildImage } from '../scripts/image/build.ts';
import { LocalCluster } from './kube/cluster.ts';
import type { KubeCluster } from './kube/cluster.ts';
import { ROOT } from './kube/root.ts';
import { cacheRoot } from './kube/spec.ts';

const VERSION = '0.1.0-e2e';

/** Hashes what the image is made from, which is what .dockerignore lets through: names and contents. */
function sourceHash(): string {
  const given = fs.readFileSync(path.join(ROOT, '.dockerignore'), 'utf8').matchAll(/^!(.+)$/gm);
  const files = [...given].flatMap(([, name = '']) => filesAt(name)).sort();
  const hash = createHash('sha256').update(process.version);
  for (const name of files.filter((file) => !file.endsWith('.test.ts')))
    hash.update(`\0${name}\0`).update(fs.readFileSync(path.join(ROOT, name)));
  return hash.digest('hex').slice(0, 12);
}

/** The file of that name, or those below the folder. */
function filesAt(name: string): string[] {
  const place = path.join(ROOT, name);
  if (!fs.statSync(place).isDirectory()) return [name];
  return fs
    .readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}

/**
 * Makes sure that the cluster has the image.
 * @returns Its name: another for other content. On a cluster of somebody else that of E2E_IMAGE, which it can pull.
 */
export async function loadSuiteImage(cluster: KubeCluster): Promise<string> {
  if (!(cluster instanceof LocalCluster)) {
    const given = process.env['E2E_IMAGE'] ?? '';
    if (given === '') throw new Error('with E2E_KUBECONFIG, E2E_IMAGE names an image of Walrus');
    return given;
  }
  const hash = sourceHash();
  const name = `walrus.local/walrus:e2e-${hash}`;
  const out = path.join(cacheRoot(process.env), `image-${hash}.tar`);
  if (!fs.existsSync(out)) {
    removeOlder(path.dirname(out));
    await buildImage({ root: ROOT, base: thisMachine(), out, name, version: VERSION });
  }
  await cluster.loadImage(out);
  return name;
}

/**
 * Gives the nodes an image of which every container ends at once with a failure.
 * @returns Its name.
 */
export async function loadCrashingImage(cluster: LocalCluster): Promise<string> {
  const name = `walrus.local/walrus:e2e-${sourceHash()}-crashing`;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'walrus-crashing-'));
  try {
    const out = path.join(dir, 'image.tar');
    const config = { Entrypoint: ['/usr/bin/walrus', 'no-such-command'] };
    await buildImage({ root: ROOT, base: thisMachine(), out, name, version: VERSION, config });
    await cluster.loadImage(out);
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
  return name;
}

function removeOlder(dir: string): void {
  if (!fs.existsSync(dir)) return;
  for (const name of fs.readdirSync(dir))
    if (/^image-[0-9a-f]+\.tar$/.test(name)) fs.rmSync(path.join(dir, name));
}

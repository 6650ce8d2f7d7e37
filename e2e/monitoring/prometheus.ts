/** Prometheus and promtool, built once from their Go module: `<cache>/walrus/prometheus-<key>/`. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { cacheKey, isBuilt } from '../kube/cache.ts';
import { run } from '../kube/commands.ts';
import { thisMachine } from '../kube/requirements.ts';
import { cacheRoot } from '../kube/spec.ts';

const MODULE = 'github.com/prometheus/prometheus';
const VERSION = 'v0.316.0'; // Prometheus 3.16
const PROGRAMS = ['prometheus', 'promtool'] as const;
/** Without finding targets in clouds, which is most of it; unoptimised, as the other binaries. */
const FLAGS = [
  '-trimpath',
  '-tags=remove_all_sd,enable_kubernetes_sd',
  '-gcflags=all=-N -l -dwarf=false',
  '-ldflags=-s -w',
];
const BUILD_MS_MAX = 20 * 60_000;
/** @returns The folder with both programs. @throws {Error} What is missing to build them. */
export async function prometheusDir(): Promise<string> {
  const key = cacheKey(VERSION, [process.arch, ...FLAGS]);
  const dir = path.join(cacheRoot(process.env), `prometheus-${key}`);
  if (await isBuilt(dir)) return dir;
  if (!thisMachine(process.env).has('go')) {
    throw new Error(
      'Prometheus is built once (about 2 minutes) with Go: install Go 1.26 from https://go.dev/dl',
    );
  }
  await build(dir);
  return dir;
}

/** Made beside, and renamed at the end: what has the name is whole. */
async function build(dir: string): Promise<void> {
  const work = `${dir}.${process.pid}`;
  await fs.mkdir(work, { recursive: true });
  const packages = PROGRAMS.map((program) => `${MODULE}/cmd/${program}@${VERSION}`);
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false', GOBIN: work };
  try {
    await run('go', ['install', ...FLAGS, ...packages], { env, timeoutMs: BUILD_MS_MAX });
    await fs.rename(work, dir);
  } catch (error) {
    if (!(await isBuilt(dir))) throw error; // else another process was faster
  } finally {
    await fs.rm(work, { recursive: true, force: true });
  }
}

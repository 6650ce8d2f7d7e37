/** The cgroups below which a node's kubelet makes those of its pods. Version 1 has a tree for each controller, version 2 one. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupOf } from './spec.ts';

const ROOT = '/sys/fs/cgroup';
const REMOVAL_ATTEMPTS = 50;
const REMOVAL_PAUSE_MS = 100;

async function exists(file: string): Promise<boolean> {
  return fs.access(file).then(
    () => true,
    () => false,
  );
}

async function trees(): Promise<{ version: 1 | 2; roots: string[] }> {
  if (await exists(path.join(ROOT, 'cgroup.controllers'))) return { version: 2, roots: [ROOT] };
  const roots: string[] = [];
  for (const name of await fs.readdir(ROOT)) {
    const root = path.join(ROOT, name);
    if (await exists(path.join(root, 'cgroup.clone_children'))) roots.push(root);
  }
  return { version: 1, roots };
}

export async function makeCgroups(cluster: string, node: string): Promise<void> {
  const { version, roots } = await trees();
  for (const root of roots) {
    const parent = path.join(root, cgroupOf(cluster));
    const own = path.join(parent, node);
    await fs.mkdir(own, { recursive: true });
    if (version === 2) await passControllersOn([root, parent]);
    else if (await exists(path.join(root, 'cpuset.cpus'))) await fillCpuset(root, [parent, own]);
  }
}

/** A new cpuset is empty, and nothing can run in it. */
async function fillCpuset(root: string, groups: readonly string[]): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const value = await fs.readFile(path.join(root, file), 'utf8');
    for (const group of groups) await fs.writeFile(path.join(group, file), value);
  }
}

async function passControllersOn(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    const file = path.join(group, 'cgroup.subtree_control');
    for (const controller of ['cpu', 'cpuset', 'memory', 'pids'])
      await fs.writeFile(file, `+${controller}`).catch(() => undefined); // not all are there everywhere
  }
}

/**
 * Removes all cgroups of a cluster; one can be removed when its last process is gone. runc makes some in further trees, too
 * (`unified` beside those of version 1).
 */
export async function removeCgroups(cluster: string): Promise<void> {
  const names = await fs.readdir(ROOT, { withFileTypes: true }).catch(() => []);
  const roots = names
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => path.join(ROOT, name));
  for (const root of [ROOT, ...roots]) await removeTree(path.join(root, cgroupOf(cluster)));
}

async function removeTree(group: string): Promise<void> {
  if (!(await exists(group))) return;
  const entries = await fs.readdir(group, { withFileTypes: true });
  for (const entry of entries) {
    if (entry.isDirectory()) await removeTree(path.join(group, entry.name));
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      await fs.rmdir(group);
      return;
    } catch (error) {
      if (attempt === REMOVAL_ATTEMPTS) throw error;
      await delay(REMOVAL_PAUSE_MS);
    }
  }
}

/** Brings a cluster of this machine up and down. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from '../chaos/wait.ts';
import { apiGet } from './api.ts';
import { build, cacheDir, isBuilt } from './cache.ts';
import { makeCertificates } from './certificates.ts';
import { removeCgroups } from './cgroups.ts';
import { run, start } from './commands.ts';
import { argumentsOf, corefile } from './controlPlane.ts';
import type { ControlPlaneProgram } from './controlPlane.ts';
import { initialObjects, listOf } from './manifests.ts';
import { inNamespace, makeNetwork, namespacesOf, removeNamespace } from './network.ts';
import { startNode } from './node.ts';
import { findProcesses, killAll } from './processes.ts';
import { ensureRequirements } from './requirements.ts';
import { cacheRoot, namespaceOf, nodeNames, pathsOf, stateRoot } from './spec.ts';
import type { ClusterOptions, ClusterSpec } from './spec.ts';

export type Say = (line: string) => void;

const API_MS_MAX = 120_000;
const NODES_MS_MAX = 120_000;
const LOG_LINES_SHOWN = 8;
/** Of a Unix socket, with its end. */
const SOCKET_PATH_BYTES_MAX = 107;
/** Nodes have file systems of their own there (node-init.sh). */
const HIDDEN = ['/run', '/mnt', '/var/lib', '/var/log'];

export function clusterDir(name: string, env: NodeJS.ProcessEnv): string {
  return path.join(stateRoot(env), name);
}

/** The cluster of that name as it was made; undefined when there is none. */
export async function readSpec(
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<ClusterSpec | undefined> {
  try {
    const file = pathsOf(clusterDir(name, env)).spec;
    return JSON.parse(await fs.readFile(file, 'utf8')) as ClusterSpec;
  } catch {
    return undefined; // none, or one whose start was cut off while it was written
  }
}

/** Brings a cluster up. One that runs as wanted is left as it is; what is left of a dead one is removed first. */
export async function up(
  options: ClusterOptions,
  env: NodeJS.ProcessEnv,
  say: Say,
): Promise<ClusterSpec> {
  const dir = clusterDir(options.name, env);
  checkPlace(dir, options);
  const cache = await cacheDir(cacheRoot(env));
  await ensureRequirements(await isBuilt(cache), say);
  if (!(await isBuilt(cache))) await build(cache, say);
  const running = await readSpec(options.name, env);
  if (running !== undefined && isSame(running, { ...options, cache }) && (await isReady(running))) {
    await applyMonitoringCrds({ ...running, ...options });
    return running;
  }
  await down(options.name, env);
  try {
    return await create({ ...options, dir, cache }, say);
  } catch (error) {
    await stopEverything(options.name); // the logs stay
    throw error;
  }
}

function isSame(spec: ClusterSpec, wanted: ClusterOptions & { readonly cache: string }): boolean {
  return (['nodeCount', 'disksPerNode', 'zoneCount', 'cache'] as const).every(
    (key) => spec[key] === wanted[key],
  );
}

function checkPlace(dir: string, options: ClusterOptions): void {
  const hidden = HIDDEN.find((place) => `${dir}/`.startsWith(`${place}/`));
  if (hidden !== undefined)
    throw new Error(`${dir}: nodes have a ${hidden} of their own; set XDG_STATE_HOME elsewhere`);
  const [node = ''] = nodeNames(options);
  const socket = `${pathsOf(dir).node(node).socket}.ttrpc`;
  if (socket.length > SOCKET_PATH_BYTES_MAX)
    throw new Error(`${dir}: too long for sockets; set XDG_STATE_HOME to a shorter path`);
}

async function create(options: Omit<ClusterSpec, 'slot'>, say: Say): Promise<ClusterSpec> {
  const paths = pathsOf(options.dir);
  await fs.mkdir(paths.log, { recursive: true });
  const spec: ClusterSpec = { ...options, slot: await makeNetwork(options.name) };
  await makeCertificates(spec);
  await fs.writeFile(paths.spec, JSON.stringify(spec, null, 2));
  await linkPrograms(spec);
  startProgram(spec, 'etcd');
  startProgram(spec, 'kube-apiserver');
  await waitUntil(spec, 'the API server is ready', API_MS_MAX, () => isApiReady(spec));
  say('API server ready');
  // Not before: the controller manager ends when the first RBAC rules are not there yet.
  startProgram(spec, 'kube-controller-manager');
  startProgram(spec, 'kube-scheduler');
  await fs.writeFile(paths.corefile, corefile(spec));
  startProgram(spec, 'coredns');
  await Promise.all(nodeNames(spec).map((node) => startNode(spec, node)));
  await kubectl(spec, ['apply', '--server-side', '-f', '-'], listOf(initialObjects(spec)));
  await applyMonitoringCrds(spec);
  await waitUntil(spec, 'all nodes are ready', NODES_MS_MAX, () => isReady(spec));
  say(`${spec.nodeCount} nodes ready`);
  return spec;
}

/** Programs for the user: `kubectl` and `helm`. */
async function linkPrograms(spec: ClusterSpec): Promise<void> {
  const { bin } = pathsOf(spec.dir);
  await fs.mkdir(bin, { recursive: true });
  for (const program of ['kubectl', 'helm'])
    await fs.symlink(path.join(spec.cache, 'bin', program), path.join(bin, program));
}

/** Starts a program of the control plane. */
export function startProgram(spec: ClusterSpec, program: ControlPlaneProgram): void {
  const file = path.join(spec.cache, 'bin', program);
  const command = inNamespace(namespaceOf(spec.name), file, ...argumentsOf(spec, program));
  start('nsenter', command, logOf(spec, program));
}

function logOf(spec: ClusterSpec, program: ControlPlaneProgram): string {
  return path.join(pathsOf(spec.dir).log, `${program}.log`);
}

export async function kubectl(
  spec: ClusterSpec,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const program = path.join(spec.cache, 'bin', 'kubectl');
  const { kubeconfig } = pathsOf(spec.dir);
  const common = ['--kubeconfig', kubeconfig, '--cache-dir', path.join(spec.dir, 'kubectl-cache')];
  return run(program, [...common, ...args], input === undefined ? {} : { input });
}

async function applyMonitoringCrds(spec: ClusterSpec): Promise<void> {
  if (!spec.hasMonitoringCrds) return;
  await kubectl(spec, ['apply', '--server-side', '-f', path.join(spec.cache, 'crds')]);
}

export async function isApiReady(spec: ClusterSpec): Promise<boolean> {
  return (await apiGet(spec, '/readyz')) !== undefined;
}

interface NodeList {
  readonly items: readonly {
    readonly status: { readonly conditions: readonly { type: string; status: string }[] };
  }[];
}

/** Whether all nodes are, and pods can be made. */
export async function isReady(spec: ClusterSpec): Promise<boolean> {
  const [nodes, account] = await Promise.all([
    apiGet(spec, '/api/v1/nodes').catch(() => undefined),
    apiGet(spec, '/api/v1/namespaces/default/serviceaccounts/default').catch(() => undefined),
  ]);
  if (nodes === undefined || account === undefined) return false;
  const ready = (JSON.parse(nodes) as NodeList).items.filter(({ status }) =>
    status.conditions.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );
  return ready.length === spec.nodeCount;
}

/** Waits, and tells what a program of the control plane said when it has ended meanwhile. */
async function waitUntil(
  spec: ClusterSpec,
  what: string,
  deadlineMs: number,
  condition: () => Promise<boolean>,
): Promise<void> {
  try {
    await waitFor(what, deadlineMs, condition);
  } catch (error) {
    const lines = [`${String(error)}; logs: ${spec.dir}`];
    for (const program of ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const) {
      if ((await findProcesses(namespaceOf(spec.name), program)).length > 0) continue;
      const log = await fs.readFile(logOf(spec, program), 'utf8').catch(() => '');
      lines.push(`${program} does not run:`, ...log.trimEnd().split('\n').slice(-LOG_LINES_SHOWN));
    }
    throw new Error(lines.join('\n'), { cause: error });
  }
}

/** Removes a cluster, in whatever state it is. @returns Whether there was anything. */
export async function down(name: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const wasRunning = await stopEverything(name);
  const dir = clusterDir(name, env);
  const isThere = await isBuilt(dir);
  await fs.rm(dir, { recursive: true, force: true });
  return wasRunning || isThere;
}

async function stopEverything(name: string): Promise<boolean> {
  const namespaces = await namespacesOf(name);
  for (const namespace of namespaces) await killAll(namespace);
  for (const namespace of namespaces) await removeNamespace(namespace);
  await removeCgroups(name);
  return namespaces.length > 0;
}

/** The names of all clusters that run or have left something. */
export async function clusterNames(env: NodeJS.ProcessEnv): Promise<string[]> {
  return fs.readdir(stateRoot(env)).catch(() => []);
}

/** One node of a cluster: its start, its end, and its images. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from '../chaos/wait.ts';
import { nodeAddress } from './addresses.ts';
import { makeCgroups } from './cgroups.ts';
import { run, start } from './commands.ts';
import { inNamespace, makeNodeNetwork, removeNodeNetwork } from './network.ts';
import { nodeFiles, nodeLabels } from './nodeFiles.ts';
import { findProcesses, killAll, killProgram } from './processes.ts';
import { cniDir } from './requirements.ts';
import { ROOT } from './root.ts';
import { addressesIn, nodeNamespace, nodeNumber, pathsOf } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const INIT = path.join(ROOT, 'e2e', 'kube', 'node-init.sh');
const START_MS_MAX = 30_000;
const IMPORT_MS_MAX = 120_000;

/** Programs that a node keeps running (node-init.sh). */
export type NodeProgram = 'containerd' | 'kubelet' | 'kube-proxy';

/** Starts a node; it finds the disks, images and pods that it had. */
export async function startNode(spec: ClusterSpec, node: string): Promise<void> {
  const paths = pathsOf(spec.dir).node(node);
  const folders = ['kubelet', 'containerd', 'log', 'cni', 'opt'];
  for (const name of folders) await fs.mkdir(path.join(paths.dir, name), { recursive: true });
  for (let disk = 0; disk < spec.disksPerNode; disk += 1)
    await fs.mkdir(paths.disk(disk), { recursive: true });
  for (const [file, content] of Object.entries(nodeFiles(spec, node, cniDir())))
    await fs.writeFile(file, content);
  await makeCgroups(spec.name, node);
  await makeNodeNetwork(spec, node);
  const namespace = nodeNamespace(spec.name, node);
  const address = nodeAddress(addressesIn(spec), nodeNumber(node));
  const pause = path.join(spec.cache, 'pause.tar');
  const bin = path.join(spec.cache, 'bin');
  const init = [INIT, paths.dir, node, address, nodeLabels(spec, node), bin, pause];
  // --kill-child and a PID namespace: whatever the node runs dies with its first process.
  const unshare = '--mount --uts --ipc --pid --fork --kill-child --mount-proc'.split(' ');
  const command = inNamespace(namespace, 'unshare', ...unshare, ...init);
  start('nsenter', command, path.join(paths.dir, 'init.log'));
}

/** Cuts a node's power: all of its processes are gone at once. */
export async function stopNode(spec: ClusterSpec, node: string): Promise<void> {
  await killAll(nodeNamespace(spec.name, node));
  await removeNodeNetwork(spec, node);
}

/** Kills a program of a node and keeps it stopped. */
export async function stopOnNode(
  spec: ClusterSpec,
  node: string,
  program: NodeProgram,
): Promise<void> {
  await fs.writeFile(stopFile(spec, node, program), '');
  await killProgram(nodeNamespace(spec.name, node), program);
}

export async function startOnNode(
  spec: ClusterSpec,
  node: string,
  program: NodeProgram,
): Promise<void> {
  await fs.rm(stopFile(spec, node, program), { force: true });
  const namespace = nodeNamespace(spec.name, node);
  const isRunning = async (): Promise<boolean> =>
    (await findProcesses(namespace, program)).length > 0;
  await waitFor(`${program} of ${node} runs`, START_MS_MAX, isRunning);
}

function stopFile(spec: ClusterSpec, node: string, program: NodeProgram): string {
  return path.join(pathsOf(spec.dir).node(node).dir, `${program}.stopped`);
}

/** Imports the images of an OCI archive. */
export async function importImage(spec: ClusterSpec, node: string, archive: string): Promise<void> {
  await ctr(spec, node, ['images', 'import', archive]);
}

/** Gives an image another name beside its own. */
export async function tagImage(
  spec: ClusterSpec,
  node: string,
  ...[name, other]: [name: string, other: string]
): Promise<void> {
  await ctr(spec, node, ['images', 'tag', '--force', name, other]);
}

/** Kills what runs in a pod's containers, not in its sandbox. */
export async function killContainers(
  spec: ClusterSpec,
  node: string,
  { namespace, pod }: { readonly namespace: string; readonly pod: string },
): Promise<void> {
  const labels = {
    'io.kubernetes.pod.namespace': namespace,
    'io.kubernetes.pod.name': pod,
    'io.cri-containerd.kind': 'container',
  };
  const filter = Object.entries(labels).map(([label, value]) => `labels."${label}"==${value}`);
  const listed = await ctr(spec, node, ['containers', 'list', '--quiet', filter.join(',')]);
  const running = (await ctr(spec, node, ['tasks', 'list']))
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , state]) => state === 'RUNNING')
    .map(([id = '']) => id);
  const killed = listed.split('\n').filter((id) => running.includes(id));
  if (killed.length === 0) throw new Error(`no container of ${pod} runs on ${node}`);
  for (const id of killed) await ctr(spec, node, ['tasks', 'kill', '--signal', 'SIGKILL', id]);
}

async function ctr(spec: ClusterSpec, node: string, command: readonly string[]): Promise<string> {
  const { socket } = pathsOf(spec.dir).node(node);
  return run('ctr', ['--address', socket, '--namespace', 'k8s.io', ...command], {
    timeoutMs: IMPORT_MS_MAX,
  });
}

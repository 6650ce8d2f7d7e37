/**
 * A Kubernetes for tests: one of this machine (`startCluster`), whose nodes can be cut off, switched off and stopped in part,
 * or any other by its kubeconfig (`E2E_KUBECONFIG`).
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from '../chaos/wait.ts';
import { run } from './commands.ts';
import { down, isApiReady, isReady, kubectl, readSpec, startProgram, up } from './lifecycle.ts';
import type { Say } from './lifecycle.ts';
import { listOf } from './manifests.ts';
import type { KubeObject } from './manifests.ts';
import { setCable } from './network.ts';
import {
  importImage,
  killContainers,
  startNode,
  startOnNode,
  stopNode,
  stopOnNode,
  tagImage,
} from './node.ts';
import type { NodeProgram } from './node.ts';
import { stopProgram } from './processes.ts';
import { DEFAULTS, DEFAULT_NAME, namespaceOf, nodeNames, pathsOf, zoneOf } from './spec.ts';
import type { ClusterOptions, ClusterSpec } from './spec.ts';

const API_MS_MAX = 60_000;

/** What every cluster can do. */
export interface KubeCluster {
  readonly kubeconfig: string;
  /** @returns Its stdout. @throws {CommandError} */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** The parsed output of `kubectl ... -o json`. */
  get(args: readonly string[]): Promise<unknown>;
  /** Server-side apply. */
  apply(objects: readonly KubeObject[]): Promise<void>;
}

/** A cluster that somebody else has made. */
export class ForeignCluster implements KubeCluster {
  readonly kubeconfig: string;

  constructor(kubeconfig: string) {
    this.kubeconfig = kubeconfig;
  }

  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const options = input === undefined ? {} : { input };
    return run('kubectl', ['--kubeconfig', this.kubeconfig, ...args], options);
  }

  async get(args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json']));
  }

  async apply(objects: readonly KubeObject[]): Promise<void> {
    await this.kubectl(applyArguments(), listOf(objects));
  }
}

/** A cluster of this machine. This process reaches its API server, nodes and pods directly by their addresses. */
export class LocalCluster implements KubeCluster {
  readonly spec: ClusterSpec;
  readonly kubeconfig: string;
  readonly nodes: readonly string[];

  constructor(spec: ClusterSpec) {
    this.spec = spec;
    this.kubeconfig = pathsOf(spec.dir).kubeconfig;
    this.nodes = nodeNames(spec);
  }

  async kubectl(args: readonly string[], input?: string): Promise<string> {
    return kubectl(this.spec, args, input);
  }

  async get(args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json']));
  }

  async apply(objects: readonly KubeObject[]): Promise<void> {
    await this.kubectl(applyArguments(), listOf(objects));
  }

  /** Whether all nodes are, and pods can be made. */
  async isReady(): Promise<boolean> {
    return isReady(this.spec);
  }

  zoneOf(node: string): string {
    return zoneOf(this.spec, node);
  }

  /** Imports an OCI archive into every node that runs. */
  async loadImage(archive: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => importImage(this.spec, node, archive)));
  }

  /** Gives an image that was loaded another name beside its own, on every node that runs. */
  async tagImage(name: string, other: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => tagImage(this.spec, node, name, other)));
  }

  /** `kill -9` of the processes in a pod's containers; kubelet starts them again. */
  async killContainers(node: string, namespace: string, pod: string): Promise<void> {
    await killContainers(this.spec, node, { namespace, pod });
  }

  /** Pulls a node's network cable: it runs on, and nobody reaches it. */
  async cutNetwork(node: string): Promise<void> {
    await setCable(this.spec, node, false);
  }

  async healNetwork(node: string): Promise<void> {
    await setCable(this.spec, node, true);
  }

  /** Cuts a node's power: everything on it dies at once; its disks stay. */
  async powerOff(node: string): Promise<void> {
    await stopNode(this.spec, node);
  }

  /** Returns when the node has begun to start: it is ready when its Node object says so. */
  async powerOn(node: string): Promise<void> {
    await startNode(this.spec, node);
  }

  /** Kills a program of a node and keeps it stopped; containers run on without their kubelet. */
  async stopOnNode(node: string, program: NodeProgram): Promise<void> {
    await stopOnNode(this.spec, node, program);
  }

  async startOnNode(node: string, program: NodeProgram): Promise<void> {
    await startOnNode(this.spec, node, program);
  }

  async stopApiServer(): Promise<void> {
    await stopProgram(namespaceOf(this.spec.name), 'kube-apiserver');
  }

  /** Returns when it answers. */
  async startApiServer(): Promise<void> {
    startProgram(this.spec, 'kube-apiserver');
    await waitFor('the API server is ready', API_MS_MAX, () => isApiReady(this.spec));
  }

  /** Empties the disks whose claims are gone, and offers them again, as a provisioner of local volumes does. */
  async recycleVolumes(): Promise<void> {
    const { items } = (await this.get(['pv'])) as { items: readonly Volume[] };
    for (const { metadata, status } of items) {
      if (status.phase !== 'Released') continue;
      const [node = '', disk = ''] = metadata.name.split('-d');
      const dir = pathsOf(this.spec.dir).node(node).disk(Number(disk));
      for (const name of await fs.readdir(dir))
        await fs.rm(path.join(dir, name), { recursive: true });
      const patch = '[{"op":"remove","path":"/spec/claimRef"}]';
      await this.kubectl(['patch', 'pv', metadata.name, '--type=json', '-p', patch]);
    }
  }

  /** What this node has on a disk, seen from outside. */
  diskDir(node: string, disk: number): string {
    return pathsOf(this.spec.dir).node(node).disk(disk);
  }

  async stop(): Promise<void> {
    await down(this.spec.name, process.env);
  }
}

interface Volume {
  readonly metadata: { readonly name: string };
  readonly status: { readonly phase: string };
}

function applyArguments(): string[] {
  return ['apply', '--server-side', '--field-manager=e2e', '-f', '-'];
}

/** Starts a cluster of this machine, or takes one of that name and shape that runs. */
export async function startCluster(
  options: Partial<ClusterOptions> = {},
  say: Say = () => undefined,
): Promise<LocalCluster> {
  return new LocalCluster(await up({ ...DEFAULTS, ...options }, process.env, say));
}

/** A cluster of this machine that was started before, by whomever. */
export async function openCluster(name: string): Promise<LocalCluster | undefined> {
  const spec = await readSpec(name, process.env);
  return spec === undefined ? undefined : new LocalCluster(spec);
}

/** The cluster of `npm run e2e`: that of E2E_KUBECONFIG, or the one of this machine (e2e/setup.ts). */
export async function suiteCluster(): Promise<LocalCluster | ForeignCluster> {
  const foreign = process.env['E2E_KUBECONFIG'] ?? '';
  if (foreign !== '') return new ForeignCluster(foreign);
  const cluster = await openCluster(DEFAULT_NAME);
  if (cluster === undefined) throw new Error('there is no cluster: run `npm run e2e:up`');
  return cluster;
}

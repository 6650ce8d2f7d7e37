/** What a cluster is, and where everything of it lies. It is written down, so that every process finds the same. */
import os from 'node:os';
import path from 'node:path';
import { addressesOf } from './addresses.ts';
import type { Addresses } from './addresses.ts';

export interface ClusterOptions {
  readonly name: string;
  readonly nodeCount: number;
  /** Local disks of each node, each of them a PersistentVolume. */
  readonly disksPerNode: number;
  /** Failure domains; node N is in zone N modulo their number. */
  readonly zoneCount: number;
  /** The definitions of PodMonitor, ServiceMonitor and PrometheusRule. */
  readonly hasMonitoringCrds: boolean;
}

export interface ClusterSpec extends ClusterOptions {
  readonly slot: number;
  /** Its state: certificates, etcd, logs, the nodes' disks. */
  readonly dir: string;
  /** Binaries (cache.ts). */
  readonly cache: string;
}

export const DEFAULT_NAME = 'default';
export const DEFAULTS: ClusterOptions = {
  name: DEFAULT_NAME,
  nodeCount: 3,
  disksPerNode: 4,
  zoneCount: 3,
  hasMonitoringCrds: false,
};

/** Names become part of interfaces, cgroups and socket paths. */
export const NAME = /^[a-z][a-z0-9-]{0,19}$/;

/** Where things are kept between runs: outside of the checkout, by the rules of the XDG base directories. */
export function stateRoot(env: NodeJS.ProcessEnv): string {
  const home = env['HOME'] ?? os.homedir();
  return path.join(env['XDG_STATE_HOME'] ?? path.join(home, '.local', 'state'), 'walrus', 'kube');
}

export function cacheRoot(env: NodeJS.ProcessEnv): string {
  const home = env['HOME'] ?? os.homedir();
  return path.join(env['XDG_CACHE_HOME'] ?? path.join(home, '.cache'), 'walrus');
}

/** The network namespace of the control plane, and the prefix of those of the nodes. */
export function namespaceOf(name: string): string {
  return `walrus-kube.${name}`;
}

export function nodeNamespace(name: string, node: string): string {
  return `${namespaceOf(name)}.${node}`;
}

/** The parent of all cgroups of a cluster's pods, below the root of each hierarchy. */
export function cgroupOf(name: string): string {
  return `walrus-kube-${name}`;
}

export function nodeNames({ nodeCount }: { readonly nodeCount: number }): string[] {
  return Array.from({ length: nodeCount }, (_, index) => `n${index + 1}`);
}

/** The number in a node's name. */
export function nodeNumber(node: string): number {
  return Number(node.slice(1));
}

export function zoneOf({ zoneCount }: { readonly zoneCount: number }, node: string): string {
  return `zone-${'abcdefghi'.charAt((nodeNumber(node) - 1) % zoneCount)}`;
}

export function addressesIn({ slot }: { readonly slot: number }): Addresses {
  return addressesOf(slot);
}

/** Where everything of a cluster lies. */
export interface Paths {
  readonly spec: string;
  readonly kubeconfig: string;
  readonly bin: string;
  readonly pki: string;
  readonly log: string;
  readonly etcd: string;
  readonly corefile: string;
  readonly kubeconfigOf: (user: string) => string;
  readonly node: (name: string) => NodePaths;
}

export interface NodePaths {
  readonly dir: string;
  readonly log: string;
  readonly socket: string;
  readonly disk: (index: number) => string;
  readonly containerdConfig: string;
  readonly kubeletConfig: string;
  readonly proxyConfig: string;
  readonly cniConfig: string;
  readonly resolvConf: string;
}

export function pathsOf(dir: string): Paths {
  const pki = path.join(dir, 'pki');
  return {
    spec: path.join(dir, 'cluster.json'),
    kubeconfig: path.join(dir, 'kubeconfig'),
    bin: path.join(dir, 'bin'),
    pki,
    log: path.join(dir, 'log'),
    etcd: path.join(dir, 'etcd'),
    corefile: path.join(dir, 'Corefile'),
    kubeconfigOf: (user) => path.join(pki, `${user}.kubeconfig`),
    node: (name) => nodePaths(path.join(dir, name)),
  };
}

function nodePaths(dir: string): NodePaths {
  return {
    dir,
    log: path.join(dir, 'log'),
    socket: path.join(dir, 'containerd.sock'),
    disk: (index) => path.join(dir, 'disks', `d${index}`),
    containerdConfig: path.join(dir, 'containerd.toml'),
    kubeletConfig: path.join(dir, 'kubelet.yaml'),
    proxyConfig: path.join(dir, 'kube-proxy.yaml'),
    cniConfig: path.join(dir, 'cni', '10-bridge.conflist'),
    resolvConf: path.join(dir, 'resolv.conf'),
  };
}

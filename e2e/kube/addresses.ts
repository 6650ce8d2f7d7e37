/**
 * The addresses of a cluster. Several clusters stand side by side on one machine, and the machine reaches the pods of all of
 * them: so each has a slot of its own, and all its networks follow from that.
 */

export const SLOT_COUNT = 16;
export const NODE_COUNT_MAX = 9;

export interface Addresses {
  readonly slot: number;
  /** The machine's end of the cable into the cluster; it exists exactly while the slot is taken. */
  readonly hostInterface: string;
  readonly host: string;
  readonly controlPlane: string;
  /** Nodes, control plane and host. */
  readonly nodeRange: string;
  readonly podRange: string;
  readonly serviceRange: string;
  /** The API server as pods see it. */
  readonly apiService: string;
}

export function addressesOf(slot: number): Addresses {
  return {
    slot,
    hostInterface: `walrus-kube${slot}`,
    host: `10.77.${slot}.254`,
    controlPlane: `10.77.${slot}.1`,
    nodeRange: `10.77.${slot}.0/24`,
    podRange: `10.${80 + slot}.0.0/16`,
    serviceRange: `10.${100 + slot}.0.0/16`,
    apiService: `10.${100 + slot}.0.1`,
  };
}

/** @param node - From 1. */
export function nodeAddress({ slot }: Addresses, node: number): string {
  return `10.77.${slot}.${10 + node}`;
}

/** The pods of one node. */
export function podRangeOf({ slot }: Addresses, node: number): string {
  return `10.${80 + slot}.${node}.0/24`;
}

/**
 * The slots whose networks nobody on this machine uses, best first.
 * @param routes - Destinations in the machine's routing table: `10.0.0.0/8`, `10.1.2.3`, `default`.
 * @param interfaces - Names of the machine's network interfaces.
 */
export function freeSlots(routes: readonly string[], interfaces: readonly string[]): number[] {
  const taken = routes.map(rangeOf).filter((range) => range !== undefined);
  return Array.from({ length: SLOT_COUNT }, (_, slot) => slot).filter((slot) => {
    const { hostInterface, nodeRange, podRange, serviceRange } = addressesOf(slot);
    const wanted = [nodeRange, podRange, serviceRange].map(rangeOf);
    return (
      !interfaces.includes(hostInterface) &&
      wanted.every((range) => range !== undefined && !taken.some((other) => overlap(range, other)))
    );
  });
}

interface Range {
  readonly first: number;
  readonly last: number;
}

function rangeOf(cidr: string): Range | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)(?:\/(\d+))?$/.exec(cidr);
  if (match === null) return undefined; // the default route, IPv6
  const [a = 0, b = 0, c = 0, d = 0, bits = 32] = match
    .slice(1)
    .filter((part) => (part as string | undefined) !== undefined)
    .map(Number);
  const size = 2 ** (32 - bits);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}

function overlap(one: Range, other: Range): boolean {
  return one.first <= other.last && other.first <= one.last;
}

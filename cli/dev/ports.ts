/** The ports of a cluster on this machine. */
import net from 'node:net';
import { WalrusError } from '../../base/errors.ts';
import { UsageError } from '../usageError.ts';

export const HOST = '127.0.0.1';

export interface NodePorts {
  readonly client: number;
  readonly peer: number;
  readonly http: number;
}

const NODE_COUNT_MAX = 9;
const FIRST = { client: 9091, peer: 6001, http: 9191 } as const;
const PORT_MAX = 65_535;

/** @throws {UsageError} when no cluster can have such ports. */
export function checkPorts(count: number, basePort: number | undefined): void {
  if (count < 1 || count > NODE_COUNT_MAX) {
    throw new UsageError(`--nodes must be 1 to ${NODE_COUNT_MAX}, not ${count}`);
  }
  if (basePort !== undefined && (basePort < 1 || basePort + 21 + count > PORT_MAX)) {
    throw new UsageError(`--base-port must be 1 to ${PORT_MAX - 21 - count}, not ${basePort}`);
  }
}

/**
 * Chooses the ports of each node: P+1.., P+11.., P+21.. with a base port, else the usual or the next free ones.
 * @throws {UsageError}
 * @throws {WalrusError} ADDRESS_IN_USE when a port that was asked for is taken.
 */
export async function choosePorts(
  count: number,
  basePort: number | undefined,
  note: (text: string) => void,
): Promise<NodePorts[]> {
  checkPorts(count, basePort);
  if (basePort !== undefined) {
    const ports = Array.from({ length: count }, (_, i) => ({
      client: basePort + 1 + i,
      peer: basePort + 11 + i,
      http: basePort + 21 + i,
    }));
    await checkFree(ports);
    return ports;
  }
  const client = await freePorts('client', count, note);
  const peer = await freePorts('peer', count, note);
  const http = await freePorts('http', count, note);
  return client.map((port, i) => ({ client: port, peer: peer[i] ?? 0, http: http[i] ?? 0 }));
}

async function checkFree(ports: readonly NodePorts[]): Promise<void> {
  for (const port of ports.flatMap(({ client, peer, http }) => [client, peer, http])) {
    if (await isFree(port)) continue;
    const message = `Cannot use port ${port} of ${HOST}: another process uses it; give another --base-port`;
    throw new WalrusError('ADDRESS_IN_USE', message);
  }
}

async function freePorts(
  kind: keyof typeof FIRST,
  count: number,
  note: (text: string) => void,
): Promise<number[]> {
  const ports: number[] = [];
  for (let port = FIRST[kind]; ports.length < count; port += 1) {
    if (port > PORT_MAX) throw new UsageError(`There are no free ${kind} ports`);
    if (await isFree(port)) ports.push(port);
    else note(`${kind} port ${port} is taken: using the next free one`);
  }
  return ports;
}

/** Whether one can listen on a port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}

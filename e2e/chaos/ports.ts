/**
 * Free ports that stay free: below the range that the system takes for outgoing connections, so that a node which is
 * down for a while finds its port again.
 */
import { randomInt } from 'node:crypto';
import net from 'node:net';

const PORT_MIN = 12_000;
const PORT_MAX = 32_000;
const TRIES_MAX = 1000;

/** Finds that many different ports which nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries += 1) {
    if (tries >= TRIES_MAX) throw new Error(`cannot find ${count} free ports`);
    const port = randomInt(PORT_MIN, PORT_MAX);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

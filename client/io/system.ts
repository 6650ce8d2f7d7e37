/** The real time, randomness and TCP connections of a client (world.ts). */
import { randomFillSync } from 'node:crypto';
import type { Clock, Timer } from '../../base/clock.ts';
import { installCrc32c } from '../../base/crc32c.ts';
import type { Random } from '../../base/random.ts';
import type { ClientWorld } from '../world.ts';
import { TcpConnection } from './tcpConnection.ts';

class SystemClock implements Clock {
  monotonicMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const handle = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(handle) };
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }
}

class SystemRandom implements Random {
  readonly #word = new Uint32Array(1);

  uint32(): number {
    randomFillSync(this.#word);
    return this.#word[0] as number;
  }
}

/** The world as it is. */
export function systemWorld(): ClientWorld {
  return {
    clock: new SystemClock(),
    random: new SystemRandom(),
    network: { connect: (address, handlers) => new TcpConnection(address, handlers) },
  };
}

/** Uses the native CRC-32C where there is one; the portable one gives the same values, slower. */
export async function useNativeCrc32c(): Promise<void> {
  try {
    const { crc32c } = await import('@node-rs/crc32');
    installCrc32c((bytes, seed) => crc32c(bytes, seed));
  } catch {
    // No binary for this platform: the portable one stays in use.
  }
}

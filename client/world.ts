/** What the library needs from outside: time, randomness and connections. The real one is in client/io. */
import type { Clock } from '../base/clock.ts';
import type { Network } from '../base/network.ts';
import type { Random } from '../base/random.ts';
import { between } from '../base/random.ts';

export interface ClientWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Pick<Network, 'connect'>;
}

/** Resolves after a while. */
export function sleep(world: ClientWorld, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    world.clock.setTimer(delayMs, resolve);
  });
}

const BACK_OFF_MIN_MS = 20;
const BACK_OFF_MAX_MS = 1000;
const DOUBLINGS_MAX = 10;

/**
 * How long to wait before the next attempt: doubling, at random between half and all of it.
 * @param failures - Attempts that have failed one after the other, from 1.
 * @param maxMs - The longest wait.
 */
export function backOffMs(world: ClientWorld, failures: number, maxMs = BACK_OFF_MAX_MS): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX);
  const ceiling = Math.min(BACK_OFF_MIN_MS * 2 ** doublings, maxMs);
  return between(world.random, ceiling / 2, ceiling);
}

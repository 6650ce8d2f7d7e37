/**
 * The requests of this node's clients that wait for one topic's shared cursor. One look at the cursors is under way
 * at a time, for all who wait by then; who comes meanwhile is served by the next one. So one round trip to the leader
 * brings as many records as there are clients for them, and each client gets what its place in the row is due.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { Handed, NextDone } from './handed.ts';

/** Requests served by one look. */
export const TAKE_COUNT_MAX = 1024;
/** Requests that wait, of one topic. */
const WAITING_COUNT_MAX = 10_000;

/** What a look found. */
export interface Look {
  readonly handed: readonly Handed[];
  /** No cursor has more. */
  readonly isEnd: boolean;
  /** Why some cursor could not be asked. */
  readonly failure: WalrusError | null;
}

export interface CursorDemandOptions {
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** Takes up to `count` records. */
  look(count: number): Promise<Look>;
  /** Resolves when it may be worth looking again. */
  pause(): Promise<void>;
  /** Nobody waits any more. */
  onIdle(): void;
}

interface Waiting {
  readonly deadlineMs: number;
  readonly done: NextDone;
}

export class CursorDemand {
  readonly #options: CursorDemandOptions;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(options: CursorDemandOptions) {
    this.#options = options;
  }

  /** Waits for the next record behind all who wait already. */
  add(done: NextDone): void {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      done(new WalrusError('OVERLOADED', 'Too many requests wait for this shared cursor'), null);
      return;
    }
    const deadlineMs = this.#options.clock.monotonicMs() + this.#options.requestTimeoutMs;
    this.#waiting.push({ deadlineMs, done });
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const count = Math.min(this.#waiting.length, TAKE_COUNT_MAX);
      const look = await this.#options.look(count);
      if (this.#serve(count, look)) await this.#options.pause();
    }
    this.#isRunning = false;
    this.#options.onIdle();
  }

  /**
   * Answers the first `count` that wait, as far as it can.
   * @returns whether the others have to wait until something changes.
   */
  #serve(count: number, { handed, isEnd, failure }: Look): boolean {
    const first = this.#waiting.splice(0, count);
    const served = first.slice(0, handed.length);
    const rest = first.slice(handed.length);
    const kept = rest.filter((waiting) => !this.#isAnswered(waiting, isEnd, failure));
    this.#waiting.unshift(...kept);
    // Told last: who is told may ask again at once, and stands behind those who are kept.
    for (const [index, { done }] of served.entries()) done(null, handed[index] ?? null);
    return failure !== null && kept.length > 0;
  }

  /** Whether there is nothing more to wait for. */
  #isAnswered({ deadlineMs, done }: Waiting, isEnd: boolean, failure: WalrusError | null): boolean {
    if (failure === null) {
      if (isEnd) done(null, null);
      return isEnd;
    }
    const isOver = this.#options.clock.monotonicMs() >= deadlineMs;
    const isFinal = !failure.retriable || failure.code === 'OVERLOADED' || isOver;
    if (isFinal) done(failure, null);
    return isFinal;
  }
}

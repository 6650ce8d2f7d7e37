/**
 * The requests of this node's clients that wait for one topic's shared cursor. One look at the cursors is under way
 * at a time, for all who wait by then; who comes meanwhile is served by the next one. So one round trip to the leader
 * brings as many records as there are clients for them, and each client gets what its place in the row is due.
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { Handed, NextTaker } from './handed.ts';

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

interface Waiting extends NextTaker {
  readonly deadlineMs: number;
}

export class CursorDemand {
  readonly #options: CursorDemandOptions;
  #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(options: CursorDemandOptions) {
    this.#options = options;
  }

  /** Waits for the next record behind all who wait already. */
  add(taker: NextTaker): void {
    if (this.#waiting.length >= WAITING_COUNT_MAX) {
      taker.done(
        new WalrusError('OVERLOADED', 'Too many requests wait for this shared cursor'),
        null,
      );
      return;
    }
    const deadlineMs = this.#options.clock.monotonicMs() + this.#options.requestTimeoutMs;
    const { done } = taker;
    this.#waiting.push({ deadlineMs, done, isWanted: () => taker.isWanted() });
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      this.#dropGone();
      const count = Math.min(this.#waiting.length, TAKE_COUNT_MAX);
      if (count === 0) break;
      const look = await this.#options.look(count);
      if (this.#serve(count, look)) await this.#options.pause();
    }
    this.#isRunning = false;
    this.#options.onIdle();
  }

  /** Forgets those whose connection has gone; `done` ends what is kept for their requests. */
  #dropGone(): void {
    const gone = new Set(this.#waiting.filter((waiting) => !waiting.isWanted()));
    if (gone.size === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !gone.has(waiting));
    for (const { done } of gone) done(null, null);
  }

  /**
   * Answers the first `count` that wait, as far as it can; whose connection has gone meanwhile leaves his record to the
   * next. What nobody wants any more is given back.
   * @returns whether the others have to wait until something changes.
   */
  #serve(count: number, { handed, isEnd, failure }: Look): boolean {
    const asked = new Set(this.#waiting.slice(0, count));
    this.#dropGone();
    const served = this.#waiting.splice(0, handed.length);
    this.#waiting = this.#waiting.filter(
      (waiting) => !asked.has(waiting) || !this.#isAnswered(waiting, isEnd, failure),
    );
    const mustWait = failure !== null && this.#waiting.some((waiting) => asked.has(waiting));
    for (const unwanted of handed.slice(served.length)) unwanted.settle(false);
    // Told last: who is told may ask again at once, and stands behind those who are kept.
    for (const [index, { done }] of served.entries()) done(null, handed[index] ?? null);
    return mustWait;
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

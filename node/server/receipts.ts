/**
 * Records of shared cursors that were written to one client's connection, until they count as delivered.
 *
 * Neither dialect has an acknowledgement, and what is written may be lost in this node, on the way, or in the buffers
 * of a client that ends before it reads. So a record counts as delivered when one of these shows it:
 * - Later commands: a client that never has more than n of them unanswered has read all replies but n when it sends
 *   one more. n is the most that this connection has had.
 * - The client has ended its side, and the connection was closed in order.
 * - The connection has stayed whole for `WHOLE_MS` since the operating system took the reply: who waits for others'
 *   records cannot wait for ever for a client that says nothing more.
 * A connection that breaks before that gives its records back.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Handed } from './handed.ts';

/** Below what a cursor waits for (`CONFIRM_MS_MAX`), and what a close of a segment does. */
export const WHOLE_MS = 250;

/** Records whose replies were written at once. */
interface Group {
  /** Replies of the connection up to these. */
  readonly end: number;
  readonly handed: readonly Handed[];
  /** When the operating system had taken them; null before. */
  releasedAtMs: number | null;
}

export class Receipts {
  readonly #clock: Clock;
  /** In the order in which they were written. */
  #groups: Group[] = [];
  #cameCount = 0;
  #repliedCount = 0;
  #unansweredMax = 1;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Commands came together: the client sent them before it could read what is answered from here on. */
  came(count: number): void {
    this.#cameCount += count;
    const unanswered = this.#cameCount - this.#repliedCount;
    this.#unansweredMax = Math.max(this.#unansweredMax, unanswered);
    if (this.#groups.length > 0) this.#settleUpTo(this.#cameCount - this.#unansweredMax);
  }

  /**
   * Replies are about to be written, with these records among them.
   * @returns to be called when the operating system has taken them; undefined when nobody needs to know.
   */
  wrote(count: number, handed: readonly Handed[]): (() => void) | undefined {
    this.#repliedCount += count;
    if (handed.length === 0) return undefined;
    const group: Group = { end: this.#repliedCount, handed, releasedAtMs: null };
    this.#groups.push(group);
    return () => {
      group.releasedAtMs = this.#clock.monotonicMs();
      this.#planTimer();
    };
  }

  /** @param isInOrder - Both sides had said that they send no more, and everything could be sent. */
  closed(isInOrder: boolean): void {
    this.#timer?.cancel();
    this.#timer = null;
    const groups = this.#groups;
    this.#groups = [];
    for (const { handed, releasedAtMs } of groups) {
      for (const each of handed) each.settle(isInOrder && releasedAtMs !== null);
    }
  }

  #settleUpTo(readCount: number): void {
    this.#settleFirst(this.#groups.findIndex(({ end }) => end > readCount));
  }

  /** @param count - -1: all. */
  #settleFirst(count: number): void {
    const settled = this.#groups.splice(0, count < 0 ? this.#groups.length : count);
    for (const { handed } of settled) for (const each of handed) each.settle(true);
  }

  #planTimer(): void {
    const sinceMs = this.#groups[0]?.releasedAtMs ?? null;
    if (this.#timer !== null || sinceMs === null) return;
    const delayMs = Math.max(0, sinceMs + WHOLE_MS - this.#clock.monotonicMs());
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = null;
      // By what the timer was set for, not by the clock, which may be a hair before it.
      this.#settleFirst(
        this.#groups.findIndex(
          ({ releasedAtMs }) => releasedAtMs === null || releasedAtMs > sinceMs,
        ),
      );
      this.#planTimer();
    });
  }
}

/**
 * Appends that arrived while their partition's segment was being opened, closed or recovered: held in order, for
 * a bounded time and in bounded memory, so that a roll costs its producers a pause and not an error.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { WalrusError } from '../../base/errors.ts';
import type { AckLevel, AppendCallback } from '../replication/pendingAppends.ts';

/** How long an append waits for a segment to be opened before its sender hears TIMED_OUT... */
export const WAIT_MS_MAX = 3000;
/** ...and how much may wait on a node. */
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export interface WaitingAppend {
  readonly batch: Uint8Array;
  readonly acks: AckLevel;
  readonly done: AppendCallback;
}

interface Queue {
  readonly appends: WaitingAppend[];
  readonly timer: Timer;
}

export class WaitingAppends {
  readonly #clock: Clock;
  readonly #queues = new Map<string, Queue>();
  #sizeBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a partition has appends that must go before a new one. */
  has(partition: string): boolean {
    return this.#queues.has(partition);
  }

  /** Holds an append; the batch is copied. */
  add(partition: string, append: WaitingAppend): void {
    if (this.#sizeBytes + append.batch.length > WAITING_BYTES_MAX) {
      const held = `${this.#sizeBytes} bytes wait for segments to be opened`;
      append.done(new WalrusError('OVERLOADED', `Cannot take more appends: ${held}`), null);
      return;
    }
    let queue = this.#queues.get(partition);
    if (queue === undefined) {
      const timer = this.#clock.setTimer(WAIT_MS_MAX, () => this.#expire(partition));
      queue = { appends: [], timer };
      this.#queues.set(partition, queue);
    }
    this.#sizeBytes += append.batch.length;
    queue.appends.push({ ...append, batch: append.batch.slice() });
  }

  /** Takes out what waits for a partition, in order. */
  take(partition: string): readonly WaitingAppend[] {
    const queue = this.#queues.get(partition);
    if (queue === undefined) return [];
    queue.timer.cancel();
    this.#queues.delete(partition);
    for (const { batch } of queue.appends) this.#sizeBytes -= batch.length;
    return queue.appends;
  }

  #expire(partition: string): void {
    const message = `Cannot append to ${partition}: it has no leader that serves within ${WAIT_MS_MAX} ms`;
    for (const { done } of this.take(partition)) {
      done(new WalrusError('METADATA_UNAVAILABLE', message), null);
    }
  }
}

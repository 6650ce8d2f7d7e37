/**
 * Virtual time: everything that happens in a simulated cluster is an event in one queue, ordered by time and then
 * by the order in which it was scheduled. Between two events all microtasks run, so that promises are settled
 * before time goes on. Nothing here, or in the code above, reads a real clock.
 */
import { assert } from '../../base/assert.ts';
import type { Timer } from '../../base/clock.ts';

interface ScheduledEvent {
  readonly atMs: number;
  readonly sequence: number;
  callback: (() => void) | null;
}

export class Scheduler {
  #nowMs = 0;
  #sequence = 0;
  #eventCount = 0;
  /** A binary heap. */
  readonly #heap: ScheduledEvent[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events run so far: the step of a run, for messages. */
  get eventCount(): number {
    return this.#eventCount;
  }

  /** Runs `callback` after `delayMs` (>= 0). */
  schedule(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0 && Number.isFinite(delayMs), `A delay must be 0 or more, is ${delayMs}`);
    const event: ScheduledEvent = {
      atMs: this.#nowMs + delayMs,
      sequence: this.#sequence,
      callback,
    };
    this.#sequence += 1;
    this.#push(event);
    return {
      cancel: () => {
        event.callback = null;
      },
    };
  }

  /** Runs events until virtual time `untilMs`, or until `isDone` says so after an event. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await drainMicrotasks(); // what the caller has begun may be about to schedule the first event
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) break;
      this.#pop();
      if (event.callback === null) continue;
      this.#nowMs = event.atMs;
      this.#eventCount += 1;
      event.callback();
      await drainMicrotasks();
      if (isDone()) return;
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(event, heap[parent] as ScheduledEvent)) break;
      heap[at] = heap[parent] as ScheduledEvent;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as ScheduledEvent;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (
        child + 1 < heap.length &&
        isBefore(heap[child + 1] as ScheduledEvent, heap[child] as ScheduledEvent)
      ) {
        child += 1;
      }
      if (!isBefore(heap[child] as ScheduledEvent, last)) break;
      heap[at] = heap[child] as ScheduledEvent;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** One real turn of the event loop, before which every microtask has run. It brings no time into the simulation. */
function drainMicrotasks(): Promise<void> {
  // eslint-disable-next-line no-restricted-globals -- the only way to let all microtasks run
  return new Promise((resolve) => setImmediate(resolve));
}

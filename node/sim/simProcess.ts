/**
 * One process life of a simulated node: what it has scheduled ends with it, and waits while it is paused
 * (SIGSTOP). Time goes on for others meanwhile.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Scheduler } from './scheduler.ts';

export class SimProcess {
  #isAlive = true;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  /** Timers that have neither fired nor been cancelled: a real process does not end before there are none. */
  timerCount = 0;

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Runs a callback of this process: now, when it is resumed, or never. */
  enter(callback: () => void): void {
    if (!this.#isAlive) return;
    if (this.#isPaused) this.#backlog.push(callback);
    else callback();
  }

  kill(): void {
    this.#isAlive = false;
    this.#backlog = [];
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const callback of backlog) this.enter(callback);
  }
}

/** A node's clock: virtual time, with a wall clock of its own that can be made to jump. */
export class SimClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #process: SimProcess;
  readonly #wall: { readonly offsetMs: number };

  /** @param wall - Shared by the lives of one machine; changed by a clock jump. */
  constructor(scheduler: Scheduler, process: SimProcess, wall: { readonly offsetMs: number }) {
    this.#scheduler = scheduler;
    this.#process = process;
    this.#wall = wall;
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#scheduler.nowMs + this.#wall.offsetMs);
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let isOver = false;
    const end = (): void => {
      if (!isOver) this.#process.timerCount -= 1;
      isOver = true;
    };
    this.#process.timerCount += 1;
    const timer = this.#scheduler.schedule(Math.max(0, delayMs), () => {
      this.#process.enter(() => {
        if (isOver) return;
        end();
        callback();
      });
    });
    return {
      cancel: () => {
        end();
        timer.cancel();
      },
    };
  }

  defer(callback: () => void): void {
    this.#scheduler.schedule(0, () => this.#process.enter(callback));
  }
}

/**
 * Keys that want a pass. Each is worked on by one worker at a time; one that comes while it is worked on comes again
 * after that; failures wait longer each time.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { between } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';

const BACKOFF_MS_MIN = 500;
const BACKOFF_MS_MAX = 60_000;

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly workers: number;
  /** Resolves to when to come again by itself, in ms; null: when something changes. Rejects: later, with back-off. */
  readonly work: (key: string) => Promise<number | null>;
  readonly onFailure: (key: string, error: unknown) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  /** What is worked on, and whether it has to come again. */
  readonly #active = new Map<string, { isDirty: boolean }>();
  readonly #timers = new Map<string, { readonly timer: Timer; readonly atMs: number }>();
  readonly #failures = new Map<string, number>();
  #isStopped = false;
  #onIdle: () => void = () => undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    const active = this.#active.get(key);
    if (active !== undefined) active.isDirty = true;
    else this.#waiting.add(key);
    this.#next();
  }

  /** Adds it then, unless it is to come earlier anyhow. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    const atMs = clock.monotonicMs() + delayMs;
    const planned = this.#timers.get(key);
    if (planned !== undefined && planned.atMs <= atMs) return;
    planned?.timer.cancel();
    const timer = clock.setTimer(delayMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, { timer, atMs });
  }

  /** It is gone: nothing of it is kept. */
  forget(key: string): void {
    this.#timers.get(key)?.timer.cancel();
    this.#timers.delete(key);
    this.#failures.delete(key);
    this.#waiting.delete(key);
  }

  /** Resolves when what is worked on has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting.clear();
    for (const { timer } of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    if (this.#active.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= this.#options.workers) return;
      this.#waiting.delete(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const state = { isDirty: false };
    this.#active.set(key, state);
    try {
      const delayMs = await this.#options.work(key);
      this.#failures.delete(key);
      if (delayMs !== null) this.addAfter(key, delayMs);
    } catch (error) {
      this.#options.onFailure(key, error);
      this.addAfter(key, this.#backoffMs(key));
    }
    this.#active.delete(key);
    if (state.isDirty) this.add(key);
    if (this.#active.size === 0) this.#onIdle();
    this.#next();
  }

  #backoffMs(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failures, 16));
    return between(this.#options.random, most / 2, most);
  }
}

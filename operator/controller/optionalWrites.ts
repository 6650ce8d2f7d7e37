/**
 * Writes that hold up nothing when they are refused: what only helps people to look, and what is for the cluster's next
 * life. Each is tried again later each time, and at once when it is another one.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Write } from '../plan/types.ts';

const RETRY_MS_MIN = 30_000;
const RETRY_MS_MAX = 600_000;
/** Those of clusters that are gone are not forgotten one by one. */
const REFUSED_MAX = 1000;

interface Refused {
  readonly write: Write;
  readonly message: string;
  readonly delayMs: number;
  readonly atMs: number;
}

export class OptionalWrites {
  readonly #refused = new Map<string, Refused>();

  /** @returns What was said to the same, not long ago; null: try it. */
  refusal(key: string, write: Write, nowMs: number): string | null {
    const last = this.#refused.get(key);
    if (last === undefined || !isDeepStrictEqual(last.write, write)) return null;
    return nowMs - last.atMs < last.delayMs ? last.message : null;
  }

  refused(
    key: string,
    { write, message, nowMs }: { write: Write; message: string; nowMs: number },
  ): void {
    const last = this.#refused.get(key);
    const isSame = last !== undefined && isDeepStrictEqual(last.write, write);
    const delayMs = isSame ? Math.min(last.delayMs * 2, RETRY_MS_MAX) : RETRY_MS_MIN;
    if (this.#refused.size >= REFUSED_MAX) this.#refused.clear();
    this.#refused.set(key, { write, message, delayMs, atMs: nowMs });
  }

  done(key: string): void {
    this.#refused.delete(key);
  }
}

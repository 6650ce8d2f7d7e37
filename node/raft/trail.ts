/**
 * The terms and sizes of the log's entries: all that the core knows of them. The payloads stay outside.
 *
 * Entries up to `baseIndex` are compacted; the term of the base itself is kept, for the consistency check
 * of the entry that follows it. Invariant: `baseIndex <= lastIndex`, terms never fall with the index.
 */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex, Term } from '../../base/units.ts';

export class Trail {
  #baseIndex: LogIndex;
  #baseTerm: Term;
  #terms: Term[] = [];
  #sizes: number[] = [];

  constructor(baseIndex: LogIndex, baseTerm: Term) {
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  get lastIndex(): LogIndex {
    return logIndex(this.#baseIndex + this.#terms.length);
  }

  get lastTerm(): Term {
    return this.#terms.at(-1) ?? this.#baseTerm;
  }

  /** The term of an entry; null when it is compacted or does not exist. */
  termAt(index: number): Term | null {
    if (index === this.#baseIndex) return this.#baseTerm;
    if (index < this.#baseIndex) return null;
    return this.#terms[index - this.#baseIndex - 1] ?? null;
  }

  append(term: Term, sizeBytes: number): void {
    assert(term >= this.lastTerm, 'Terms in a log never fall');
    this.#terms.push(term);
    this.#sizes.push(sizeBytes);
  }

  /** Removes the entries from `index` on. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#baseIndex, 'Compacted entries cannot be truncated');
    this.#terms.length = Math.min(this.#terms.length, index - this.#baseIndex - 1);
    this.#sizes.length = this.#terms.length;
  }

  /** Forgets the entries up to `index`, which becomes the base. */
  compactTo(index: LogIndex): void {
    const term = this.termAt(index);
    assert(term !== null, 'A log is compacted to an entry that it holds');
    const count = index - this.#baseIndex;
    this.#terms = this.#terms.slice(count);
    this.#sizes = this.#sizes.slice(count);
    this.#baseIndex = index;
    this.#baseTerm = term;
  }

  /** Forgets everything: the log begins anew after a snapshot's last entry. */
  restartAfter(index: LogIndex, term: Term): void {
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#terms = [];
    this.#sizes = [];
  }

  /** The last index such that `from` to it fits into `bytesMax`; at least `from` itself. */
  lastFitting(from: LogIndex, bytesMax: number): { last: LogIndex; sizeBytes: number } {
    assert(from > this.#baseIndex && from <= this.lastIndex, 'lastFitting() starts at an entry');
    let at = from - this.#baseIndex - 1;
    let sizeBytes = this.#sizes[at] ?? 0;
    for (; at + 1 < this.#sizes.length; at += 1) {
      const next = sizeBytes + (this.#sizes[at + 1] ?? 0);
      if (next > bytesMax) break;
      sizeBytes = next;
    }
    return { last: logIndex(this.#baseIndex + 1 + at), sizeBytes };
  }

  /**
   * The last index up to `index` whose term is at most `term`, or the base: where a log with these
   * properties could still agree with this one. Skips whole terms of conflicting entries (thesis §3.5).
   */
  lastAgreeing(index: number, term: Term): LogIndex {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#baseIndex && (this.termAt(at) ?? 0) > term) at -= 1;
    return logIndex(Math.max(at, this.#baseIndex));
  }
}

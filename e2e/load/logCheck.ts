/** Compares a topic's log, as it was read through one node, with what its writers know. Pure. */
import { decodeRecord } from './record.ts';
import type { RecordName } from './record.ts';
import type { Ledger } from './ledger.ts';

/** How many examples of each kind of trouble are kept. */
const EXAMPLES_MAX = 5;

export const TROUBLES = [
  'lostPrefix',
  'lostMiddle',
  'lostSuffix',
  'duplicate',
  'reordered',
  'moved',
  'gap',
  'foreign',
] as const;

/**
 * - lost...: acknowledged and not there: before, between or after the writer's records that are there;
 * - duplicate: there more than once;
 * - reordered: behind a record that the same writer sent later;
 * - moved: not at the offset that was acknowledged;
 * - gap: offsets are missing, or those of a writer's records that it sends without gaps;
 * - foreign: nobody sent these bytes.
 */
export type Trouble = (typeof TROUBLES)[number];

export interface LogFindings {
  readonly counts: Record<Trouble, number>;
  readonly examples: string[];
  readonly recordsCount: number;
}

interface Seen {
  readonly ledger: Ledger;
  readonly times: number[];
  first: number;
  last: number;
  /** The highest that counts for the order. */
  highest: number;
}

export class LogCheck {
  readonly #where: string;
  readonly #seen = new Map<number, Seen>();
  readonly #counts = Object.fromEntries(TROUBLES.map((name) => [name, 0])) as Record<
    Trouble,
    number
  >;
  readonly #examples: string[] = [];
  #nextOffset = 0;
  #recordsCount = 0;

  /** @param where - For the examples: "topic through node 2". */
  constructor(where: string, ledgers: readonly Ledger[]) {
    this.#where = where;
    for (const ledger of ledgers) {
      this.#seen.set(ledger.writer, { ledger, times: [], first: -1, last: -1, highest: -1 });
    }
  }

  /** Takes the next record of the log. @returns who sent it. */
  add(offset: number, value: Uint8Array | null): RecordName | null {
    this.#recordsCount += 1;
    if (offset !== this.#nextOffset) {
      this.#found('gap', `offset ${offset} comes where ${this.#nextOffset} should be`);
    }
    this.#nextOffset = offset + 1;
    const name = value === null ? null : decodeRecord(value);
    const seen = name === null ? undefined : this.#seen.get(name.writer);
    if (name === null || seen === undefined || name.sequence >= seen.ledger.sentCount) {
      this.#found('foreign', `nobody sent the record at offset ${offset}`);
      return null;
    }
    this.#check(seen, name.sequence, offset);
    return name;
  }

  #check(seen: Seen, sequence: number, offset: number): void {
    const { ledger, times } = seen;
    const what = `record ${sequence} of writer ${ledger.writer} (${ledger.kind})`;
    const before = times[sequence] ?? 0;
    times[sequence] = before + 1;
    if (before > 0) {
      this.#found('duplicate', `${what} is there again at offset ${offset}`);
      return;
    }
    if (seen.first < 0 || sequence < seen.first) seen.first = sequence;
    seen.last = Math.max(seen.last, sequence);
    const counts = ledger.delivery === 'exactlyOnce' || ledger.isAcknowledged(sequence);
    if (counts && sequence < seen.highest) {
      this.#found('reordered', `${what} at offset ${offset} comes after record ${seen.highest}`);
    }
    if (counts) seen.highest = Math.max(seen.highest, sequence);
    const acknowledged = ledger.offsetOf(sequence);
    if (acknowledged !== null && acknowledged !== offset) {
      this.#found('moved', `${what} is at offset ${offset}, acknowledged as ${acknowledged}`);
    }
  }

  finish(): LogFindings {
    for (const seen of this.#seen.values()) this.#findMissing(seen);
    return {
      counts: this.#counts,
      examples: this.#examples,
      recordsCount: this.#recordsCount,
    };
  }

  #findMissing({ ledger, times, first, last }: Seen): void {
    for (let sequence = 0; sequence < ledger.sentCount; sequence += 1) {
      if (times[sequence] !== undefined) continue;
      const what = `record ${sequence} of writer ${ledger.writer} (${ledger.kind})`;
      if (ledger.isAcknowledged(sequence)) {
        const [trouble, place] = placeOf(sequence, first, last);
        this.#found(trouble, `${what} was acknowledged and is lost (${place})`);
      } else if (ledger.delivery === 'exactlyOnce' && sequence < last) {
        this.#found('gap', `${what} is missing, and later ones are there`);
      }
    }
  }

  #found(trouble: Trouble, message: string): void {
    this.#counts[trouble] += 1;
    if (this.#counts[trouble] <= EXAMPLES_MAX) this.#examples.push(`${this.#where}: ${message}`);
  }
}

function placeOf(sequence: number, first: number, last: number): [Trouble, string] {
  if (sequence > last) return ['lostSuffix', 'suffix'];
  return sequence < first ? ['lostPrefix', 'prefix'] : ['lostMiddle', 'middle'];
}

/**
 * A sparse index of one replica, in memory only (DESIGN D2): an entry for each 64 KiB of log, so at most 40 bytes of
 * memory for 64 KiB of disk. Derived from the frames at start.
 */
const INTERVAL_BYTES = 64 * 1024;
/** Numbers of an entry: offset, place, digest high, digest low, latest time of all batches before. */
const STRIDE = 5;

/** One entry: a batch boundary. */
export interface IndexEntry {
  readonly offset: number;
  readonly place: number;
  readonly digestHigh: number;
  readonly digestLow: number;
  readonly maxTimestampBefore: number;
}

export class SegmentIndex {
  #numbers: number[] = [];

  get count(): number {
    return this.#numbers.length / STRIDE;
  }

  /** Whether a batch at this place is far enough from the last entry to have one of its own. */
  wants(place: number): boolean {
    const last = this.#numbers.length - STRIDE;
    return last < 0 || place - (this.#numbers[last + 1] ?? 0) >= INTERVAL_BYTES;
  }

  add(entry: IndexEntry): void {
    const { offset, place, digestHigh, digestLow, maxTimestampBefore } = entry;
    this.#numbers.push(offset, place, digestHigh, digestLow, maxTimestampBefore);
  }

  /** Removes entries at or beyond a place. */
  truncate(place: number): void {
    let count = this.count;
    while (count > 0 && (this.#numbers[(count - 1) * STRIDE + 1] ?? 0) >= place) count -= 1;
    this.#numbers.length = count * STRIDE;
  }

  /** The last entry at or below an offset; undefined in an empty replica. */
  floorByOffset(offset: number): IndexEntry | undefined {
    return this.#entry(this.#countWhere(0, (value) => value <= offset) - 1);
  }

  /** The last entry at or below a place. */
  floorByPlace(place: number): IndexEntry | undefined {
    return this.#entry(this.#countWhere(1, (value) => value <= place) - 1);
  }

  /** The last entry before which every batch is older than `timestampMs`. */
  floorByTime(timestampMs: number): IndexEntry | undefined {
    return this.#entry(this.#countWhere(4, (value) => value < timestampMs) - 1);
  }

  /** How many entries, from the first, have a field that meets a monotonic condition. */
  #countWhere(field: number, isMet: (value: number) => boolean): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isMet(this.#numbers[middle * STRIDE + field] ?? 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #entry(position: number): IndexEntry | undefined {
    if (position < 0) return undefined;
    const at = position * STRIDE;
    const numbers = this.#numbers;
    return {
      offset: numbers[at] ?? 0,
      place: numbers[at + 1] ?? 0,
      digestHigh: numbers[at + 2] ?? 0,
      digestLow: numbers[at + 3] ?? 0,
      maxTimestampBefore: numbers[at + 4] ?? 0,
    };
  }
}

/**
 * The content of one simulated file: what is on the platter, and the writes that only the page cache has.
 *
 * - `durable` holds pages that a crash cannot touch. A page of zeros is not stored, so that a pre-written
 *   file of zeros costs nothing.
 * - `journal` holds the changes since the last sync, in order. A crash decides the fate of each of them, sector
 *   by sector: kept, lost or torn. Fates are drawn independently, so later writes may survive earlier ones.
 * - `cache` holds the pages that the journal has changed: what a read sees.
 * - `ghosts` are pages that a failed sync has left in the page cache, as Linux does: clean, so that no later sync writes
 *   them unless they are written again, and gone after a crash. A descriptor is told of such an error once.
 */
import { assertDefined } from '../../base/assert.ts';
import { between, chance, type Random } from '../../base/random.ts';

const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;

/** How a crash treats what was written and not synced. Probabilities are 0..1. */
export interface CrashFaults {
  /** A write that was not synced is lost as a whole. */
  readonly lostWriteProbability: number;
  /** A write that is not lost as a whole loses some of its 512-byte sectors, any of them. */
  readonly tornWriteProbability: number;
  /** A lost sector of such a write is half written instead: a prefix new, the rest old. */
  readonly tornSectorProbability: number;
}

/** A change that is not synced: bytes at a position (`null` for zeros), or a new length. */
type Change =
  | {
      readonly kind: 'write';
      readonly sequence: number;
      readonly position: number;
      readonly length: number;
      readonly bytes: Uint8Array | null;
    }
  | { readonly kind: 'truncate'; readonly sequence: number; readonly sizeBytes: number };

type Pages = Map<number, Uint8Array>;

/** A file's content, without its name. */
export class SimFile {
  #durable: Pages = new Map();
  #durableSize = 0;
  #cache: Pages = new Map();
  #ghosts: Pages = new Map();
  #syncErrors = 0;
  #size = 0;
  #journal: Change[] = [];
  #sequence = 0;

  /** How many syncs of it have failed. */
  get syncErrors(): number {
    return this.#syncErrors;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** The number of the newest change: pass it to `commit` when a sync that starts now has succeeded. */
  get sequence(): number {
    return this.#sequence;
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const zeros = isZero(bytes);
    this.#sequence += 1;
    this.#journal.push({
      kind: 'write',
      sequence: this.#sequence,
      position,
      length: bytes.length,
      bytes: zeros ? null : bytes.slice(),
    });
    this.#apply(assertDefined(this.#journal.at(-1), 'A change was just added'));
  }

  truncate(sizeBytes: number): void {
    this.#sequence += 1;
    const change: Change = { kind: 'truncate', sequence: this.#sequence, sizeBytes };
    this.#journal.push(change);
    this.#apply(change);
  }

  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.#size - position));
    for (let done = 0; done < length;) {
      const index = Math.floor((position + done) / PAGE_BYTES);
      const start = (position + done) % PAGE_BYTES;
      const count = Math.min(PAGE_BYTES - start, length - done);
      const page = this.#pageOf(index);
      if (page) into.set(page.subarray(start, start + count), done);
      else into.fill(0, done, done + count);
      done += count;
    }
    return length;
  }

  #pageOf(index: number): Uint8Array | undefined {
    return this.#cache.get(index) ?? this.#ghosts.get(index) ?? this.#durable.get(index);
  }

  /** A sync of the changes up to `sequence` has failed: they stay in the cache, and nobody will write them. */
  failSync(sequence: number): void {
    this.#syncErrors += 1;
    for (const [index, page] of this.#cache) this.#ghosts.set(index, page);
    this.#journal = this.#journal.filter((change) => change.sequence > sequence);
    this.#again(this.#journal);
  }

  /** Makes the cache again of changes that are left; the length of the file is what it was. */
  #again(changes: readonly Change[]): void {
    const size = this.#size;
    this.#cache.clear();
    for (const change of changes) this.#apply(change);
    this.#size = size;
  }

  /** Makes the changes up to `sequence` durable. */
  commit(sequence: number): void {
    const rest = this.#journal.filter((change) => change.sequence > sequence);
    if (rest.length === 0) {
      for (const [index, page] of this.#cache) {
        storePage(this.#durable, index, page);
        this.#ghosts.delete(index);
      }
      if (this.#size < this.#durableSize) dropBeyond(this.#durable, this.#size);
      this.#durableSize = this.#size;
    } else {
      for (const change of this.#journal) {
        if (change.sequence <= sequence) this.#applyDurable(change);
      }
    }
    this.#journal = rest;
    for (const index of this.#ghosts.keys()) {
      const page = this.#cache.get(index);
      if (page) this.#ghosts.set(index, page); // parts of it are not written still
    }
    this.#again(rest);
  }

  /** Loses, tears or keeps each change that was not synced. */
  crash(random: Random, faults: CrashFaults): void {
    const journal = this.#journal;
    this.#journal = [];
    this.#cache.clear();
    this.#ghosts.clear();
    for (const change of journal) {
      if (chance(random, faults.lostWriteProbability)) continue;
      if (change.kind === 'write' && chance(random, faults.tornWriteProbability)) {
        this.#tear(change, random, faults);
      } else {
        this.#applyDurable(change);
      }
    }
    this.#size = this.#durableSize;
  }

  /** Flips bits of the byte at `position`, on the platter and in the page cache. */
  rot(position: number, mask: number): void {
    const index = Math.floor(position / PAGE_BYTES);
    const at = position % PAGE_BYTES;
    for (const pages of [this.#durable, this.#ghosts, this.#cache]) {
      let page = pages.get(index);
      if (!page && pages !== this.#durable) continue;
      page ??= new Uint8Array(PAGE_BYTES);
      page[at] = (page[at] ?? 0) ^ mask;
      pages.set(index, page);
    }
  }

  /** The positions of pages that hold anything but zeros, sorted. */
  usedPages(): number[] {
    const indexes = new Set([
      ...this.#durable.keys(),
      ...this.#ghosts.keys(),
      ...this.#cache.keys(),
    ]);
    return [...indexes].sort((a, b) => a - b).map((index) => index * PAGE_BYTES);
  }

  /** A copy of what is durable. */
  copyDurable(): SimFile {
    const copy = new SimFile();
    for (const [index, page] of this.#durable) copy.#durable.set(index, page.slice());
    copy.#durableSize = this.#durableSize;
    copy.#size = this.#durableSize;
    return copy;
  }

  #apply(change: Change): void {
    if (change.kind === 'truncate') {
      if (change.sizeBytes < this.#size) {
        this.#shadow(change.sizeBytes, this.#size);
        zeroRange(this.#cache, change.sizeBytes, this.#size - change.sizeBytes);
      }
      this.#size = change.sizeBytes;
      return;
    }
    const end = change.position + change.length;
    if (change.bytes) {
      this.#shadow(change.position, end);
      setRange(this.#cache, change.position, change.bytes);
    } else {
      this.#shadowUsed(change.position, end);
      zeroRange(this.#cache, change.position, change.length);
    }
    this.#size = Math.max(this.#size, end);
  }

  #applyDurable(change: Change): void {
    if (change.kind === 'truncate') {
      if (change.sizeBytes < this.#durableSize) {
        zeroRange(this.#durable, change.sizeBytes, this.#durableSize - change.sizeBytes);
        dropBeyond(this.#durable, change.sizeBytes);
      }
      this.#durableSize = change.sizeBytes;
      return;
    }
    if (change.bytes) setRange(this.#durable, change.position, change.bytes);
    else zeroRange(this.#durable, change.position, change.length);
    this.#durableSize = Math.max(this.#durableSize, change.position + change.length);
  }

  /** Applies a part of a write: each sector kept, lost or half written. */
  #tear(change: Change & { kind: 'write' }, random: Random, faults: CrashFaults): void {
    const end = change.position + change.length;
    for (let at = change.position; at < end;) {
      const sectorEnd = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      let keepUntil = sectorEnd;
      if (chance(random, 0.5)) {
        keepUntil = chance(random, faults.tornSectorProbability)
          ? between(random, at, sectorEnd)
          : at;
      }
      if (keepUntil > at) {
        const from = at - change.position;
        this.#applyDurable({
          ...change,
          position: at,
          length: keepUntil - at,
          bytes: change.bytes?.subarray(from, from + keepUntil - at) ?? null,
        });
      }
      at = sectorEnd;
    }
  }

  /** Copies the pages of a range into the cache, so that a change does not touch the durable ones. */
  #shadow(start: number, end: number): void {
    const last = Math.floor((end - 1) / PAGE_BYTES);
    for (let index = Math.floor(start / PAGE_BYTES); index <= last; index += 1) {
      if (this.#cache.has(index)) continue;
      const page = this.#pageOf(index);
      this.#cache.set(index, page ? page.slice() : new Uint8Array(PAGE_BYTES));
    }
  }

  /** The same for pages that are stored: zeros over zeros change nothing. */
  #shadowUsed(start: number, end: number): void {
    const last = Math.floor((end - 1) / PAGE_BYTES);
    for (let index = Math.floor(start / PAGE_BYTES); index <= last; index += 1) {
      const page = this.#pageOf(index);
      if (page && !this.#cache.has(index)) this.#cache.set(index, page.slice());
    }
  }
}

const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

/** By native comparisons: this is asked of every write and of every page that is synced. */
function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
    const piece = bytes.subarray(at, at + PAGE_BYTES);
    if (Buffer.compare(piece, ZERO_PAGE.subarray(0, piece.length)) !== 0) return false;
  }
  return true;
}

function storePage(pages: Pages, index: number, page: Uint8Array): void {
  if (isZero(page)) pages.delete(index);
  else pages.set(index, page);
}

function dropBeyond(pages: Pages, sizeBytes: number): void {
  for (const index of [...pages.keys()]) if (index * PAGE_BYTES >= sizeBytes) pages.delete(index);
}

function setRange(pages: Pages, position: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const index = Math.floor((position + done) / PAGE_BYTES);
    const start = (position + done) % PAGE_BYTES;
    const count = Math.min(PAGE_BYTES - start, bytes.length - done);
    let page = pages.get(index);
    if (!page) {
      page = new Uint8Array(PAGE_BYTES);
      pages.set(index, page);
    }
    page.set(bytes.subarray(done, done + count), start);
    done += count;
  }
}

/** Zeros what is stored in a range; never stores a page. */
function zeroRange(pages: Pages, position: number, length: number): void {
  const end = position + length;
  const first = Math.floor(position / PAGE_BYTES);
  const last = Math.floor((end - 1) / PAGE_BYTES);
  for (let index = first; index <= last; index += 1) {
    const start = index * PAGE_BYTES;
    pages.get(index)?.fill(0, Math.max(0, position - start), Math.min(PAGE_BYTES, end - start));
  }
}

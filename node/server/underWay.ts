/**
 * Records of a partition's shared cursor that were handed out and are not known to have arrived.
 *
 * Invariant: all of them are with one taker, a node that hands them to its clients. While it has some, no other
 * taker gets anything, so that what comes back is handed out again before anything newer (see `PartitionCursor`).
 */
import { assert } from '../../base/assert.ts';
import type { NodeId, Offset } from '../../base/units.ts';

/** Names a request of a taker: later ones are higher, by boot epoch first. */
export interface TakeCall {
  readonly bootEpoch: number;
  readonly sequence: number;
  /** The last request of the same process whose answer it got and kept; 0 for none. */
  readonly received: number;
}

interface Held {
  readonly dueMs: number;
  /** Of the request that took it. */
  readonly sequence: number;
}

export class UnderWay {
  /** In the order in which they were handed out, and so of their times. */
  readonly #held = new Map<Offset, Held>();
  /** The last request of each other node. */
  readonly #calls = new Map<NodeId, TakeCall>();
  #taker: NodeId | null = null;

  get size(): number {
    return this.#held.size;
  }

  /** When the oldest is given up; null when there is none. */
  get oldestDueMs(): number | null {
    for (const { dueMs } of this.#held.values()) return dueMs;
    return null;
  }

  /** The lowest offset, or a bound when all are above it. */
  lowestBelow(bound: Offset): Offset {
    let lowest = bound;
    for (const at of this.#held.keys()) if (at < lowest) lowest = at;
    return lowest;
  }

  /** Whether a taker may be given more. */
  mayTake(taker: NodeId): boolean {
    return this.#held.size === 0 || this.#taker === taker;
  }

  /** Whether a request of another node is its last one. */
  isCurrent(taker: NodeId, { bootEpoch, sequence }: TakeCall): boolean {
    const last = this.#calls.get(taker);
    return last?.bootEpoch === bootEpoch && last.sequence === sequence;
  }

  /**
   * A request of another node arrives.
   * @returns what its last one took and never came to it, to be given back; null when a later one was here before.
   */
  begin(taker: NodeId, call: TakeCall): Offset[] | null {
    const last = this.#calls.get(taker);
    if (last !== undefined && !isAfter(call, last)) return null;
    this.#calls.set(taker, call);
    if (last === undefined || this.#taker !== taker) return [];
    // What a process held that has ended is lost, whatever it got.
    const isRestarted = call.bootEpoch !== last.bootEpoch;
    if (!isRestarted && call.received === last.sequence) return [];
    return this.#where(({ sequence }) => isRestarted || sequence === last.sequence);
  }

  add(at: Offset, taker: NodeId, dueMs: number): void {
    assert(this.mayTake(taker), 'Records are under way through one node at a time');
    this.#taker = taker;
    this.#held.set(at, { dueMs, sequence: this.#calls.get(taker)?.sequence ?? 0 });
  }

  /** @returns whether the taker had it. */
  remove(at: Offset, taker: NodeId): boolean {
    return this.#taker === taker && this.#held.delete(at);
  }

  /** Those whose time is over, taken away. */
  removeDue(nowMs: number): Offset[] {
    const due = this.#where(({ dueMs }) => dueMs <= nowMs);
    for (const at of due) this.#held.delete(at);
    return due;
  }

  clear(): void {
    this.#held.clear();
  }

  #where(isMeant: (held: Held) => boolean): Offset[] {
    return [...this.#held].filter(([, held]) => isMeant(held)).map(([at]) => at);
  }
}

function isAfter(call: TakeCall, last: TakeCall): boolean {
  if (call.bootEpoch !== last.bootEpoch) return call.bootEpoch > last.bootEpoch;
  return call.sequence > last.sequence;
}

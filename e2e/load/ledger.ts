/** What one writer sent and what was acknowledged to it: the truth that the logs are compared with. */

/** Acknowledgements further apart than this are a pause. */
export const PAUSE_MS_MIN = 100;

/** A time in which a writer heard nothing. In ms of the monotonic clock. */
export interface Pause {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * - `exactlyOnce`: an idempotent producer; each record is there once, in the order of sending.
 * - `uncertain`: sends each record once and never again; what was not acknowledged may be there or not, anywhere.
 */
export type Delivery = 'exactlyOnce' | 'uncertain';

const UNKNOWN_OFFSET = -1;

export class Ledger {
  readonly writer: number;
  readonly kind: string;
  readonly topic: string;
  readonly delivery: Delivery;
  readonly pauses: Pause[] = [];
  /** By sequence: undefined = not acknowledged, -1 = acknowledged without an offset, else the offset. */
  readonly #acknowledged: (number | undefined)[] = [];
  #acknowledgedCount = 0;
  #acknowledgedBytes = 0;
  #lastAckMs: number | null = null;
  #lastAckedSentMs = -Infinity;

  constructor(writer: number, place: Pick<Ledger, 'kind' | 'topic' | 'delivery'>) {
    this.writer = writer;
    this.kind = place.kind;
    this.topic = place.topic;
    this.delivery = place.delivery;
  }

  get sentCount(): number {
    return this.#acknowledged.length;
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  get acknowledgedBytes(): number {
    return this.#acknowledgedBytes;
  }

  /** When the latest-sent of the acknowledged records was sent. */
  get lastAckedSentMs(): number {
    return this.#lastAckedSentMs;
  }

  /** Takes the next sequence for a record that is about to be sent. */
  next(): number {
    return this.#acknowledged.push(undefined) - 1;
  }

  acknowledge(
    sequence: number,
    ack: {
      readonly sentMs: number;
      readonly nowMs: number;
      readonly sizeBytes: number;
      readonly offset?: number;
    },
  ): void {
    if (this.#acknowledged[sequence] !== undefined) {
      throw new Error(`record ${sequence} of writer ${this.writer} is acknowledged twice`);
    }
    this.#acknowledged[sequence] = ack.offset ?? UNKNOWN_OFFSET;
    this.#acknowledgedCount += 1;
    this.#acknowledgedBytes += ack.sizeBytes;
    this.#lastAckedSentMs = Math.max(this.#lastAckedSentMs, ack.sentMs);
    const lastMs = this.#lastAckMs ?? ack.nowMs;
    if (ack.nowMs - lastMs > PAUSE_MS_MIN) {
      this.pauses.push({ fromMs: lastMs, toMs: ack.nowMs });
    }
    this.#lastAckMs = ack.nowMs;
  }

  isAcknowledged(sequence: number): boolean {
    return this.#acknowledged[sequence] !== undefined;
  }

  /** null when the record is not acknowledged, or the writer was not told where it is. */
  offsetOf(sequence: number): number | null {
    const offset = this.#acknowledged[sequence];
    return offset === undefined || offset === UNKNOWN_OFFSET ? null : offset;
  }
}

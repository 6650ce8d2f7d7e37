/**
 * Sends the batches of a segment that is led here to its other members, in order and with a bounded amount under way: what is
 * accepted in one turn together at its end, and from the log to those that lag. Tells them what is committed.
 *
 * A member is probed for its tail before anything is sent to it, and after a silence; its state is in follower.ts.
 */
import { SharedBytes } from '../../base/bufferPool.ts';
import type { BufferPool } from '../../base/bufferPool.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { isWalrusError } from '../../base/errors.ts';
import type { WalrusError } from '../../base/errors.ts';
import type { Offset } from '../../base/units.ts';
import type { AppendAck, AppendHeader, Open } from '../../protocol/peer/append.ts';
import { nextOffsetOf } from '../../protocol/recordBatch.ts';
import type { ReplicaPlace, SegmentRecord } from '../state/types.ts';
import type { Replica } from '../storage/types.ts';
import { Follower } from './follower.ts';

/** Bytes of one Append message, unless a single batch is larger. */
const APPEND_BYTES_MAX = 1024 * 1024;
/** How long members may lag behind the committed offset when there is nothing else to send. */
const COMMITTED_TICK_MS = 5;

export interface ReplicatorOptions {
  readonly segment: SegmentRecord;
  /** This node's place in the ensemble. */
  readonly self: ReplicaPlace;
  readonly replica: Replica;
  readonly clock: Clock;
  /** For batches on their way to the members. */
  readonly buffers: BufferPool;
  /**
   * Sends to a member; the batches are the transport's from then on.
   * @param onReleased - Called at most once, when the transport has done with them.
   */
  sendAppend(
    to: ReplicaPlace,
    header: AppendHeader,
    batches: readonly Uint8Array[],
    onReleased?: () => void,
  ): void;
  sendOpen(to: ReplicaPlace, open: Omit<Open, 'type'>): void;
  /** Of the leader, now. */
  committedOffset(): Offset;
  /** The leader's copy cannot be read. */
  onUnreadable(error: WalrusError): void;
}

export class Replicator {
  /** Every member but the leader. */
  readonly followers: readonly Follower[];
  readonly #options: ReplicatorOptions;
  /** Batches accepted in this turn, to be sent at its end. */
  #fresh: SharedBytes[] = [];
  #freshFrom: Offset;
  #isFlushDue = false;
  #committedTick: Timer | null = null;
  #isStopped = false;

  constructor(options: ReplicatorOptions) {
    const { segment, self } = options;
    this.#options = options;
    this.#freshFrom = segment.baseOffset;
    this.followers = segment.ensemble
      .filter((place) => place.diskId !== self.diskId)
      .map((place) => new Follower(place, segment.baseOffset));
    for (const follower of this.followers) this.#probe(follower);
  }

  /** Takes the batch that was stored last; it is valid during the call only. */
  add(batch: Uint8Array): void {
    if (this.followers.length === 0) return;
    this.#fresh.push(new SharedBytes(this.#options.buffers, batch));
    this.#flushSoon();
  }

  /** Takes a member's answer, and sends it what it needs next. */
  acknowledged(follower: Follower, ack: AppendAck): void {
    const now = this.#options.clock.monotonicMs();
    follower.acknowledged(ack, now);
    if (follower.state === 'Probe' && follower.deadlineMs <= now) this.#probe(follower);
    else this.#pump(follower);
  }

  /** Lets idle members know the committed offset: soon, unless an append carries it before. */
  committedMoved(): void {
    if (this.#committedTick !== null || this.followers.length === 0) return;
    this.#committedTick = this.#options.clock.setTimer(COMMITTED_TICK_MS, () => {
      this.#committedTick = null;
      for (const follower of this.followers) {
        if (
          follower.state === 'Replicate' &&
          follower.committedSent < this.#options.committedOffset()
        ) {
          this.#sendTo(follower, { endOffset: follower.nextOffset, sizeBytes: 0 }, []);
        }
      }
    });
  }

  /** Asks members that should have answered; called now and then. */
  checkSilence(): void {
    const now = this.#options.clock.monotonicMs();
    for (const follower of this.followers) this.#checkOne(follower, now);
  }

  #checkOne(follower: Follower, now: number): void {
    if (now < follower.deadlineMs) return;
    if (follower.state === 'Probe') this.#probe(follower);
    else if (follower.hasOutstanding) {
      follower.timedOut(now);
      this.#probe(follower);
    } else if (follower.committedKnown < this.#options.committedOffset()) {
      this.#sendTo(follower, { endOffset: follower.nextOffset, sizeBytes: 0 }, []);
    }
  }

  /** Sends nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#committedTick?.cancel();
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#options.clock.defer(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** Sends this turn's batches to every member that keeps up; the others are served from the log. */
  #flush(): void {
    if (this.#isStopped) return;
    const fresh = this.#fresh;
    const from = this.#freshFrom;
    this.#fresh = [];
    this.#freshFrom = this.#options.replica.tail;
    for (const follower of this.followers) {
      if (follower.state !== 'Replicate') continue;
      if (follower.nextOffset === from && follower.hasRoom) this.#sendFresh(follower, fresh);
      this.#pump(follower);
    }
    for (const batch of fresh) batch.release();
  }

  #sendFresh(follower: Follower, fresh: readonly SharedBytes[]): void {
    let first = 0;
    while (first < fresh.length) {
      let end = first;
      let sizeBytes = 0;
      while (
        end < fresh.length &&
        (end === first || sizeBytes + sizeAt(fresh, end) <= APPEND_BYTES_MAX)
      ) {
        sizeBytes += sizeAt(fresh, end);
        end += 1;
      }
      const sent = fresh.slice(first, end);
      const endOffset = nextOffsetOf((sent.at(-1) as SharedBytes).bytes, 0);
      const batches = sent.map(({ bytes }) => bytes);
      for (const batch of sent) batch.retain();
      this.#sendTo(follower, { endOffset, sizeBytes }, batches, () => {
        for (const batch of sent) batch.release();
      });
      first = end;
    }
  }

  /** Sends from the log until the member has everything or has enough under way. */
  #pump(follower: Follower): void {
    while (
      follower.state === 'Replicate' &&
      follower.hasRoom &&
      follower.nextOffset < this.#freshFrom
    ) {
      if (!this.#sendFromLog(follower)) return;
    }
  }

  #sendFromLog(follower: Follower): boolean {
    try {
      const { nextOffset: from } = follower;
      const { bytes, nextOffset } = this.#options.replica.read(
        from,
        this.#freshFrom,
        APPEND_BYTES_MAX,
      );
      this.#sendTo(follower, { endOffset: nextOffset, sizeBytes: bytes.length }, [bytes]);
      return true;
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#options.onUnreadable(error);
      return false;
    }
  }

  #sendTo(
    follower: Follower,
    what: { endOffset: Offset; sizeBytes: number },
    batches: readonly Uint8Array[],
    onReleased?: () => void,
  ): void {
    const header = {
      segmentId: this.#options.segment.segmentId,
      token: this.#options.segment.token,
      diskId: follower.place.diskId,
      committedOffset: this.#options.committedOffset(),
      firstOffset: follower.nextOffset,
    };
    follower.sent(what.endOffset, what.sizeBytes, this.#options.clock.monotonicMs());
    follower.committedSent = header.committedOffset;
    this.#options.sendAppend(follower.place, header, batches, onReleased);
  }

  /** Asks where the member's tail is, with what it is believed to need next. */
  #probe(follower: Follower): void {
    follower.probing(this.#options.clock.monotonicMs());
    if (!follower.isOpened) this.#sendOpen(follower);
    else if (follower.nextOffset < this.#freshFrom) this.#sendFromLog(follower);
    else this.#sendTo(follower, { endOffset: follower.nextOffset, sizeBytes: 0 }, []);
  }

  #sendOpen(follower: Follower): void {
    this.#options.sendOpen(follower.place, {
      segmentId: this.#options.segment.segmentId,
      token: this.#options.segment.token,
      diskId: follower.place.diskId,
      producerSnapshot: this.#options.replica.producerSnapshot,
    });
  }
}

function sizeAt(batches: readonly SharedBytes[], index: number): number {
  return (batches[index] as SharedBytes).bytes.length;
}

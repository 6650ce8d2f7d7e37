/**
 * The leader of one open segment: orders batches, replicates them to the ensemble, and acknowledges what is
 * durable on W members (DESIGN W1-W7, close).
 *
 * Invariants:
 * - A SegmentLeader lives as long as the process and its segment (W1); it is never made for a segment that an
 *   earlier process life led.
 * - committedOffset never goes back, and every acknowledgement lies at or below it (W5).
 * - Once frozen it acknowledges nothing more until the seal is known from the metadata.
 * - It acknowledges only while its write lease holds; safety does not rest on that, fencing does.
 *
 * Single-threaded; its owner calls it, nothing here waits.
 */
import { assert } from '../../base/assert.ts';
import type { Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { offset } from '../../base/units.ts';
import type { Offset } from '../../base/units.ts';
import type { AppendAck } from '../../protocol/peer/append.ts';
import { setBaseOffset } from '../../protocol/recordBatch.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { Replica, ReplicaTail } from '../storage/types.ts';
import type { Follower } from './follower.ts';
import { PendingAppends } from './pendingAppends.ts';
import type { AckLevel, AppendCallback } from './pendingAppends.ts';
import { producerBatchOf } from './producerStates.ts';
import type { ProducerStates } from './producerStates.ts';
import { Replicator } from './replicator.ts';
import type { ReplicatorOptions } from './replicator.ts';

/**
 * A segment with so many records takes no more, above any `maxSegmentEntries`: so it can be told, long after and whatever
 * the settings are then, which offsets its leader has not handed out.
 */
export const SEGMENT_ENTRIES_MAX = 2 ** 32;
/** Appends waiting for their acknowledgement on one segment. */
export const PENDING_APPEND_COUNT_MAX = 65_536;
/** How often silent members are looked at. */
export const LEADER_TIMER_MS = 100;

/** `Open` takes appends; `Closing` waits for what is under way; `Frozen` waits for the seal; `Ended` is over. */
export type LeaderState = 'Open' | 'Closing' | 'Frozen' | 'Ended';

export interface SegmentLeaderOptions extends Omit<
  ReplicatorOptions,
  'committedOffset' | 'onUnreadable'
> {
  readonly producers: ProducerStates;
  /** Whether the metadata names this leader and the node's session is fresh, now. */
  isLeaseHeld(): boolean;
  /** The committed offset moved. */
  onCommitted(committedOffset: Offset): void;
  /** A member was fenced, or this node's disk failed: it is frozen for good, and a recovery decides. */
  onDeposed(reason: WalrusError): void;
}

export class SegmentLeader {
  readonly segment: SegmentRecord;
  readonly #options: SegmentLeaderOptions;
  readonly #replica: Replica;
  readonly #replicator: Replicator;
  readonly #pending: Readonly<Record<AckLevel, PendingAppends>> = {
    leader: new PendingAppends(),
    quorum: new PendingAppends(),
    all: new PendingAppends(),
  };
  #timer: Timer | null = null;
  #state: LeaderState = 'Open';
  #committedOffset: Offset;
  #onDrained: (() => void) | null = null;

  constructor(options: SegmentLeaderOptions) {
    const { segment, replica } = options;
    assert(segment.state === 'OPEN', 'Only an open segment has a leader');
    assert(replica.tail === segment.baseOffset, 'A leader begins with an empty segment (W1)');
    assert(replica.token === segment.token, 'The replica belongs to the leader session');
    this.#options = options;
    this.segment = segment;
    this.#replica = replica;
    this.#committedOffset = segment.baseOffset;
    replica.onDurable(() => this.#advance());
    this.#replicator = new Replicator({
      ...options,
      committedOffset: () => this.#committedOffset,
      onUnreadable: (error) => this.#depose(error), // another member must serve
    });
    this.#startTimer();
  }

  get state(): LeaderState {
    return this.#state;
  }

  get committedOffset(): Offset {
    return this.#committedOffset;
  }

  get tail(): Offset {
    return this.#replica.tail;
  }

  get sizeBytes(): number {
    return this.#replica.sizeBytes;
  }

  /** Every other member, for status and metrics. */
  get followers(): readonly Follower[] {
    return this.#replicator.followers;
  }

  /**
   * Appends one record batch, whose layout and CRC the caller has checked. Its base offset is patched in place.
   * @param batch - Valid during the call only.
   * @param done - Called once: with the outcome when the ack level is reached, or with a WalrusError.
   *   SEGMENT_SEALED means: not in this segment, send it to the successor.
   */
  append(batch: Uint8Array, acks: AckLevel, done: AppendCallback): void {
    const refusal = this.#refusal();
    if (refusal !== null) {
      done(refusal, null);
      return;
    }
    const facts = producerBatchOf(batch, 0);
    const verdict = this.#options.producers.check(facts);
    if (verdict.type === 'Refuse') {
      done(verdict.error, null);
      return;
    }
    if (verdict.type === 'Duplicate') {
      const endOffset = offset(verdict.baseOffset + facts.recordsCount);
      this.#await(
        { endOffset, outcome: { baseOffset: verdict.baseOffset, isDuplicate: true }, done },
        acks,
      );
      return;
    }
    const baseOffset = this.#replica.tail;
    setBaseOffset(batch, 0, baseOffset);
    const endOffset = this.#store(batch, done);
    if (endOffset === null) return;
    this.#options.producers.record(facts, baseOffset);
    this.#replicator.add(batch);
    this.#await({ endOffset, outcome: { baseOffset, isDuplicate: false }, done }, acks);
  }

  #refusal(): WalrusError | null {
    const id = this.segment.segmentId;
    const isAtEnd = this.#replica.tail - this.segment.baseOffset >= SEGMENT_ENTRIES_MAX;
    if (this.#state !== 'Open' || isAtEnd) {
      return new WalrusError(
        'SEGMENT_SEALED',
        `Cannot append to segment ${id}: it is ${isAtEnd ? 'full' : 'being closed'}`,
      );
    }
    if (!this.#options.isLeaseHeld()) {
      const why = 'this node has lost touch with the metadata leader';
      return new WalrusError('NOT_LEADER', `Cannot append to segment ${id}: ${why}`);
    }
    const waiting = this.#pending.leader.size + this.#pending.quorum.size + this.#pending.all.size;
    if (waiting >= PENDING_APPEND_COUNT_MAX) {
      const why = `${waiting} appends wait for their acknowledgement`;
      return new WalrusError('OVERLOADED', `Cannot append to segment ${id}: ${why}`);
    }
    return null;
  }

  /** The leader's own copy: the same checks as on any member (W4). */
  #store(batch: Uint8Array, done: AppendCallback): Offset | null {
    try {
      return this.#replica.append(batch, { token: this.segment.token, epoch: 0, isChecked: true });
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      done(error, null);
      if (isWalrusError(error, 'FENCED', 'WRONG_TOKEN', 'DISK_FAILED', 'CORRUPT_SEGMENT'))
        this.#depose(error);
      return null;
    }
  }

  #await(pending: Parameters<PendingAppends['add']>[0], acks: AckLevel): void {
    this.#pending[acks].add(pending);
    if (pending.endOffset <= this.#reached(acks)) this.#acknowledge();
  }

  /** Takes a member's answer. */
  onAck(ack: AppendAck): void {
    if (this.#state === 'Ended' || ack.token !== this.segment.token) return;
    const follower = this.followers.find((member) => member.place.diskId === ack.diskId);
    if (follower === undefined) return;
    if (ack.status === 'FENCED' || ack.status === 'REFUSED') {
      const why = `member on node ${follower.place.nodeId} answers ${ack.status}`;
      this.#depose(new WalrusError('FENCED', `Segment ${this.segment.segmentId}: ${why}`));
      return;
    }
    assert(ack.durableTail <= this.#replica.tail, 'A member never holds more than its leader');
    this.#replicator.acknowledged(follower, ack);
    this.#advance();
  }

  /** Recomputes what W members hold durably, and acknowledges (W5). */
  #advance(): void {
    if (this.#state === 'Frozen' || this.#state === 'Ended') return;
    const reached = this.#reachedBy(this.segment.ackQuorum);
    if (reached > this.#committedOffset) {
      this.#committedOffset = reached;
      this.#options.onCommitted(reached);
      this.#replicator.committedMoved();
    }
    this.#acknowledge();
  }

  /** The highest offset below which `count` members are durable. */
  #reachedBy(count: number): Offset {
    const tails: Offset[] = [this.#replica.durableTail];
    for (const follower of this.followers) tails.push(follower.durableTail);
    tails.sort((a, b) => b - a);
    const reached = tails[count - 1];
    assert(reached !== undefined, 'An ensemble has at least W members');
    return reached;
  }

  #reached(acks: AckLevel): Offset {
    switch (acks) {
      case 'leader':
        return this.#replica.durableTail;
      case 'quorum':
        return this.#committedOffset;
      case 'all':
        return this.#reachedBy(1 + this.followers.length);
    }
  }

  #acknowledge(): void {
    if (this.#state === 'Frozen' || this.#state === 'Ended' || !this.#options.isLeaseHeld()) return;
    for (const acks of ['leader', 'quorum', 'all'] as const) {
      const queue = this.#pending[acks];
      if (queue.size === 0) continue;
      for (const pending of queue.takeUpTo(this.#reached(acks)))
        pending.done(null, pending.outcome);
    }
    const isDrained = this.#committedOffset === this.#replica.tail && this.#pending.all.size === 0;
    if (this.#state === 'Closing' && isDrained) this.#onDrained?.();
  }

  #startTimer(): void {
    if (this.followers.length === 0) return;
    this.#timer = this.#options.clock.setTimer(LEADER_TIMER_MS, () => {
      this.#timer = null;
      if (this.#state === 'Ended') return;
      this.#replicator.checkSilence();
      this.#advance(); // a lease that came back lets acknowledgements go on
      this.#startTimer();
    });
  }

  /**
   * Stops taking appends; calls back once everything accepted is committed, and acknowledged by as many members as was asked
   * for. The caller bounds the wait and calls `freeze` in any case.
   */
  beginClose(onDrained: () => void): void {
    assert(this.#state === 'Open', 'A segment is closed once');
    this.#state = 'Closing';
    this.#onDrained = onDrained;
    this.#advance();
  }

  /** Freezes the acknowledgements and names the end to propose. The records beyond it stay undecided. */
  freeze(): ReplicaTail {
    assert(
      this.#state === 'Closing' || this.#state === 'Frozen',
      'A leader freezes while it closes',
    );
    this.#state = 'Frozen';
    this.#onDrained = null;
    const digest = this.#replica.digestAt(this.#committedOffset);
    assert(digest !== null, 'The committed offset is a batch boundary of the leader');
    return { tail: this.#committedOffset, digest };
  }

  /**
   * The metadata says that the segment ended: what lies below is acknowledged, the rest is refused with
   * SEGMENT_SEALED so that it goes to the successor. Who wants all members, and is not known to have them, hears that
   * the outcome is unknown: the others get the records by repair, and nobody here will know.
   * @param endOffset - null when the segment was deleted.
   * @param isLossy - An unclean seal, which may end below what was acknowledged (S4).
   */
  end(endOffset: Offset | null, isLossy: boolean): void {
    if (this.#state === 'Ended') return;
    this.#state = 'Ended';
    this.#timer?.cancel();
    this.#replicator.stop();
    this.#onDrained = null;
    const keepsCommitted = endOffset === null || isLossy || endOffset >= this.#committedOffset;
    assert(keepsCommitted, 'A clean seal never ends below what was committed');
    this.#answerAll(endOffset ?? this.segment.baseOffset);
  }

  #answerAll(sealed: Offset): void {
    const byAll = this.#reached('all');
    for (const acks of ['leader', 'quorum', 'all'] as const) {
      const queue = this.#pending[acks];
      const reached = acks === 'all' && byAll < sealed ? byAll : sealed;
      for (const { done, outcome } of queue.takeUpTo(reached)) done(null, outcome);
      for (const { done } of queue.takeUpTo(sealed)) done(this.#endError('TIMED_OUT'), null);
      for (const { done } of queue.takeAll()) done(this.#endError('SEGMENT_SEALED'), null);
    }
  }

  #endError(code: 'TIMED_OUT' | 'SEGMENT_SEALED'): WalrusError {
    const what = `Segment ${this.segment.segmentId} was sealed before this record`;
    return new WalrusError(code, code === 'TIMED_OUT' ? `${what} was on all of its members` : what);
  }

  /** The metadata says that a recovery has begun: what becomes of the pending appends is its decision. */
  suspend(): void {
    if (this.#state === 'Frozen' || this.#state === 'Ended') return;
    this.#state = 'Frozen';
    this.#onDrained = null;
  }

  /** The process is stopping: ends without an answer to anybody. */
  stop(): void {
    this.#state = 'Ended';
    this.#timer?.cancel();
    this.#replicator.stop();
    this.#onDrained = null;
  }

  /** A member refuses this leader: acknowledges nothing more and waits for what the metadata says. */
  #depose(reason: WalrusError): void {
    if (this.#state === 'Frozen' || this.#state === 'Ended') return;
    this.suspend();
    this.#options.onDeposed(reason);
  }
}

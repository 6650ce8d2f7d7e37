/**
 * What a segment's leader knows of one other member of the ensemble, and what it sends to it next.
 *
 * Two states, as Raft's progress: `Replicate` sends new batches at once, optimistically; `Probe` has one message
 * outstanding and learns where the member's tail is. A gap, a silence or a refusal leads back to `Probe`.
 * Invariant: durableTail <= nextOffset.
 */
import { assert } from '../../base/assert.ts';
import type { Offset } from '../../base/units.ts';
import type { AppendAck } from '../../protocol/peer/append.ts';
import type { ReplicaPlace } from '../state/types.ts';

/** Bytes sent to a member and not yet accepted by it; beyond it, it is served from the log as it keeps up. */
export const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024;
/** Without an answer for so long, a member is probed; doubles up to the maximum. */
export const PROBE_TIMEOUT_MS_MIN = 200;
export const PROBE_TIMEOUT_MS_MAX = 2000;
/** How soon a member that is not ready yet (its metadata lags) is asked again. */
export const NOT_READY_RETRY_MS = 10;
/** How soon a member that has too much to write is asked again; doubles up to the maximum until it keeps up. */
export const BUSY_RETRY_MS_MIN = 20;
export const BUSY_RETRY_MS_MAX = 500;

interface Sent {
  readonly endOffset: Offset;
  readonly sizeBytes: number;
}

export class Follower {
  readonly place: ReplicaPlace;
  state: 'Probe' | 'Replicate' = 'Probe';
  /** Whether the member is known to have a replica; without one, a probe is an Open. */
  isOpened = false;
  /** The first offset that has not been sent. */
  nextOffset: Offset;
  /** Everything below is durable on the member. Never goes back. */
  durableTail: Offset;
  /** The committed offset that the member last said it knows, and the last one that was sent. */
  committedKnown: Offset;
  committedSent: Offset;
  /** When the next message may be sent in `Probe`, or silence is noticed in `Replicate`. */
  deadlineMs = 0;
  #probeTimeoutMs = PROBE_TIMEOUT_MS_MIN;
  /** A busy member gets nothing before, whatever else it answers: that was on its way already. */
  #busyUntilMs = 0;
  #busyRetryMs = BUSY_RETRY_MS_MIN;
  #sent: Sent[] = [];
  #inFlightBytes = 0;

  constructor(place: ReplicaPlace, baseOffset: Offset) {
    this.place = place;
    this.nextOffset = baseOffset;
    this.durableTail = baseOffset;
    this.committedKnown = baseOffset;
    this.committedSent = baseOffset;
  }

  /** Whether new batches may be sent without waiting. */
  get hasRoom(): boolean {
    return this.#inFlightBytes < IN_FLIGHT_BYTES_MAX;
  }

  /** Whether an answer is owed for batches that were sent. */
  get hasOutstanding(): boolean {
    return this.#sent.length > 0;
  }

  /** Notes a message that was sent. */
  sent(endOffset: Offset, sizeBytes: number, nowMs: number): void {
    if (!this.hasOutstanding) this.deadlineMs = nowMs + this.#probeTimeoutMs;
    if (sizeBytes > 0) this.#sent.push({ endOffset, sizeBytes });
    this.#inFlightBytes += sizeBytes;
    this.nextOffset = endOffset;
  }

  /** Takes an answer, of whatever age. */
  acknowledged(ack: AppendAck, nowMs: number): void {
    if (ack.durableTail > this.durableTail) this.durableTail = ack.durableTail;
    this.committedKnown = ack.committedOffset; // may go back: a member forgets it when it restarts
    switch (ack.status) {
      case 'OK':
        this.isOpened = true;
        this.#accepted(ack.tail, nowMs);
        break;
      case 'GAP':
        this.isOpened = true;
        this.#rewind(ack.tail, nowMs);
        break;
      case 'NOT_READY':
        this.#rewind(this.durableTail, nowMs);
        this.deadlineMs = nowMs + NOT_READY_RETRY_MS;
        break;
      case 'BUSY':
        this.#rest(ack.tail, nowMs);
        break;
      case 'NEED_OPEN':
        this.isOpened = false;
        this.#rewind(this.durableTail, nowMs);
        break;
      case 'RESTARTED':
        this.isOpened = true;
        this.#rewind(ack.tail, nowMs);
        break;
      case 'UNAVAILABLE':
        this.#backOff(nowMs);
        break;
      case 'FENCED':
      case 'REFUSED':
        break; // the leader is deposed: its owner acts
    }
    // A late answer to an earlier message may know more than the last rewind.
    if (this.nextOffset < this.durableTail) this.nextOffset = this.durableTail;
  }

  #accepted(tail: Offset, nowMs: number): void {
    let count = 0;
    while (count < this.#sent.length && (this.#sent[count] as Sent).endOffset <= tail) {
      this.#inFlightBytes -= (this.#sent[count] as Sent).sizeBytes;
      count += 1;
    }
    if (count > 0) this.#sent.splice(0, count);
    if (this.state === 'Probe') {
      if (nowMs < this.#busyUntilMs) return; // of what it had accepted before
      this.state = 'Replicate';
      this.#forgetInFlight();
      this.nextOffset = tail;
    } else if (!this.hasOutstanding) {
      this.#busyRetryMs = BUSY_RETRY_MS_MIN; // it keeps up
    }
    this.#probeTimeoutMs = PROBE_TIMEOUT_MS_MIN;
    this.deadlineMs = nowMs + this.#probeTimeoutMs;
  }

  /** The member lacks what was sent: a lost or overtaken message. One probe at a time until it answers. */
  #rewind(tail: Offset, nowMs: number): void {
    // A late GAP that speaks of the past must not restart what is under way.
    if (tail < this.durableTail) return;
    this.state = 'Probe';
    this.nextOffset = tail;
    this.#forgetInFlight();
    this.deadlineMs = Math.max(nowMs, this.#busyUntilMs);
  }

  /** The member takes nothing more for now: what it would refuse must not fill its link, nor this node's time. */
  #rest(tail: Offset, nowMs: number): void {
    if (nowMs >= this.#busyUntilMs) {
      this.#busyUntilMs = nowMs + this.#busyRetryMs;
      this.#busyRetryMs = Math.min(2 * this.#busyRetryMs, BUSY_RETRY_MS_MAX);
    }
    this.#rewind(tail > this.durableTail ? tail : this.durableTail, nowMs);
  }

  #backOff(nowMs: number): void {
    this.state = 'Probe';
    this.nextOffset = this.durableTail;
    this.#forgetInFlight();
    this.#probeTimeoutMs = Math.min(2 * this.#probeTimeoutMs, PROBE_TIMEOUT_MS_MAX);
    this.deadlineMs = nowMs + this.#probeTimeoutMs;
  }

  /** Called when the deadline has passed with something outstanding. */
  timedOut(nowMs: number): void {
    this.#backOff(nowMs);
    this.deadlineMs = nowMs; // probe at once; the next silence waits longer
  }

  /** In `Probe`: starts waiting for the answer to the probe that is being sent. */
  probing(nowMs: number): void {
    assert(this.state === 'Probe', 'Only a probed member gets a probe');
    this.deadlineMs = nowMs + this.#probeTimeoutMs;
  }

  #forgetInFlight(): void {
    this.#sent = [];
    this.#inFlightBytes = 0;
  }
}

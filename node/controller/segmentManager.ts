/**
 * The segments that this node leads: opens them when the metadata names it, closes them at their limits, ends
 * them when they are sealed, and takes appends for them.
 *
 * Invariant: a SegmentLeader exists only for a segment whose record names this disk and this boot (W1), and at
 * most one for a partition takes appends.
 */
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { NodeId, SegmentId } from '../../base/units.ts';
import type { AppendAck } from '../../protocol/peer/append.ts';
import { ROLL_SEGMENT } from '../../protocol/peer/replicas.ts';
import { CLOSE_SEGMENT } from '../../protocol/peer/requests.ts';
import type { Metrics } from '../metrics.ts';
import type { AckLevel, AppendCallback } from '../replication/pendingAppends.ts';
import type { ReplicaHost } from '../replication/replicaHost.ts';
import type { ProducerStates } from '../replication/producerStates.ts';
import { SegmentLeader } from '../replication/segmentLeader.ts';
import type { SegmentLeaderOptions } from '../replication/segmentLeader.ts';
import type { MetadataChange } from '../state/change.ts';
import { hasRoomForSegment, isLeader, segmentsLedBy, unsealedSegment } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { ReplicaTail } from '../storage/types.ts';
import { LeaderReport } from './leaderReport.ts';
import { ProducerLoader } from './producerLoader.ts';
import { whyFull } from './rollReason.ts';
import type { RollReason } from './rollReason.ts';
import type { BeforeClose, MetadataService, PeerRpc, SegmentAppender, Session } from './types.ts';
import { WaitingAppends } from './waitingAppends.ts';

/** How long a close waits for what is under way to commit, before it seals what is committed. */
export const DRAIN_MS_MAX = 500;
/** How long a close waits for the shared cursors to be handed over. */
export const BEFORE_CLOSE_MS_MAX = 1000;
/** A repeat is harmless, and a metadata leader that has died meanwhile would cost all of it. */
const CLOSE_TIMEOUT_MS = 500;
const CLOSE_RETRY_MS = 50;
const OPEN_RETRY_MS = 100;
/** How often ages are looked at. */
const AGE_CHECK_MS = 1000;

export interface SegmentManagerOptions extends Pick<
  SegmentLeaderOptions,
  'self' | 'clock' | 'buffers' | 'sendAppend' | 'sendOpen'
> {
  readonly bootEpoch: number;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly session: Session;
  readonly host: ReplicaHost;
  readonly rpc: PeerRpc;
  readonly metrics: Metrics;
}

export class SegmentManager implements SegmentAppender {
  readonly #options: SegmentManagerOptions;
  readonly #producers: ProducerLoader;
  readonly #leaders = new Map<SegmentId, SegmentLeader>();
  readonly #opening = new Set<SegmentId>();
  /** Segments whose close has begun, from the end of the turn at the latest. */
  readonly #closing = new Set<SegmentId>();
  /** Segments whose end is proposed until the metadata have it. */
  readonly #sealing = new Set<SegmentId>();
  readonly #report: LeaderReport;
  readonly #waiting: WaitingAppends;
  readonly #beforeClose: BeforeClose[] = [];
  #isStopped = false;

  constructor(options: SegmentManagerOptions) {
    this.#options = options;
    this.#waiting = new WaitingAppends(options.clock);
    this.#report = new LeaderReport(options.clock);
    const { host, rpc, metadata, logger } = options;
    this.#producers = new ProducerLoader({ host, rpc, metadata: () => metadata.metadata, logger });
    metadata.onApplied((change) => this.#onApplied(change));
    rpc.handle(ROLL_SEGMENT, ({ segmentId }) => {
      const leader = this.#leaders.get(segmentId);
      if (leader?.state === 'Open') this.#close(leader, 'member');
      return null;
    });
    this.#checkAges();
  }

  get ledSegmentIds(): readonly SegmentId[] {
    return [...this.#leaders.keys()];
  }

  /** The leaders themselves, for status and metrics. */
  leaders(): readonly SegmentLeader[] {
    return [...this.#leaders.values()];
  }

  /** As LeaderReport. */
  takeBehindNodeIds(): NodeId[] {
    return this.#report.takeBehindNodeIds(this.#leaders);
  }

  /** As LeaderReport. */
  takeUnledSegmentIds(): SegmentId[] {
    const { metadata, self } = this.#options;
    const mine = segmentsLedBy(metadata.metadata, self.nodeId).filter((segment) =>
      this.#isMine(segment),
    );
    return this.#report.takeUnledSegmentIds(mine, this.#leaders, this.#sealing);
  }

  /**
   * Whether this node may say where an open segment that it is to lead ends: nobody goes on in its place, as far as clocks can
   * tell. A leader that is frozen may have a successor already.
   */
  namesEnd({ segmentId }: SegmentRecord): boolean {
    return this.#options.session.isFresh && this.#leaders.get(segmentId)?.state !== 'Frozen';
  }

  /** Adds something that must happen before a segment's end is proposed. */
  beforeClose(hook: BeforeClose): void {
    this.#beforeClose.push(hook);
  }

  /** Takes a member's answer. */
  onAck(ack: AppendAck): void {
    this.#leaders.get(ack.segmentId)?.onAck(ack);
  }

  /** Ends all leaders without an answer: the process is stopping. */
  stop(): void {
    this.#isStopped = true;
    for (const leader of this.#leaders.values()) leader.stop();
  }

  /** Closes every segment that this node leads, so that others take over (drain). */
  closeAll(): void {
    for (const leader of this.#leaders.values()) {
      if (leader.state === 'Open') this.#close(leader, 'handover');
    }
  }

  append(
    partition: { readonly topic: string; readonly partition: number },
    batch: Uint8Array,
    acks: AckLevel,
    done: AppendCallback,
  ): void {
    const key = keyOf(partition);
    const segment = unsealedSegment(
      this.#options.metadata.metadata,
      partition.topic,
      partition.partition,
    );
    if (segment === undefined) {
      done(new WalrusError('TOPIC_NOT_FOUND', `There is no topic partition ${key}`), null);
      return;
    }
    const leader = this.#leaders.get(segment.segmentId);
    if (leader?.state === 'Open' && !this.#waiting.has(key)) {
      leader.append(batch, acks, done);
      const reason = this.#whyFull(leader);
      if (reason !== null) this.#close(leader, reason);
      return;
    }
    if (leader === undefined && segment.state === 'OPEN' && !this.#isMine(segment)) {
      done(notLeader(segment), null);
      return;
    }
    this.#waiting.add(key, { batch, acks, done });
  }

  #isMine(segment: SegmentRecord): boolean {
    return isLeader(segment, {
      diskId: this.#options.self.diskId,
      bootEpoch: this.#options.bootEpoch,
    });
  }

  #whyFull(leader: SegmentLeader): RollReason | null {
    if (leader.state !== 'Open') return null;
    const { config } = this.#options.metadata.metadata;
    const entries = leader.tail - leader.segment.baseOffset;
    return whyFull({ entries, sizeBytes: leader.sizeBytes }, config, this.#hasRoomAfter(leader));
  }

  #hasRoomAfter({ segment }: SegmentLeader): boolean {
    const { metadata } = this.#options.metadata;
    return hasRoomForSegment(metadata, segment.topic, segment.partition);
  }

  #onApplied(change: MetadataChange): void {
    if (this.#isStopped) return;
    const { metadata } = this.#options.metadata;
    const touched = change.isRestored
      ? [
          ...this.#leaders.keys(),
          ...segmentsLedBy(metadata, this.#options.self.nodeId).map((segment) => segment.segmentId),
        ]
      : change.segments;
    for (const segmentId of touched) this.#follow(segmentId, metadata.segments.get(segmentId));
  }

  /** Brings one segment's leader in line with its record. */
  #follow(segmentId: SegmentId, segment: SegmentRecord | undefined): void {
    const leader = this.#leaders.get(segmentId);
    switch (segment?.state) {
      case undefined:
      case 'DELETED':
        if (leader !== undefined) this.#end(leader, null, false);
        break;
      case 'RECOVERING':
        leader?.suspend();
        break;
      case 'SEALED':
        this.#followSealed(segment, leader);
        break;
      case 'OPEN':
        if (leader !== undefined) break;
        if (this.#isMine(segment)) void this.#open(segment);
        else this.#release(segment);
        break;
    }
  }

  #followSealed(segment: SegmentRecord, leader: SegmentLeader | undefined): void {
    const { segmentId, endOffset, lossy } = segment;
    if (leader !== undefined) this.#end(leader, endOffset, lossy !== null);
    if (endOffset !== null) this.#options.host.setCommitted(segmentId, endOffset);
  }

  #end(leader: SegmentLeader, endOffset: SegmentRecord['endOffset'], isLossy: boolean): void {
    this.#leaders.delete(leader.segment.segmentId);
    this.#closing.delete(leader.segment.segmentId);
    this.#sealing.delete(leader.segment.segmentId);
    leader.end(endOffset, isLossy);
  }

  /** Another node leads now: what waited here is sent on. */
  #release(segment: SegmentRecord): void {
    for (const { done } of this.#waiting.take(keyOf(segment))) done(notLeader(segment), null);
  }

  async #open(segment: SegmentRecord): Promise<void> {
    const { segmentId } = segment;
    if (this.#opening.has(segmentId)) return;
    this.#opening.add(segmentId);
    try {
      const producers = await this.#loadProducers(segment);
      const current = this.#options.metadata.metadata.segments.get(segmentId);
      if (producers === null || current === undefined || !this.#isMine(current)) return;
      // A replica that is there already was made by a fence: a recovery is on its way.
      if (this.#isStopped || this.#options.host.replica(segmentId) !== undefined) return;
      this.#lead(current, this.#options.host.createForLeader(current, producers), producers);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#options.logger.log('error', 'cannot open a segment', {
        segmentId,
        error: error.message,
      });
      // A full disk may get room again, before another node goes on.
      this.#options.clock.setTimer(OPEN_RETRY_MS, () => {
        const current = this.#options.metadata.metadata.segments.get(segmentId);
        if (!this.#isStopped) this.#follow(segmentId, current);
      });
    } finally {
      this.#opening.delete(segmentId);
    }
  }

  /** Until it is known, or the segment is not this node's any more: serving without would store retries twice. */
  async #loadProducers(segment: SegmentRecord): Promise<ProducerStates | null> {
    for (;;) {
      try {
        return await this.#producers.load(segment);
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        const { segmentId } = segment;
        this.#options.logger.log('warn', 'a leader cannot begin yet', {
          segmentId,
          why: error.message,
        });
      }
      await this.#sleep(OPEN_RETRY_MS);
      const current = this.#options.metadata.metadata.segments.get(segment.segmentId);
      if (this.#isStopped || current === undefined || !this.#isMine(current)) return null;
    }
  }

  #lead(
    segment: SegmentRecord,
    replica: ReturnType<ReplicaHost['createForLeader']>,
    producers: ProducerStates,
  ): void {
    const { host, session, metadata, logger } = this.#options;
    const { segmentId } = segment;
    const leader: SegmentLeader = new SegmentLeader({
      segment,
      self: this.#options.self,
      replica,
      producers,
      clock: this.#options.clock,
      buffers: this.#options.buffers,
      sendAppend: (to, header, batches, onReleased) =>
        this.#options.sendAppend(to, header, batches, onReleased),
      sendOpen: (to, open) => this.#options.sendOpen(to, open),
      isLeaseHeld: () => {
        const current = metadata.metadata.segments.get(segmentId);
        return session.isFresh && current !== undefined && this.#isMine(current);
      },
      onCommitted: (committedOffset) => host.setCommitted(segmentId, committedOffset),
      onDeposed: (reason) => {
        logger.log('warn', 'a leader was deposed', { segmentId, reason: reason.message });
      },
    });
    this.#leaders.set(segmentId, leader);
    for (const { batch, acks, done } of this.#waiting.take(keyOf(segment))) {
      this.append(segment, batch, acks, done);
    }
  }

  #close(leader: SegmentLeader, reason: RollReason): void {
    const { segmentId } = leader.segment;
    if (this.#closing.has(segmentId)) return;
    this.#closing.add(segmentId);
    this.#options.logger.log('info', 'closing a segment', { segmentId, reason });
    this.#options.metrics.rolled(reason);
    let isDrained = false;
    const drained = (): void => {
      if (isDrained) return;
      isDrained = true;
      timer.cancel();
      void this.#seal(leader);
    };
    const timer = this.#options.clock.setTimer(DRAIN_MS_MAX, drained);
    // In a turn of its own: the drain may be over at once, and the caller is in the middle of an append.
    this.#options.clock.defer(() => {
      if (leader.state === 'Open') leader.beginClose(drained);
      else timer.cancel();
    });
  }

  async #seal(leader: SegmentLeader): Promise<void> {
    await this.#runBeforeClose(leader.segment);
    if (leader.state !== 'Closing') return; // deposed, or ended, while it waited
    const end = this.#freeze(leader);
    if (end === null) return;
    const { segmentId, token } = leader.segment;
    this.#sealing.add(segmentId);
    const request = { segmentId, token, endOffset: end.tail, digest: end.digest };
    // The outcome is what the metadata says; until then the leader stays frozen.
    while (!this.#isStopped && this.#leaders.get(segmentId) === leader) {
      const current = this.#options.metadata.metadata.segments.get(segmentId);
      if (current?.state !== 'OPEN') return;
      try {
        const address = this.#options.metadata.leaderAddress;
        if (address !== null)
          await this.#options.rpc.call(address, CLOSE_SEGMENT, request, CLOSE_TIMEOUT_MS);
      } catch (error) {
        if (!isWalrusError(error)) throw error;
        this.#options.logger.log('info', 'cannot close a segment yet', {
          segmentId,
          code: error.code,
        });
      }
      await this.#sleep(CLOSE_RETRY_MS);
    }
  }

  /** null: this leader's copy is damaged, so that a recovery has to find the end. */
  #freeze(leader: SegmentLeader): ReplicaTail | null {
    try {
      return leader.freeze();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { segmentId } = leader.segment;
      this.#options.logger.log('warn', 'cannot close a segment', { segmentId, why: error.message });
      return null;
    }
  }

  /** Runs the hooks, at most for a bounded time: what they hand over is a courtesy, not needed for safety. */
  async #runBeforeClose(segment: SegmentRecord): Promise<void> {
    if (this.#beforeClose.length === 0) return;
    const hooks = Promise.allSettled(this.#beforeClose.map((hook) => hook(segment)));
    await Promise.race([hooks, this.#sleep(BEFORE_CLOSE_MS_MAX)]);
  }

  #checkAges(): void {
    this.#options.clock.setTimer(AGE_CHECK_MS, () => {
      if (this.#isStopped) return;
      const { maxSegmentAgeMs } = this.#options.metadata.metadata.config;
      const nowMs = this.#options.clock.wallMs();
      for (const leader of this.#leaders.values()) {
        const isEmpty = leader.tail === leader.segment.baseOffset;
        const isOld = nowMs - leader.segment.openedAtMs >= maxSegmentAgeMs;
        if (leader.state !== 'Open' || isEmpty || !isOld) continue;
        if (this.#hasRoomAfter(leader)) this.#close(leader, 'age');
      }
      this.#checkAges();
    });
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(delayMs, resolve));
  }
}

function keyOf({
  topic,
  partition,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `${topic}/${partition}`;
}

function notLeader(segment: SegmentRecord): WalrusError {
  const { nodeId } = segment.leader;
  const message = `This node does not lead ${keyOf(segment)}: node ${nodeId} does`;
  return new WalrusError('NOT_LEADER', message, { details: { leader: nodeId } });
}

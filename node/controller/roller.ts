/**
 * Asks leaders to close their segments, so that the next ones are better placed: in a better ensemble (W6), with a leader
 * that does not drain, or where less is led already. Whoever is asked decides by itself, and may be gone.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { SegmentId } from '../../base/units.ts';
import { ROLL_SEGMENT } from '../../protocol/peer/replicas.ts';
import type { DamagedCopy } from '../../protocol/peer/requests.ts';
import { hasRoomForSegment } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import { segmentToMove } from './balance.ts';
import { segmentsToRoll } from './failureDetector.ts';
import type { Candidate } from './placement.ts';
import type { MetadataService, PeerRpc } from './types.ts';

/** Between two requests to roll the same segment to a better ensemble (W6). */
export const ROLL_INTERVAL_MS = 5000;
const ROLL_TIMEOUT_MS = 1000;
/** For so long leaderships are uneven before any is moved: a node may be about to leave again. */
export const BALANCE_DELAY_MS = 5000;
/** Between two that are moved: each costs its producers a moment. */
export const BALANCE_INTERVAL_MS = 1000;

export interface RollerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
}

export class Roller {
  readonly #options: RollerOptions;
  readonly #askedMs = new Map<SegmentId, number>();
  #unevenSinceMs: number | null = null;
  #movedMs = 0;

  constructor(options: RollerOptions) {
    this.#options = options;
  }

  /** This node begins to lead the metadata. */
  begin(): void {
    this.#unevenSinceMs = null;
  }

  /** One look. */
  pass(candidates: readonly Candidate[], damaged: readonly DamagedCopy[]): void {
    const { metadata } = this.#options.metadata;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [segmentId, atMs] of this.#askedMs) {
      if (nowMs - atMs >= ROLL_INTERVAL_MS) this.#askedMs.delete(segmentId);
    }
    const toRoll = segmentsToRoll(metadata, candidates, damaged);
    for (const segment of toRoll) this.#ask(segment, nowMs);
    if (toRoll.length === 0) this.#balance(candidates, nowMs);
    else this.#unevenSinceMs = null;
  }

  #balance(candidates: readonly Candidate[], nowMs: number): void {
    const segment = segmentToMove(this.#options.metadata.metadata, candidates);
    if (segment === null) {
      this.#unevenSinceMs = null;
      return;
    }
    this.#unevenSinceMs ??= nowMs;
    const isSettled = nowMs - this.#unevenSinceMs >= BALANCE_DELAY_MS;
    if (!isSettled || nowMs - this.#movedMs < BALANCE_INTERVAL_MS) return;
    this.#movedMs = nowMs;
    this.#ask(segment, nowMs);
  }

  #ask({ segmentId, leader, topic, partition }: SegmentRecord, nowMs: number): void {
    const { rpc, logger } = this.#options;
    const { metadata } = this.#options.metadata;
    if (this.#askedMs.has(segmentId) || !hasRoomForSegment(metadata, topic, partition)) return;
    this.#askedMs.set(segmentId, nowMs);
    const address = metadata.nodes.get(leader.nodeId)?.peerAddress;
    if (address === undefined) return;
    rpc.call(address, ROLL_SEGMENT, { segmentId }, ROLL_TIMEOUT_MS).catch((error: unknown) => {
      logger.log('info', 'cannot ask for a roll', { segmentId, error: String(error) });
    });
  }
}

/** What a node says with each heartbeat of the segments that it leads, or is named to lead. */
import type { Clock } from '../../base/clock.ts';
import type { NodeId, Offset, SegmentId } from '../../base/units.ts';
import { UNLED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { SegmentLeader } from '../replication/segmentLeader.ts';
import type { SegmentRecord } from '../state/types.ts';

/** How long a segment may be without its leader here before another node is to go on. */
export const OPEN_MS_MAX = 3000;

export class LeaderReport {
  readonly #clock: Clock;
  /** Since when segments that this node is to lead have no leader. */
  #missingSinceMs = new Map<SegmentId, number>();
  /** What each segment had committed when it was last looked at whether its members keep up. */
  #committedBefore = new Map<SegmentId, Offset>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Nodes that lack what was committed at the last call already, in a segment that this node leads: they do not keep
   * up, or are down. Called with each heartbeat.
   */
  takeBehindNodeIds(leaders: ReadonlyMap<SegmentId, SegmentLeader>): NodeId[] {
    const behind = new Set<NodeId>();
    const committed = new Map<SegmentId, Offset>();
    for (const [segmentId, leader] of leaders) {
      const before = this.#committedBefore.get(segmentId) ?? leader.segment.baseOffset;
      for (const { place, durableTail } of leader.followers) {
        if (durableTail < before) behind.add(place.nodeId);
      }
      committed.set(segmentId, leader.committedOffset);
    }
    this.#committedBefore = committed;
    return [...behind];
  }

  /**
   * Segments without a leader that can go on: it is frozen for good without an end to propose, or none could begin.
   * Nothing here gets them out of it: a recovery has to. Called with each heartbeat.
   * @param mine - The open segments that this node is named to lead.
   * @param sealing - Segments whose end is proposed.
   */
  takeUnledSegmentIds(
    mine: readonly SegmentRecord[],
    leaders: ReadonlyMap<SegmentId, SegmentLeader>,
    sealing: ReadonlySet<SegmentId>,
  ): SegmentId[] {
    const nowMs = this.#clock.monotonicMs();
    const missing = new Map<SegmentId, number>();
    const isUnled = ({ segmentId }: SegmentRecord): boolean => {
      const leader = leaders.get(segmentId);
      if (leader !== undefined) return leader.state === 'Frozen' && !sealing.has(segmentId);
      const sinceMs = this.#missingSinceMs.get(segmentId) ?? nowMs;
      missing.set(segmentId, sinceMs);
      return nowMs - sinceMs >= OPEN_MS_MAX;
    };
    const unled = mine.filter(isUnled);
    this.#missingSinceMs = missing;
    return unled.slice(0, UNLED_IDS_MAX).map(({ segmentId }) => segmentId);
  }
}

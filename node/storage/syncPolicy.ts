/**
 * Whether a group commit blocks for its sync or goes on while the disk works.
 *
 * The lone writer rule: a group that holds one small append is synced by a blocking call. Nobody else waits for the
 * thread's time then, and the thread pool would add 25 to 90 us to about 100 us (docs/adr/0110). A group of several
 * appends is synced in the background, and the next group forms meanwhile. A disk whose blocking sync
 * turned out slow is not asked to block again for a while, since heartbeats must go on: for a few groups after a single
 * stall, which any disk has now and then; for twice as many each time that it is slow again, half as many when it is not.
 */
import { KIB } from '../../base/units.ts';

const LONE_APPEND_BYTES_MAX = 64 * KIB;
const BLOCKING_SYNC_MS_MAX = 2;
/** Groups that are synced in the background after a blocking sync that was slow: the first time, and at most. */
const GROUPS_AFTER_SLOW_SYNC_MIN = 8;
const GROUPS_AFTER_SLOW_SYNC_MAX = 512;

export class SyncPolicy {
  #backgroundGroupsLeft = 0;
  #groupsAfterSlowSync = GROUPS_AFTER_SLOW_SYNC_MIN;

  /** Whether to block for a group with this many appends, bytes and files to sync. */
  blocks(appendCount: number, bytes: number, fileCount: number): boolean {
    if (this.#backgroundGroupsLeft > 0) {
      this.#backgroundGroupsLeft -= 1;
      return false;
    }
    return appendCount === 1 && bytes <= LONE_APPEND_BYTES_MAX && fileCount === 1;
  }

  /** Learns from a blocking sync. */
  onBlocked(elapsedMs: number): void {
    const groups = this.#groupsAfterSlowSync;
    if (elapsedMs <= BLOCKING_SYNC_MS_MAX) {
      this.#groupsAfterSlowSync = Math.max(GROUPS_AFTER_SLOW_SYNC_MIN, groups / 2);
      return;
    }
    this.#backgroundGroupsLeft = groups;
    this.#groupsAfterSlowSync = Math.min(GROUPS_AFTER_SLOW_SYNC_MAX, 2 * groups);
  }
}

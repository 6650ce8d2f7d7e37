/**
 * Whether a group commit blocks for its sync or goes on while the disk works.
 *
 * The lone writer rule: a group that holds one small append is synced by a blocking call. Nobody else waits for the
 * thread's time then, and the thread pool would add 25 to 90 us to about 100 us (docs/adr/0110). A group of several
 * appends is synced in the background, and the next group forms meanwhile. A disk whose blocking syncs
 * turn out slow is not asked to block again for a while: heartbeats must go on.
 */
import { KIB } from '../../base/units.ts';

const LONE_APPEND_BYTES_MAX = 64 * KIB;
const BLOCKING_SYNC_MS_MAX = 2;
/** Groups that are synced in the background after a blocking sync that was slow. */
const GROUPS_AFTER_SLOW_SYNC = 256;

export class SyncPolicy {
  #backgroundGroupsLeft = 0;

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
    if (elapsedMs > BLOCKING_SYNC_MS_MAX) this.#backgroundGroupsLeft = GROUPS_AFTER_SLOW_SYNC;
  }
}

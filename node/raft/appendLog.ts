/** Changes of this server's own log: the only place that emits log writes. */
import { assert } from '../../base/assert.ts';
import { logIndex } from '../../base/units.ts';
import type { LogIndex } from '../../base/units.ts';
import { ENTRY_OVERHEAD_BYTES } from './entry.ts';
import type { Entry } from './entry.ts';
import { followerRole } from './raft.ts';
import type { Raft } from './raft.ts';

/** Appends entries after the last one; a configuration takes effect at once (thesis §4.1). */
export function appendEntries(raft: Raft, entries: readonly Entry[]): void {
  assert(entries.length > 0, 'An append has entries');
  const prevIndex = raft.trail.lastIndex;
  for (const entry of entries) {
    raft.trail.append(entry.term, entry.payload.length + ENTRY_OVERHEAD_BYTES);
    if (entry.configuration === null) continue;
    raft.configurations.push({
      index: raft.trail.lastIndex,
      term: entry.term,
      configuration: entry.configuration,
    });
  }
  raft.lastWriteId += 1;
  const writeId = raft.lastWriteId;
  raft.pendingWrites.push({ writeId, lastIndex: raft.trail.lastIndex });
  raft.output.writes.push({ writeId, prevIndex, entries });
  refreshRole(raft);
}

/**
 * Removes conflicting entries from `index` on (Raft Figure 2, AppendEntries step 3); an append follows in the
 * same step, and the log replaces them by it. Writes under way no longer count for what was cut off.
 */
export function truncateFrom(raft: Raft, index: LogIndex): void {
  assert(raft.role !== 'Leader', 'A leader never removes entries of its log');
  assert(index > raft.commitIndex, 'Committed entries are never removed');
  raft.trail.truncateFrom(index);
  cutDurable(raft, logIndex(index - 1));
  raft.matchedIndex = logIndex(Math.min(raft.matchedIndex, index - 1));
  raft.configurations = raft.configurations.filter(
    (one, position) => position === 0 || one.index < index,
  );
  refreshRole(raft);
}

/** Begins a new log after a snapshot's last entry. */
export function restartLog(raft: Raft, index: LogIndex): void {
  cutDurable(raft, index);
  raft.persistedIndex = index;
}

function cutDurable(raft: Raft, lastIndex: LogIndex): void {
  raft.persistedIndex = logIndex(Math.min(raft.persistedIndex, lastIndex));
  for (const write of raft.pendingWrites)
    write.lastIndex = logIndex(Math.min(write.lastIndex, lastIndex));
}

/** Takes note that all writes up to `writeId` are durable. */
export function recordPersisted(raft: Raft, writeId: number): void {
  assert(writeId <= raft.lastWriteId, 'Only writes that were asked for become durable');
  let done = 0;
  for (const write of raft.pendingWrites) {
    if (write.writeId > writeId) break;
    raft.persistedIndex = logIndex(Math.max(raft.persistedIndex, write.lastIndex));
    done += 1;
  }
  if (done > 0) raft.pendingWrites.splice(0, done);
}

/** A follower gains or loses its vote with the configuration; candidates and leaders decide for themselves. */
function refreshRole(raft: Raft): void {
  if (raft.role === 'Follower' || raft.role === 'Learner') raft.role = followerRole(raft);
}

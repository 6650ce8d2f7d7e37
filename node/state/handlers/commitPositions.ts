/**
 * CommitPositions: the commits of many callers in one command. Each commit is decided on its own, in order, so that
 * one caller's stale view does not fail the others that were batched with it; within a commit all positions are set
 * or none. A group comes to be with its first position. Positions may go back (a group that reads again), but not by a
 * commit that was decided before a newer one: once a commit with `unchangedSince` = i is applied, each of its positions
 * has changed after i, and no other commit decided at i or earlier can set it any more.
 */
import type { ErrorCode } from '../../../base/errors.ts';
import type { LogIndex } from '../../../base/units.ts';
import type {
  ApplyResult,
  CommandOf,
  CommittedPosition,
  PositionsCommit,
  RefusedCommit,
} from '../commands.ts';
import { MAX_GROUPS, MAX_POSITIONS_PER_COMMAND, MAX_POSITIONS_PER_GROUP } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';
import type { GroupPosition } from '../types.ts';
import { isGroupName } from './names.ts';

/** Commits what can be committed; the value lists what was refused and why. */
export function commitPositions(
  state: MutableMetadata,
  { commits }: CommandOf<'CommitPositions'>,
): ApplyResult {
  const count = commits.reduce((sum, { positions }) => sum + positions.length, 0);
  if (count > MAX_POSITIONS_PER_COMMAND) {
    return refuse(
      'TOO_LARGE',
      `Cannot commit ${count} positions at once: up to ${MAX_POSITIONS_PER_COMMAND} are taken`,
    );
  }
  const refused: RefusedCommit[] = [];
  for (const [index, commit] of commits.entries()) {
    const refusal = refusalOf(state, commit);
    if (refusal === null) apply(state, commit);
    else refused.push({ index, ...refusal });
  }
  return accept({ type: 'Positions', index: state.lastApplied, refused });
}

function apply(state: MutableMetadata, commit: PositionsCommit): void {
  for (const { topic, partition, offset } of commit.positions) {
    // The topic's own string: positions of many groups then share it.
    const name = state.topics.get(topic)?.name ?? topic;
    const positions = state.positionsFor(commit.group, name);
    if (isUnchanged(state, positions.get(partition), commit.unchangedSince)) {
      positions.set(partition, { offset, changedAt: state.lastApplied });
    }
  }
}

/** The first position that cannot be committed; looked at before any is set. */
function refusalOf(
  state: MutableMetadata,
  { group, positions, unchangedSince }: PositionsCommit,
): Omit<RefusedCommit, 'index'> | null {
  if (!isGroupName(group)) return { position: 0, code: 'MALFORMED' };
  let room = roomFor(state, group);
  for (const [position, asked] of positions.entries()) {
    const current = state.groups.get(group)?.get(asked.topic)?.get(asked.partition);
    const code = missing(state, asked);
    if (code !== null) return { position, code };
    const isRepeat = current?.offset === asked.offset;
    if (!isRepeat && !isUnchanged(state, current, unchangedSince)) {
      return { position, code: 'CONFLICT' };
    }
    if (current !== undefined) continue;
    if (room === 0) return { position, code: 'LIMIT_REACHED' };
    room -= 1;
  }
  return null;
}

function missing(state: MutableMetadata, position: CommittedPosition): ErrorCode | null {
  const topic = state.topics.get(position.topic);
  if (topic === undefined) return 'TOPIC_NOT_FOUND';
  if (position.topicId !== undefined && position.topicId !== topic.topicId) {
    return 'TOPIC_NOT_FOUND';
  }
  return topic.partitions[position.partition] === undefined ? 'PARTITION_NOT_FOUND' : null;
}

/** A position that is not there counts as changed when any was removed last. */
function isUnchanged(
  state: MutableMetadata,
  position: GroupPosition | undefined,
  since: LogIndex | undefined,
): boolean {
  return since === undefined || (position?.changedAt ?? state.positionsRemovedAt) <= since;
}

/** How many positions more a group may have. */
function roomFor(state: MutableMetadata, group: string): number {
  const topics = state.groups.get(group);
  if (topics === undefined) return state.groups.size < MAX_GROUPS ? MAX_POSITIONS_PER_GROUP : 0;
  let count = 0;
  for (const positions of topics.values()) count += positions.size;
  return MAX_POSITIONS_PER_GROUP - count;
}

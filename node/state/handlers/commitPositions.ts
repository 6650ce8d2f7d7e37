/**
 * CommitPositions: many groups' positions in one command. Each is decided on its own, in order, so that one
 * caller's stale expectation does not fail the others that were batched with it; the result lists the refused
 * ones. A group comes to be with its first position. Positions may go back (a group that reads again).
 */
import { offset } from '../../../base/units.ts';
import type { ErrorCode } from '../../../base/errors.ts';
import type { ApplyResult, CommandOf, RefusedPosition } from '../commands.ts';
import { MAX_GROUPS, MAX_POSITIONS_PER_COMMAND, MAX_POSITIONS_PER_GROUP } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';
import { isGroupName } from './names.ts';

/** What an expectation names where no position was committed. */
const NEVER_COMMITTED = offset(0);

type Position = CommandOf<'CommitPositions'>['positions'][number];

/** Commits what can be committed; the value lists what was refused and why. */
export function commitPositions(
  state: MutableMetadata,
  command: CommandOf<'CommitPositions'>,
): ApplyResult {
  const { positions } = command;
  if (positions.length > MAX_POSITIONS_PER_COMMAND) {
    return refuse(
      'TOO_LARGE',
      `Cannot commit ${positions.length} positions at once: up to ${MAX_POSITIONS_PER_COMMAND} ` +
        'are taken',
    );
  }
  const refused: RefusedPosition[] = [];
  for (const [index, position] of positions.entries()) {
    const code = refusalOf(state, position);
    if (code !== null) refused.push({ index, code });
    else commit(state, position);
  }
  return accept({ type: 'Positions', refused });
}

function commit(state: MutableMetadata, position: Position): void {
  // The topic's own string: positions of many groups then share it.
  const topic = state.topics.get(position.topic)?.name ?? position.topic;
  state.positionsFor(position.group, topic).set(position.partition, position.offset);
}

function refusalOf(state: MutableMetadata, position: Position): ErrorCode | null {
  const topic = state.topics.get(position.topic);
  if (topic === undefined) return 'TOPIC_NOT_FOUND';
  if (position.topicId !== undefined && position.topicId !== topic.topicId) {
    return 'TOPIC_NOT_FOUND';
  }
  if (topic.partitions[position.partition] === undefined) return 'PARTITION_NOT_FOUND';
  return isGroupName(position.group) ? conflictOf(state, position) : 'MALFORMED';
}

function conflictOf(state: MutableMetadata, position: Position): ErrorCode | null {
  const { group, topic, partition, expected } = position;
  const current = state.groups.get(group)?.get(topic)?.get(partition);
  if (expected !== undefined && expected !== (current ?? NEVER_COMMITTED)) return 'CONFLICT';
  return current === undefined && !hasRoom(state, position) ? 'LIMIT_REACHED' : null;
}

function hasRoom(state: MutableMetadata, position: Position): boolean {
  const group = state.groups.get(position.group);
  if (group === undefined) return state.groups.size < MAX_GROUPS;
  let count = 0;
  for (const positions of group.values()) count += positions.size;
  return count < MAX_POSITIONS_PER_GROUP;
}

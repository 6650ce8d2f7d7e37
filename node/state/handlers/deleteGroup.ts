/** DeleteGroup: forgets a group and its positions, unless it has committed since that was decided. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';

/** Forgets a group; harmless when it is not known. */
export function deleteGroup(
  state: MutableMetadata,
  command: CommandOf<'DeleteGroup'>,
): ApplyResult {
  const topics = state.groups.get(command.group);
  if (topics === undefined) return done();
  for (const positions of topics.values()) {
    for (const { changedAt } of positions.values()) {
      if (changedAt <= command.unchangedSince) continue;
      return refuse('CONFLICT', `Cannot delete group ${command.group}: it has just committed`);
    }
  }
  state.removeGroup(command.group);
  return done();
}

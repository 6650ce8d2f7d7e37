/** DeleteGroup: forgets a group and its positions. */
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done } from '../result.ts';

/** Forgets a group; harmless when it is not known. */
export function deleteGroup(
  state: MutableMetadata,
  command: CommandOf<'DeleteGroup'>,
): ApplyResult {
  if (state.groups.has(command.group)) state.removeGroup(command.group);
  return done();
}

/**
 * Applies one command to the metadata: the switch only, one file per command under handlers/. Synchronous and
 * deterministic: the same commands give the same state and the same results on every node. A refused command
 * changes nothing but `lastApplied`.
 */
import { assert, assertNever } from '../../base/assert.ts';
import type { LogIndex } from '../../base/units.ts';
import type { ApplyResult, Command } from './commands.ts';
import { advanceLogStart } from './handlers/advanceLogStart.ts';
import { allocateProducerIds } from './handlers/allocateProducerIds.ts';
import { beginRecovery } from './handlers/beginRecovery.ts';
import { bootstrap } from './handlers/bootstrap.ts';
import { commitPositions } from './handlers/commitPositions.ts';
import { confirmDeleted } from './handlers/confirmDeleted.ts';
import { createTopic } from './handlers/createTopic.ts';
import { deleteGroup } from './handlers/deleteGroup.ts';
import { deleteTopic } from './handlers/deleteTopic.ts';
import { markDiskLost } from './handlers/markDiskLost.ts';
import { dropCopies, planCopies } from './handlers/planCopies.ts';
import { registerNode } from './handlers/registerNode.ts';
import { removeNode } from './handlers/removeNode.ts';
import { replaceReplicas } from './handlers/replaceReplicas.ts';
import { sealAndOpen } from './handlers/sealAndOpen.ts';
import { setConfig } from './handlers/setConfig.ts';
import { assertTouched } from './invariants.ts';
import type { MutableMetadata } from './mutableMetadata.ts';
import { refuse } from './result.ts';

/**
 * Applies the command at a Raft index.
 * @param index - Higher than that of every command before.
 * @throws {AssertionError} When an invariant breaks: a bug, and the node must stop.
 */
export function applyCommand(
  state: MutableMetadata,
  index: LogIndex,
  command: Command,
): ApplyResult {
  assert(index > state.lastApplied, `Cannot apply ${index} after ${state.lastApplied}`);
  state.lastApplied = index;
  state.beginChange();
  if (!state.isBootstrapped && command.type !== 'Bootstrap') {
    return refuse('METADATA_UNAVAILABLE', `Cannot ${command.type}: the cluster does not exist yet`);
  }
  const result = dispatch(state, command);
  if (result.ok) assertTouched(state);
  return result;
}

// eslint-disable-next-line complexity -- one case a command: the length is that of the list of commands
function dispatch(state: MutableMetadata, command: Command): ApplyResult {
  switch (command.type) {
    case 'Bootstrap':
      return bootstrap(state, command);
    case 'RegisterNode':
      return registerNode(state, command);
    case 'MarkDiskLost':
      return markDiskLost(state, command);
    case 'RemoveNode':
      return removeNode(state, command);
    case 'CreateTopic':
      return createTopic(state, command);
    case 'DeleteTopic':
      return deleteTopic(state, command);
    case 'BeginRecovery':
      return beginRecovery(state, command);
    case 'SealAndOpen':
      return sealAndOpen(state, command);
    case 'ReplaceReplicas':
      return replaceReplicas(state, command);
    case 'PlanCopies':
      return planCopies(state, command);
    case 'DropCopies':
      return dropCopies(state, command);
    case 'AdvanceLogStart':
      return advanceLogStart(state, command);
    case 'ConfirmDeleted':
      return confirmDeleted(state, command);
    case 'CommitPositions':
      return commitPositions(state, command);
    case 'DeleteGroup':
      return deleteGroup(state, command);
    case 'AllocateProducerIds':
      return allocateProducerIds(state, command);
    case 'SetConfig':
      return setConfig(state, command);
    default:
      return assertNever(command, 'apply() must know every command');
  }
}

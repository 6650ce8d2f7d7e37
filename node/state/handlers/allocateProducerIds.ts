/** AllocateProducerIds: a block of producer ids, never given twice. */
import { isCount } from '../../../base/units.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import { MAX_PRODUCER_IDS_PER_BLOCK } from '../limits.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';

/** Gives out the next `count` ids; the value is the block. */
export function allocateProducerIds(
  state: MutableMetadata,
  command: CommandOf<'AllocateProducerIds'>,
): ApplyResult {
  const { count } = command;
  if (!isCount(count) || count < 1 || count > MAX_PRODUCER_IDS_PER_BLOCK) {
    return refuse(
      'MALFORMED',
      `Cannot allocate ${count} producer ids: it must be 1..${MAX_PRODUCER_IDS_PER_BLOCK}`,
    );
  }
  const first = state.nextProducerId;
  if (!isCount(first + count)) {
    return refuse('LIMIT_REACHED', 'Cannot allocate producer ids: all of them are given out');
  }
  state.nextProducerId = first + count;
  return accept({ type: 'ProducerIds', first, count });
}

/** BeginRecovery: rule R1, OPEN | RECOVERING -> RECOVERING(e) with e strictly increasing. */
import { isCount } from '../../../base/units.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';

/** Takes a segment away from its leader, or from an earlier recovery of it. */
export function beginRecovery(
  state: MutableMetadata,
  command: CommandOf<'BeginRecovery'>,
): ApplyResult {
  const { segmentId, epoch } = command;
  const segment = state.segments.get(segmentId);
  if (segment === undefined) {
    return refuse('SEGMENT_NOT_FOUND', `Cannot recover segment ${segmentId}: it does not exist`);
  }
  if (segment.state !== 'OPEN' && segment.state !== 'RECOVERING') {
    return refuse('CONFLICT', `Cannot recover segment ${segmentId}: it is ${segment.state}`);
  }
  if (!isCount(epoch) || epoch <= segment.epoch) {
    return refuse(
      'CONFLICT',
      `Cannot recover segment ${segmentId} with epoch ${epoch}: it has seen ${segment.epoch}`,
    );
  }
  state.putSegment({ ...segment, state: 'RECOVERING', epoch });
  return done();
}

/** AdvanceLogStart: retention. Only forward, and never into the segment that is not sealed. */
import { assertDefined } from '../../../base/assert.ts';
import type { SegmentId } from '../../../base/units.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { done, refuse } from '../result.ts';
import type { SegmentRecord } from '../types.ts';
import { dropBelowStart } from './retention.ts';

/** Moves a partition's start and tombstones the sealed segments that end at or below it (retention.ts). */
export function advanceLogStart(
  state: MutableMetadata,
  command: CommandOf<'AdvanceLogStart'>,
): ApplyResult {
  const topic = state.topics.get(command.topic);
  if (topic?.topicId !== command.topicId) {
    return refuse('TOPIC_NOT_FOUND', `Cannot advance topic ${command.topic}: it does not exist`);
  }
  const partition = topic.partitions[command.partition];
  if (partition === undefined) {
    return refuse(
      'PARTITION_NOT_FOUND',
      `Cannot advance partition ${command.partition} of topic ${command.topic}: it does not exist`,
    );
  }
  const { logStartOffset } = command;
  const max = segmentOf(state, partition.segments.at(-1)).baseOffset;
  if (logStartOffset < partition.logStartOffset || logStartOffset > max) {
    return refuse(
      'OFFSET_OUT_OF_RANGE',
      `Cannot advance ${command.topic}/${command.partition} to ${logStartOffset}: it must be in ` +
        `${partition.logStartOffset}..${max}, where the sealed segments end`,
    );
  }
  partition.logStartOffset = logStartOffset;
  dropBelowStart(state, partition);
  state.touchTopic(topic.name);
  return done();
}

function segmentOf(state: MutableMetadata, id: SegmentId | undefined): SegmentRecord {
  const segment = id === undefined ? undefined : state.segments.get(id);
  return assertDefined(segment, 'A partition must have an unsealed last segment');
}

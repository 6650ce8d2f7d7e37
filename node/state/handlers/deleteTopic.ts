/** DeleteTopic: tombstones all segments of a topic, the open ones too, and forgets groups' positions in it. */
import { assertDefined } from '../../../base/assert.ts';
import type { ApplyResult, CommandOf } from '../commands.ts';
import type { MutableMetadata } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';
import { tombstone } from './deletion.ts';

/** Deletes a topic; the value is the topic. A leader of its open segments sees DELETED and stops. */
export function deleteTopic(
  state: MutableMetadata,
  command: CommandOf<'DeleteTopic'>,
): ApplyResult {
  const topic = state.topics.get(command.name);
  if (topic?.topicId !== command.topicId) {
    return refuse('TOPIC_NOT_FOUND', `Cannot delete topic ${command.name}: it does not exist`);
  }
  for (const partition of topic.partitions) {
    for (const id of partition.segments) {
      tombstone(state, assertDefined(state.segments.get(id), `Segment ${id} must be there`));
    }
  }
  state.removeTopic(topic.name);
  for (const group of [...state.groups.keys()]) state.removePositions(group, topic.name);
  return accept({ type: 'Topic', name: topic.name, topicId: topic.topicId });
}

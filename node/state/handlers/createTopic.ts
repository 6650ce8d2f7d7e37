/** CreateTopic: a topic with its partitions, each with its first segment open. */
import { offset } from '../../../base/units.ts';
import type { ApplyResult, CommandOf, OpenPlan } from '../commands.ts';
import { MAX_PARTITIONS_PER_TOPIC, MAX_SEGMENTS, MAX_TOPICS } from '../limits.ts';
import type { IndexedMetadata, MutableMetadata, MutableTopic } from '../mutableMetadata.ts';
import { accept, refuse } from '../result.ts';
import type { Refusal } from '../result.ts';
import { isTopicName } from './names.ts';
import type { Replication } from '../types.ts';
import { checkPlan, openSegment } from './openPlan.ts';
import { isSupportedReplication } from './replication.ts';

/** Creates a topic with as many partitions as there are plans; the value is the topic. */
export function createTopic(
  state: MutableMetadata,
  command: CommandOf<'CreateTopic'>,
): ApplyResult {
  const { name, replication, plans } = command;
  const refusal =
    whyNotCreated(state, { name, replication, partitions: plans.length }) ??
    checkPlans(state, command);
  if (refusal !== null) return refusal;
  const topic: MutableTopic = {
    name: command.name,
    topicId: state.nextTopicId,
    replication: { ...command.replication },
    createdAtMs: command.nowMs,
    partitions: command.plans.map(() => ({ logStartOffset: offset(0), segments: [] })),
  };
  state.nextTopicId += 1;
  state.putTopic(topic);
  for (const [partition, plan] of command.plans.entries()) {
    openSegment(state, { topic, partition, baseOffset: offset(0), nowMs: command.nowMs }, plan);
  }
  return accept({ type: 'Topic', name: topic.name, topicId: topic.topicId });
}

/** What is asked for, before anybody has planned where it goes. */
export interface WantedTopic {
  readonly name: string;
  readonly replication: Replication;
  readonly partitions: number;
}

/** Why a topic can never be created as it is wanted; null when it is only a question of where. */
export function whyNotCreated(state: IndexedMetadata, wanted: WantedTopic): Refusal | null {
  return (
    checkName(state, wanted.name) ??
    checkReplication(state, wanted) ??
    checkRoom(state, wanted.partitions)
  );
}

function checkName(state: IndexedMetadata, name: string): Refusal | null {
  if (!isTopicName(name)) {
    return refuse(
      'INVALID_TOPIC_NAME',
      'Cannot create a topic: its name must be 1 to 249 of A-Z a-z 0-9 . _ - and not "." or ".."',
    );
  }
  if (state.topics.has(name)) {
    return refuse('TOPIC_EXISTS', `Cannot create topic ${name}: it exists already`);
  }
  return null;
}

function checkReplication(
  state: IndexedMetadata,
  { name, replication }: WantedTopic,
): Refusal | null {
  const { replicas, ackQuorum } = replication;
  if (!isSupportedReplication(replication)) {
    return refuse(
      'INVALID_REPLICATION',
      `Cannot create topic ${name} with replicas ${replicas} and ack quorum ` +
        `${ackQuorum}: it must be 1/1, 3/2 or 5/3`,
    );
  }
  if (replicas > state.nodes.size) {
    return refuse(
      'INVALID_REPLICATION',
      `Cannot create topic ${name} with ${replicas} replicas: the cluster has ` +
        `${state.nodes.size} nodes`,
    );
  }
  return null;
}

function checkRoom(state: IndexedMetadata, partitions: number): Refusal | null {
  if (partitions < 1 || partitions > MAX_PARTITIONS_PER_TOPIC) {
    return refuse(
      'MALFORMED',
      `Cannot create a topic with ${partitions} partitions: it must be ` +
        `1..${MAX_PARTITIONS_PER_TOPIC}`,
    );
  }
  if (state.topics.size >= MAX_TOPICS) {
    return refuse('LIMIT_REACHED', `Cannot create a topic: a cluster has up to ${MAX_TOPICS}`);
  }
  if (state.segments.size + partitions > MAX_SEGMENTS) {
    return refuse(
      'LIMIT_REACHED',
      `Cannot create a topic: a cluster has up to ${MAX_SEGMENTS} segments`,
    );
  }
  return null;
}

function checkPlans(state: MutableMetadata, command: CommandOf<'CreateTopic'>): Refusal | null {
  const tokens = new Set<string>();
  for (const plan of command.plans) {
    const refusal = checkPlan(state, plan, command.replication) ?? checkNewToken(tokens, plan);
    if (refusal !== null) return refusal;
  }
  return null;
}

function checkNewToken(tokens: Set<string>, plan: OpenPlan): Refusal | null {
  if (tokens.has(plan.token)) {
    return refuse('MALFORMED', 'Cannot create a topic: two plans have the same session token');
  }
  tokens.add(plan.token);
  return null;
}

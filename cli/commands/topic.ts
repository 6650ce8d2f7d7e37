/** `walrus topic ...`. */
import { WalrusError } from '../../client/index.ts';
import type { Command, Given } from '../command.ts';
import { argumentOf, integerOf, isGiven, textOf } from '../command.ts';
import { UsageError } from '../usageError.ts';

const NAME = { name: 'TOPIC', description: 'the topic' };

export const topicCreate: Command = {
  name: 'topic create',
  summary: 'Creates a topic.',
  args: [{ name: 'TOPIC', description: 'letters, digits, . _ and -, up to 249' }],
  flags: {
    partitions: {
      kind: 'integer',
      value: 'N',
      description: 'How many logs it is spread over, up to 1000.',
      default: '1',
    },
    replicas: {
      kind: 'integer',
      value: 'R',
      description: 'How many disks hold each record: 1, 3 or 5.',
      default: '3, or 1 on a single node',
    },
    'ack-quorum': {
      kind: 'integer',
      value: 'W',
      description:
        'How many of them must have stored a record before it counts: with --replicas one of 1/1, 3/2, 5/3.',
      default: 'the one that fits --replicas',
    },
    'if-not-exists': { kind: 'switch', description: 'A topic that is there already is a success.' },
  },
  async run(context) {
    const name = argumentOf(context, 0);
    const replication = replicationOf(context);
    const client = await context.client();
    const { topicId, isNew } = await client.admin.createTopic({
      name,
      partitions: integerOf(context, 'partitions') ?? 1,
      ...replication,
      ifNotExists: isGiven(context, 'if-not-exists'),
    });
    const text = isNew ? `created topic ${name}` : `topic ${name} exists`;
    context.output.result({ topic: name, topicId, isNew }, text);
    return undefined;
  },
};

/** Ack quorums by the replicas that they go with. */
const ACK_QUORUMS: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [3, 2],
  [5, 3],
]);

/** One of the two says what the other is; without both the cluster chooses. */
export function replicationOf(
  given: Given,
): { readonly replicas: number; readonly ackQuorum: number } | null {
  const replicas = integerOf(given, 'replicas');
  const ackQuorum = integerOf(given, 'ack-quorum');
  if (replicas === undefined && ackQuorum === undefined) return null;
  for (const [count, quorum] of ACK_QUORUMS) {
    if ((replicas ?? count) === count && (ackQuorum ?? quorum) === quorum) {
      return { replicas: count, ackQuorum: quorum };
    }
  }
  const asked =
    replicas === undefined
      ? `ack quorum ${ackQuorum}`
      : `${replicas} replicas${ackQuorum === undefined ? '' : ` and ack quorum ${ackQuorum}`}`;
  throw new WalrusError(
    'INVALID_REPLICATION',
    `There are no topics with ${asked}: replicas and ack quorum must be 1/1, 3/2 or 5/3`,
  );
}

export const topicList: Command = {
  name: 'topic list',
  summary: 'Lists the topics.',
  args: [],
  flags: {},
  async run(context) {
    const topics = await (await context.client()).admin.listTopics();
    const rows = topics.map((topic) => [
      topic.name,
      String(topic.partitions.length),
      `${topic.replicas}/${topic.ackQuorum}`,
      topic.partitions.map(({ leader }) => leader ?? '-').join(','),
    ]);
    context.output.table(topics, [['TOPIC', 'PARTITIONS', 'REPLICAS', 'LEADERS'], ...rows]);
    return undefined;
  },
};

export const topicDescribe: Command = {
  name: 'topic describe',
  summary: 'Shows a topic with the segments of its partitions.',
  args: [NAME],
  flags: {},
  async run(context) {
    const topic = await (await context.client()).admin.describeTopic(argumentOf(context, 0));
    const rows = topic.partitions.flatMap(({ partition, segments }) =>
      segments.map((segment) => [
        String(partition),
        String(segment.segmentId),
        segment.state,
        `${segment.baseOffset}..${segment.endOffset ?? ''}`,
        String(segment.leader.nodeId),
        segment.ensemble.map(({ nodeId }) => nodeId).join(','),
        notesOf(segment),
      ]),
    );
    const head = ['PARTITION', 'SEGMENT', 'STATE', 'OFFSETS', 'LEADER', 'NODES', ''];
    context.output.note(`${topic.name}: replicas ${topic.replicas}, ack quorum ${topic.ackQuorum}`);
    context.output.table(topic, [head, ...rows]);
    return undefined;
  },
};

/** What is wrong with a segment. */
function notesOf({
  lossy,
  damagedNodes,
}: {
  readonly lossy: { readonly from: number; readonly to: number } | undefined;
  readonly damagedNodes: readonly number[];
}): string {
  const notes = damagedNodes.length > 0 ? [`damaged on ${damagedNodes.join(',')}`] : [];
  if (lossy !== undefined) notes.push(`lost ${lossy.from}..${lossy.to}`);
  return notes.join(', ');
}

export const topicDelete: Command = {
  name: 'topic delete',
  summary: 'Deletes a topic with all its records.',
  args: [NAME],
  flags: {},
  async run(context) {
    const name = argumentOf(context, 0);
    await (await context.client()).admin.deleteTopic(name);
    context.output.result({ topic: name, isDeleted: true }, `deleted topic ${name}`);
    return undefined;
  },
};

export const topicDeleteRecords: Command = {
  name: 'topic delete-records',
  summary: 'Deletes the oldest records of a topic.',
  args: [NAME],
  flags: {
    before: {
      kind: 'text',
      value: 'OFFSET',
      description: 'Required: the first offset that is kept, or latest for none.',
    },
    partition: {
      kind: 'integer',
      value: 'N',
      description: 'Only this partition; required with an offset where there are several.',
    },
  },
  notes: [
    'Readers see it at once. Disks free whole segments; the last one with records stays until a later one is sealed.',
  ],
  async run(context) {
    const topic = argumentOf(context, 0);
    const before = textOf(context, 'before') ?? '';
    if (before !== 'latest' && !/^\d{1,15}$/.test(before)) {
      throw new UsageError('topic delete-records needs --before OFFSET or --before latest');
    }
    const { admin } = await context.client();
    const only = integerOf(context, 'partition');
    const count = (await admin.describeTopic(topic)).partitions.length;
    if (only === undefined && count > 1 && before !== 'latest') {
      throw new UsageError(`Topic ${topic} has ${count} partitions: add --partition N`);
    }
    const partitions = only === undefined ? Array.from({ length: count }, (_, i) => i) : [only];
    const results: { partition: number; logStartOffset: number }[] = [];
    for (const partition of partitions) {
      const at =
        before === 'latest'
          ? await admin.offsetAt(topic, partition, { type: 'latest' })
          : Number(before);
      const logStartOffset = await admin.deleteRecords(topic, partition, at);
      results.push({ partition, logStartOffset });
    }
    const lines = results.map(
      ({ partition, logStartOffset }) => `${topic}/${partition} begins at ${logStartOffset}`,
    );
    context.output.result({ topic, partitions: results }, lines);
    return undefined;
  },
};

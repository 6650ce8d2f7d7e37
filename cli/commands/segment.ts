/** `walrus segment ...`. */
import type { SegmentDescription } from '../../client/index.ts';
import type { Command } from '../command.ts';
import { argumentOf, integerOf, isGiven } from '../command.ts';
import { UsageError } from '../usageError.ts';

export const segmentSeal: Command = {
  name: 'segment seal',
  summary:
    'Gives up what the reachable copies of a segment do not hold, so that its partition goes on.',
  args: [{ name: 'SEGMENT', description: 'the segment id, see `walrus topic describe`' }],
  flags: {
    unclean: { kind: 'switch', description: 'Required: acknowledged records may be lost.' },
    end: {
      kind: 'integer',
      value: 'OFFSET',
      description:
        'Does it, if the segment would still end there; without it only says what would be lost.',
    },
  },
  notes: [
    'Look first, without `--end`: it names the offset where the segment would end. When another copy is reachable by the time that you confirm it, so that it would end elsewhere, nothing is done. What is sound of a damaged copy counts when no intact one has more.',
  ],
  async run(context) {
    const id = argumentOf(context, 0);
    if (!/^[1-9]\d{0,14}$/.test(id)) throw new UsageError(`"${id}" is no segment id`);
    if (!isGiven(context, 'unclean')) {
      throw new UsageError('Segments are sealed by themselves; add --unclean to give records up');
    }
    const confirmedEnd = integerOf(context, 'end');
    const isConfirmed = confirmedEnd !== undefined;
    const { admin } = await context.client();
    const { endOffset, lossy } = await admin.sealUnclean(Number(id), confirmedEnd);
    const range =
      lossy === undefined ? 'nothing' : `offsets ${lossy.from} to ${lossy.to} (exclusive)`;
    const text = isConfirmed
      ? `sealed segment ${id} at ${endOffset}; lost: ${range}`
      : `would seal segment ${id} at ${endOffset} and lose: ${range}; add --end ${endOffset} to do it`;
    context.output.result({ segmentId: Number(id), isConfirmed, endOffset, lossy }, text);
    return undefined;
  },
};

export const segmentList: Command = {
  name: 'segment list',
  summary: 'Lists the segments of topics, with where they are.',
  args: [
    { name: 'TOPIC', description: 'topics; without any, all', isOptional: true, isList: true },
  ],
  flags: {},
  async run(context) {
    const { admin } = await context.client();
    const names =
      context.args.length > 0 ? context.args : (await admin.listTopics()).map(({ name }) => name);
    const rows: string[][] = [];
    const segments: unknown[] = [];
    for (const name of names) {
      const topic = await admin.describeTopic(name);
      for (const { partition, segments: found } of topic.partitions) {
        for (const segment of found) {
          segments.push({ topic: name, partition, ...segment });
          rows.push([
            String(segment.segmentId),
            `${name}/${partition}`,
            segment.state,
            `${segment.baseOffset}..${segment.endOffset ?? ''}`,
            String(segment.leader.nodeId),
            segment.ensemble.map(({ nodeId }) => nodeId).join(','),
            remarkOf(segment),
          ]);
        }
      }
    }
    const head = ['SEGMENT', 'PARTITION', 'STATE', 'OFFSETS', 'LEADER', 'NODES', ''];
    context.output.table(segments, [head, ...rows]);
    return undefined;
  },
};

function remarkOf({ lossy, isUnderReplicated }: SegmentDescription): string {
  if (lossy !== undefined) return `lost ${lossy.from}..${lossy.to}`;
  return isUnderReplicated ? 'under-replicated' : '';
}

/** `walrus segment seal --unclean`. */
import type { Command } from '../command.ts';
import { argumentOf, isGiven } from '../command.ts';
import { UsageError } from '../usageError.ts';

export const segmentSeal: Command = {
  name: 'segment seal',
  summary:
    'Gives up what the reachable copies of a segment do not hold, so that its partition goes on.',
  args: [{ name: 'SEGMENT', description: 'the segment id, see `walrus topic describe`' }],
  flags: {
    unclean: { kind: 'switch', description: 'Required: acknowledged records may be lost.' },
    yes: { kind: 'switch', description: 'Does it; without it only says what would be lost.' },
  },
  async run(context) {
    const id = argumentOf(context, 0);
    if (!/^[1-9]\d{0,14}$/.test(id)) throw new UsageError(`"${id}" is no segment id`);
    if (!isGiven(context, 'unclean')) {
      throw new UsageError('Segments are sealed by themselves; add --unclean to give records up');
    }
    const isConfirmed = isGiven(context, 'yes');
    const { admin } = await context.client();
    const { endOffset, lossy } = await admin.sealUnclean(Number(id), isConfirmed);
    const range =
      lossy === undefined ? 'nothing' : `offsets ${lossy.from} to ${lossy.to} (exclusive)`;
    const text = isConfirmed
      ? `sealed segment ${id} at ${endOffset}; lost: ${range}`
      : `would seal segment ${id} at ${endOffset} and lose: ${range}; add --yes to do it`;
    context.output.result({ segmentId: Number(id), isConfirmed, endOffset, lossy }, text);
    return undefined;
  },
};

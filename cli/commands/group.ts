/** `walrus group ...`. */
import type { Command } from '../command.ts';
import { argumentOf } from '../command.ts';

const NAME = { name: 'GROUP', description: 'the group' };

export const groupList: Command = {
  name: 'group list',
  summary: 'Lists the groups that have positions.',
  args: [],
  flags: {},
  async run(context) {
    const groups = await (await context.client()).admin.listGroups();
    context.output.result(groups, groups);
    return undefined;
  },
};

export const groupDescribe: Command = {
  name: 'group describe',
  summary: 'Shows where a group goes on reading.',
  args: [NAME],
  flags: {},
  async run(context) {
    const { admin } = await context.client();
    const positions = await admin.describeGroup(argumentOf(context, 0));
    const rows = positions.map(({ topic, partition, offset }) => [
      topic,
      String(partition),
      String(offset ?? '-'),
    ]);
    context.output.table(positions, [['TOPIC', 'PARTITION', 'OFFSET'], ...rows]);
    return undefined;
  },
};

export const groupDelete: Command = {
  name: 'group delete',
  summary: 'Forgets the positions of a group.',
  args: [NAME],
  flags: {},
  async run(context) {
    const group = argumentOf(context, 0);
    await (await context.client()).admin.deleteGroup(group);
    context.output.result({ group, isDeleted: true }, `deleted group ${group}`);
    return undefined;
  },
};

/** All commands, in the order of the help. */
import type { Command } from './command.ts';
import { clusterStatus } from './commands/cluster.ts';
import { consume } from './commands/consume.ts';
import { dev } from './commands/dev.ts';
import { groupDelete, groupDescribe, groupList } from './commands/group.ts';
import { node } from './commands/node.ts';
import { produce } from './commands/produce.ts';
import { repl } from './commands/repl.ts';
import { segmentSeal } from './commands/segment.ts';
import { TEXT_COMMANDS } from './commands/text.ts';
import { topicCreate, topicDelete, topicDescribe, topicList } from './commands/topic.ts';

export const COMMANDS: readonly Command[] = [
  dev,
  node,
  topicCreate,
  topicList,
  topicDescribe,
  topicDelete,
  produce,
  consume,
  groupList,
  groupDescribe,
  groupDelete,
  clusterStatus,
  segmentSeal,
  ...TEXT_COMMANDS,
  repl,
];

/** All commands, in the order of the help. */
import type { Command } from './command.ts';
import {
  clusterCanRestart,
  clusterMarkDiskLost,
  clusterSetVoters,
  clusterStatus,
  clusterTransferLeadership,
} from './commands/cluster.ts';
import { consume } from './commands/consume.ts';
import { dev } from './commands/dev.ts';
import { drain } from './commands/drain.ts';
import { groupDelete, groupDescribe, groupList } from './commands/group.ts';
import { node } from './commands/node.ts';
import { operator } from './commands/operator.ts';
import { produce } from './commands/produce.ts';
import { repl } from './commands/repl.ts';
import { segmentList, segmentSeal } from './commands/segment.ts';
import { TEXT_COMMANDS } from './commands/text.ts';
import {
  topicCreate,
  topicDelete,
  topicDeleteRecords,
  topicDescribe,
  topicList,
} from './commands/topic.ts';

export const COMMANDS: readonly Command[] = [
  dev,
  node,
  drain,
  operator,
  topicCreate,
  topicList,
  topicDescribe,
  topicDelete,
  topicDeleteRecords,
  produce,
  consume,
  groupList,
  groupDescribe,
  groupDelete,
  clusterStatus,
  clusterCanRestart,
  clusterMarkDiskLost,
  clusterTransferLeadership,
  clusterSetVoters,
  segmentList,
  segmentSeal,
  ...TEXT_COMMANDS,
  repl,
];

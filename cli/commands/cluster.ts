/** `walrus cluster ...`. */
import type { Admin } from '../../client/index.ts';
import type { Command } from '../command.ts';
import { argumentOf, integerOf, isGiven } from '../command.ts';
import { UsageError } from '../usageError.ts';

export const clusterStatus: Command = {
  name: 'cluster status',
  summary: 'Shows the nodes, their disks and the metadata group.',
  args: [],
  flags: {},
  async run(context) {
    const cluster = await (await context.client()).admin.describeCluster();
    const { raft } = cluster;
    const rows = cluster.nodes.map((node) => {
      const isMember = ({ nodeId }: { nodeId: number }): boolean => nodeId === node.nodeId;
      const role = raft.voters.some(isMember) ? 'voter' : 'learner';
      return [
        String(node.nodeId),
        node.isAlive ? 'up' : 'down',
        raft.leader === node.nodeId ? 'leader' : raft.learners.some(isMember) ? 'learner' : role,
        node.clientAddress,
        node.httpAddress,
        node.zone,
        node.diskId,
      ];
    });
    const head = ['NODE', 'STATE', 'METADATA', 'CLIENTS', 'HTTP', 'ZONE', 'DISK'];
    const lost = cluster.disks.filter(({ state }) => state === 'LOST').length;
    context.output.note(`cluster ${cluster.clusterId}, term ${raft.term}, ${lost} lost disks`);
    context.output.table(cluster, [head, ...rows]);
    return undefined;
  },
};

/** The shortest beginning of a disk id that is taken. */
const DISK_ID_CHARACTERS_MIN = 4;

export const clusterMarkDiskLost: Command = {
  name: 'cluster mark-disk-lost',
  summary: 'Gives a disk up for ever, so that its segments are recovered and copied elsewhere.',
  args: [
    {
      name: 'DISK',
      description: 'the disk id, or a beginning that is unique; see `walrus cluster status`',
    },
  ],
  flags: {
    yes: { kind: 'switch', description: 'Does it; without it only says what it would mean.' },
  },
  notes: [
    'The disk never comes back, even when it is found again. It is refused while its node is up. A disk that is lost already is a success.',
  ],
  async run(context) {
    const { admin } = await context.client();
    const diskId = await findDisk(admin, argumentOf(context, 0));
    const isConfirmed = isGiven(context, 'yes');
    const found = await admin.markDiskLost(diskId, isConfirmed);
    const { nodeId, isLost, segments, blocked } = found;
    const meaning = `${segments} segments lose a copy, ${blocked} of them have too few left`;
    const text = isLost
      ? `disk ${diskId} of node ${nodeId} is lost already`
      : isConfirmed
        ? `disk ${diskId} of node ${nodeId} is lost: ${meaning}`
        : `disk ${diskId} of node ${nodeId} would be lost: ${meaning}; add --yes to do it`;
    context.output.result({ diskId, isConfirmed, ...found }, text);
    return undefined;
  },
};

async function findDisk(admin: Admin, beginning: string): Promise<string> {
  if (!/^[0-9a-f]{4,32}$/.test(beginning)) {
    const wanted = `give at least ${DISK_ID_CHARACTERS_MIN} of its lower-case hex digits`;
    throw new UsageError(`"${beginning}" is no disk id: ${wanted}`);
  }
  const { disks } = await admin.describeCluster();
  const found = disks.filter(({ diskId }) => diskId.startsWith(beginning));
  if (found.length > 1) {
    const ids = found.map(({ diskId }) => diskId).join(', ');
    throw new UsageError(`"${beginning}" is the beginning of several disks: ${ids}`);
  }
  return found[0]?.diskId ?? beginning;
}

export const clusterTransferLeadership: Command = {
  name: 'cluster transfer-leadership',
  summary: 'Lets another node lead the metadata.',
  args: [],
  flags: {
    to: {
      kind: 'integer',
      value: 'NODE',
      description: 'The node; without it any voter that is up.',
    },
  },
  async run(context) {
    const { admin } = await context.client();
    const to = integerOf(context, 'to');
    if (to === 0) throw new UsageError('--to must be a node id, from 1');
    const leader = await admin.transferLeadership(to);
    context.output.result({ leader }, `node ${leader} leads the metadata`);
    return undefined;
  },
};

/** `walrus cluster ...`. */
import type { Admin } from '../../client/index.ts';
import type { ClusterStatus, Verdict, VotersStatus } from '../../protocol/admin/types.ts';
import { askAdmin } from '../adminPort.ts';
import { askAnyNode } from '../anyNode.ts';
import type { Command } from '../command.ts';
import { argumentOf, integerOf, isGiven } from '../command.ts';
import { EXIT } from '../output.ts';
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

export const clusterCanRestart: Command = {
  name: 'cluster can-restart',
  summary: 'Says whether a node may be restarted now without stopping the cluster.',
  args: [{ name: 'NODE', description: 'the node id' }],
  flags: {},
  notes: [
    'Ends with 0 when it may, and with 4 when it may not, or nobody can say; docs/admin-api.md has the reasons. The answer holds for the moment: restart one node at a time.',
  ],
  async run(context) {
    const node = argumentOf(context, 0);
    if (!/^[1-9][0-9]{0,14}$/.test(node)) throw new UsageError(`"${node}" is no node id`);
    const { admin } = await context.client();
    const verdict = (await askAnyNode(admin, (address) =>
      askAdmin(address, 'GET', `/nodes/${node}/can-restart`),
    )) as Verdict;
    const why = verdict.message === '' ? '' : `: ${verdict.message}`;
    const text = verdict.isAllowed
      ? `node ${node} may be restarted${why}`
      : `node ${node} may not be restarted (${verdict.reason})${why}`;
    context.output.result(verdict, text);
    return verdict.isAllowed ? EXIT.ok : EXIT.unavailable;
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

export const clusterSetVoters: Command = {
  name: 'cluster set-voters',
  summary: 'Sets how many nodes vote on the metadata.',
  args: [{ name: 'COUNT', description: '1, 3, 5 or 7, and no more than there are nodes' }],
  flags: {},
  notes: [
    'Three voters survive one that is down, five survive two, seven survive three. Nodes become voters, or stop being voters, one after the other within seconds; `walrus cluster status` shows who votes. May be repeated: the answer says how many there are by then.',
  ],
  async run(context) {
    const count = argumentOf(context, 0);
    if (!/^[1357]$/.test(count)) throw new UsageError(`"${count}" is not 1, 3, 5 or 7`);
    const { admin } = await context.client();
    const status = await askAnyNode(admin, async (address): Promise<VotersStatus> => {
      const { epoch } = (await askAdmin(address, 'GET', '/cluster')) as ClusterStatus;
      const wanted = { metadataVoters: Number(count), epoch };
      return (await askAdmin(address, 'POST', '/voters', wanted)) as VotersStatus;
    });
    const text = `metadata voters: ${status.metadataVoters} wanted, ${status.voters} there are`;
    context.output.result(status, text);
    return undefined;
  },
};

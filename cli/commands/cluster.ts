/** `walrus cluster status`. */
import type { Command } from '../command.ts';

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

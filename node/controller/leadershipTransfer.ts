/** Hands the leadership of the metadata to another voter: for an operator, and when a node stops. */
import { WalrusError } from '../../base/errors.ts';
import { nodeId } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import type { RaftNode, ServerId } from '../raft/types.ts';
import { nodeOfServer } from '../raft/types.ts';
import type { Sessions } from './sessions.ts';

/**
 * Resolves once another node leads, or at once when the wanted one does.
 * @param wanted - null for whoever is fit: a voter that is alive and not draining.
 * @returns who leads.
 * @throws {WalrusError} NOT_LEADER; INVALID_MEMBERSHIP for a node that does not vote; CONFLICT when it is down, or
 *   when there is nobody else who is not about to go, too; TIMED_OUT when it did not take over.
 */
export async function transferLeadership(
  raft: RaftNode,
  sessions: Sessions,
  wanted: NodeId | null,
): Promise<NodeId> {
  const { role, leaderId, configuration } = raft.status();
  if (role !== 'Leader' || leaderId === null) {
    throw new WalrusError('NOT_LEADER', 'This node does not lead the metadata');
  }
  const nodeOf = (id: ServerId): NodeId => nodeId(nodeOfServer(id));
  if (wanted === nodeOf(leaderId)) return wanted;
  const others = configuration.voters.filter(({ id }) => id !== leaderId);
  const fit = others.filter(({ id }) => wanted === null || nodeOf(id) === wanted);
  const up = fit.filter(({ id }) => sessions.isAlive(nodeOf(id)));
  const staying = up.filter(({ id }) => sessions.beatOf(nodeOf(id))?.isDraining !== true);
  const heir = wanted === null ? staying[0] : up[0];
  if (heir !== undefined) {
    await raft.transferLeadership(heir.id);
    return nodeOf(heir.id);
  }
  const what = 'Cannot transfer the leadership of the metadata';
  if (wanted !== null && fit.length === 0) {
    const voters = [leaderId, ...others.map(({ id }) => id)].map(nodeOf).sort((a, b) => a - b);
    const message = `${what} to node ${wanted}: it does not vote; the voters are ${voters.join(', ')}`;
    throw new WalrusError('INVALID_MEMBERSHIP', message);
  }
  const why = wanted === null ? 'no other voter is up and stays up' : `node ${wanted} is down`;
  throw new WalrusError('CONFLICT', `${what}: ${why}`);
}

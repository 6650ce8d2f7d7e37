/**
 * The admin API's part that the metadata leader decides. Any node asks; the leader makes sure, each time, that a
 * majority still has it for their leader: what it knows by heartbeats may else be of the past.
 */
import { isWalrusError } from '../../../base/errors.ts';
import type { NodeId } from '../../../base/units.ts';
import type { Verdict, VotersRequest, VotersStatus } from '../../../protocol/admin/types.ts';
import {
  CAN_RESTART,
  CLUSTER_STATUS,
  MOVE_LEADERSHIP,
  SET_VOTERS,
} from '../../../protocol/peer/admin.ts';
import type { MoveLeadershipRequest } from '../../../protocol/peer/admin.ts';
import { viewOfLeader } from '../../controller/clusterView.ts';
import type { ClusterView } from '../../controller/clusterView.ts';
import type { Controller } from '../../controller/controller.ts';
import { transferLeadership } from '../../controller/leadershipTransfer.ts';
import { restartVerdict } from '../../controller/restartVerdict.ts';
import { setWantedVoters } from '../../controller/wantedVoters.ts';
import type { MetadataService, PeerRpc } from '../../controller/types.ts';
import type { RaftNode } from '../../raft/types.ts';
import { clusterStatusOf } from './clusterStatus.ts';
import { refusal } from './refusal.ts';

export interface LeaderAdminOptions {
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
  readonly raft: RaftNode;
  readonly controller: Controller;
}

/** Answers what other nodes, and this one, ask while it leads the metadata. */
export class LeaderAdmin {
  readonly #options: LeaderAdminOptions;

  constructor(options: LeaderAdminOptions) {
    this.#options = options;
    const { rpc } = options;
    rpc.handle(CLUSTER_STATUS, async () => clusterStatusOf(await this.#view()));
    rpc.handle(CAN_RESTART, ({ nodeId }) => this.#canRestart(nodeId));
    rpc.handle(MOVE_LEADERSHIP, async (request) => ({ nodeId: await this.#move(request) }));
    rpc.handle(SET_VOTERS, (request) => this.#setVoters(request));
  }

  async #view(): Promise<ClusterView> {
    const { metadata, raft, controller } = this.#options;
    await controller.sessions.settled();
    await metadata.barrier(); // a follower's passes, too: it asks the leader
    if (!metadata.isLeader) throw refusal('NoLeader', 'This node does not lead the metadata');
    return viewOfLeader(metadata.metadata, raft.status(), controller.sessions);
  }

  async #canRestart(nodeId: NodeId): Promise<Verdict> {
    const view = await this.#view();
    const node = view.members.get(nodeId);
    if (node === undefined) throw refusal('UnknownNode', `The cluster has no node ${nodeId}`);
    return restartVerdict(view, node);
  }

  async #move({ to, epoch }: MoveLeadershipRequest): Promise<NodeId> {
    const view = await this.#view();
    if (to !== undefined && to === view.leaderId) return to; // a repeat
    checkEpoch(view, epoch);
    if (to !== undefined && !view.members.has(to)) {
      throw refusal('UnknownNode', `The cluster has no node ${to}`);
    }
    const { raft, controller } = this.#options;
    try {
      return await transferLeadership(raft, controller.sessions, to ?? null);
    } catch (error) {
      if (isWalrusError(error, 'TIMED_OUT')) throw refusal('StillLeading', error.message, error);
      if (isWalrusError(error, 'CONFLICT')) {
        throw refusal('AnotherNodeIsDown', error.message, error);
      }
      throw error;
    }
  }

  async #setVoters({ metadataVoters, epoch }: VotersRequest): Promise<VotersStatus> {
    const { metadata, voters, ...view } = await this.#view();
    if (metadata.config.metadataVoters !== metadataVoters) {
      checkEpoch(view, epoch);
      await this.#want(metadataVoters);
    }
    return { metadataVoters, voters: voters.length };
  }

  async #want(metadataVoters: number): Promise<void> {
    try {
      await setWantedVoters(this.#options.metadata, metadataVoters);
    } catch (error) {
      if (!isWalrusError(error, 'INVALID_MEMBERSHIP')) throw error;
      throw refusal('NotEnoughNodes', error.message, error);
    }
  }
}

function checkEpoch(view: { readonly epoch: number }, epoch: number): void {
  if (epoch === view.epoch) return;
  const message = `The metadata have the epoch ${view.epoch}, and not ${epoch}: look again and decide again`;
  throw refusal('StaleEpoch', message);
}

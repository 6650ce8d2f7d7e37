/**
 * The admin API of one node (protocol/admin/types.ts, docs/admin-api.md): what it answers to whoever asks on the http
 * port. What concerns the cluster is decided by the metadata leader; what concerns this node, here.
 */
import { WalrusError, isWalrusError } from '../../../base/errors.ts';
import { nodeId } from '../../../base/units.ts';
import type {
  BootstrapRequest,
  ClusterStatus,
  DrainStatus,
  LeadershipResult,
  NodePhase,
  NodeStatus,
  Verdict,
  VotersStatus,
} from '../../../protocol/admin/types.ts';
import type { Api } from '../../../protocol/client/codec.ts';
import {
  CAN_RESTART,
  CLUSTER_STATUS,
  MOVE_LEADERSHIP,
  SET_VOTERS,
} from '../../../protocol/peer/admin.ts';
import { viewOfFollower } from '../../controller/clusterView.ts';
import type { NodeParts } from '../../walrusNode.ts';
import { clusterStatusOf } from './clusterStatus.ts';
import { refusal } from './refusal.ts';
import { bootstrapRequestOf, leadershipRequestOf, nodeIdOf, votersRequestOf } from './requests.ts';

/** How long the metadata leader may take: a barrier, and an answer from memory. */
const ASK_TIMEOUT_MS = 2000;
/** A transfer, or a proposal, is given up by the leader itself before that; then its answer has to come. */
const MOVE_TIMEOUT_MS = 6000;

/** Of a node that has not opened its disk. */
const NOTHING_LED: DrainStatus = {
  isDraining: false,
  isDrained: true,
  ledSegments: 0,
  leadsMetadata: false,
  hasHeir: false,
  soleCopies: 0,
};

/** The node that is administered, from before it has opened its disk to its end. */
export interface AdminNode {
  readonly nodeId: number;
  readonly version: string;
  readonly startedAtMs: number;
  /** '' while unknown. */
  readonly clusterId: string;
  readonly isRegistered: boolean;
  readonly isStopping: boolean;
  /** null until the disk is formatted. */
  readonly diskId: string | null;
  /** null until the disk is open. */
  readonly parts: NodeParts | null;
  /** Begins the cluster that the node waits for. */
  bootstrap(request: BootstrapRequest): Promise<void>;
}

export class AdminApi {
  readonly #node: AdminNode;

  constructor(node: AdminNode) {
    this.#node = node;
  }

  node(): NodeStatus {
    const { diskId, clusterId, version, startedAtMs, parts } = this.#node;
    return {
      nodeId: this.#node.nodeId,
      diskId,
      clusterId,
      version,
      phase: this.#phase(),
      isDiskReadOnly: parts?.storage.health.state === 'READ_ONLY',
      startedAtMs,
    };
  }

  /** @throws {WalrusError} MALFORMED; reasons NoLeader: too early, OtherDisk, AlreadyBootstrapped. */
  async bootstrap(body: unknown): Promise<NodeStatus> {
    const request = bootstrapRequestOf(body);
    if (this.#node.diskId === null) throw refusal('NoLeader', 'This node has no disk yet');
    await this.#node.bootstrap(request);
    return this.node();
  }

  #phase(): NodePhase {
    const { isStopping, isRegistered, parts } = this.#node;
    if (isStopping) return 'Stopping';
    if (parts === null) return 'Joining';
    if (!isRegistered) return 'Registering';
    return parts.drain.isDraining ? 'Draining' : 'Serving';
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE while this node has no cluster. */
  #opened(): NodeParts {
    const { parts } = this.#node;
    if (parts === null) throw refusal('NoLeader', 'This node has not found its cluster yet');
    return parts;
  }

  /** From the metadata leader; what this node remembers when that cannot be had. */
  async cluster(): Promise<ClusterStatus> {
    const parts = this.#opened();
    try {
      return await this.#askLeader(CLUSTER_STATUS, null, ASK_TIMEOUT_MS);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const { metadata, raft, session } = parts;
      return clusterStatusOf(
        viewOfFollower(metadata.metadata, raft.status(), session.aliveNodeIds),
      );
    }
  }

  /** @throws {WalrusError} MALFORMED; reasons NoLeader and UnknownNode. */
  async canRestart(node: string): Promise<Verdict> {
    return await this.#askLeader(CAN_RESTART, { nodeId: nodeIdOf(node) }, ASK_TIMEOUT_MS);
  }

  /**
   * @throws {WalrusError} MALFORMED; TIMED_OUT: outcome unknown; reasons NoLeader, StaleEpoch, UnknownNode, AnotherNodeIsDown,
   * StillLeading.
   */
  async moveLeadership(body: unknown): Promise<LeadershipResult> {
    const { to, epoch } = leadershipRequestOf(body);
    const request = { to: to === null ? undefined : nodeId(to), epoch };
    return await this.#tellLeader(MOVE_LEADERSHIP, request);
  }

  /** @throws {WalrusError} MALFORMED; TIMED_OUT: outcome unknown; reasons NoLeader, StaleEpoch, NotEnoughNodes. */
  async setVoters(body: unknown): Promise<VotersStatus> {
    return await this.#tellLeader(SET_VOTERS, votersRequestOf(body));
  }

  /** Begins, and says how far it is; to be repeated. A node without a cluster leads nothing, and has nothing to drain. */
  drain(): DrainStatus {
    const { parts } = this.#node;
    parts?.drain.begin();
    return parts?.drain.status() ?? NOTHING_LED;
  }

  undrain(): DrainStatus {
    const { parts, isStopping } = this.#node;
    if (!isStopping) parts?.drain.end();
    return parts?.drain.status() ?? NOTHING_LED;
  }

  /** What changes nothing: without an answer nobody has decided anything. */
  async #askLeader<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    try {
      return await this.#callLeader(api, request, timeoutMs);
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      const message = `The metadata leader does not answer: ${error.message}`;
      throw refusal('NoLeader', message, error);
    }
  }

  /** What changes something: without an answer it may have been done, or be done yet. */
  async #tellLeader<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
  ): Promise<Response> {
    try {
      return await this.#callLeader(api, request, MOVE_TIMEOUT_MS);
    } catch (cause) {
      if (!isUnanswered(cause)) throw cause;
      const message = `It is unknown whether it has been done, ask again: ${cause.message}`;
      throw new WalrusError('TIMED_OUT', message, { cause });
    }
  }

  async #callLeader<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    const { metadata, rpc } = this.#opened();
    const address = metadata.leaderAddress;
    if (address === null) throw refusal('NoLeader', 'The metadata have no leader at the moment');
    return await rpc.call(address, api, request, timeoutMs);
  }
}

/** The leader has said neither what came of it, nor that it has not begun; a refusal says its reason. */
function isUnanswered(error: unknown): error is WalrusError {
  return (
    isWalrusError(error, 'TIMED_OUT', 'CONNECTION_FAILED', 'SHUTTING_DOWN') &&
    error.details['reason'] === undefined
  );
}

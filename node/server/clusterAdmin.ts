/**
 * What operators ask of the cluster: MarkDiskLost, TransferLeadership, SealUnclean. Taken by any node, done by the
 * one that leads the metadata.
 */
import { WalrusError } from '../../base/errors.ts';
import { APIS } from '../../protocol/client/apis.ts';
import type { Api } from '../../protocol/client/codec.ts';
import type {
  MarkDiskLostRequest,
  MarkDiskLostResponse,
} from '../../protocol/client/markDiskLost.ts';
import type { SealUncleanRequest, SealUncleanResponse } from '../../protocol/client/sealUnclean.ts';
import type {
  TransferLeadershipRequest,
  TransferLeadershipResponse,
} from '../../protocol/client/transferLeadership.ts';
import { transferLeadership } from '../controller/leadershipTransfer.ts';
import { isUnsealed, segmentsOnDisk } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { ServerContext } from './serverContext.ts';

/** Fences and copies take their time; a try that is cut off may be repeated. */
const SEAL_TIMEOUT_MS = 30_000;
const ASK_TIMEOUT_MS = 6000;

export class ClusterAdmin {
  readonly #context: ServerContext;

  constructor(context: ServerContext) {
    this.#context = context;
    const { rpc, controller, raft } = context.parts;
    rpc.handle(APIS.SealUnclean, async ({ segmentId, confirm }) => {
      const { endOffset, lossy } = await controller.sealUnclean(segmentId, confirm);
      return { endOffset, lossy: lossy ?? undefined };
    });
    rpc.handle(APIS.MarkDiskLost, (request) => this.#markAsLeader(request));
    rpc.handle(APIS.TransferLeadership, async ({ nodeId }) => ({
      nodeId: await transferLeadership(raft, controller.sessions, nodeId ?? null),
    }));
  }

  /**
   * Gives up what the reachable copies of a segment do not hold (DESIGN S4).
   * @throws {WalrusError} METADATA_UNAVAILABLE, SEGMENT_NOT_FOUND, CONFLICT, REPLICA_UNKNOWN, NOT_LEADER
   */
  async sealUnclean(request: SealUncleanRequest): Promise<SealUncleanResponse> {
    return await this.#askLeader(APIS.SealUnclean, request, SEAL_TIMEOUT_MS);
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE; DISK_REFUSED for an unknown disk; CONFLICT while it is in use. */
  async markDiskLost(request: MarkDiskLostRequest): Promise<MarkDiskLostResponse> {
    return await this.#askLeader(APIS.MarkDiskLost, request, ASK_TIMEOUT_MS);
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE, and as `transferLeadership` */
  async transferLeadership(
    request: TransferLeadershipRequest,
  ): Promise<TransferLeadershipResponse> {
    return await this.#askLeader(APIS.TransferLeadership, request, ASK_TIMEOUT_MS);
  }

  async #askLeader<Request, Response>(
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    const { metadata, rpc } = this.#context.parts;
    const address = metadata.leaderAddress;
    if (address === null) {
      throw new WalrusError(
        'METADATA_UNAVAILABLE',
        'The metadata has no leader at the moment: try again',
      );
    }
    return await rpc.call(address, api, request, timeoutMs);
  }

  async #markAsLeader({ diskId, confirm }: MarkDiskLostRequest): Promise<MarkDiskLostResponse> {
    const { metadata, controller } = this.#context.parts;
    if (!metadata.isLeader) {
      throw new WalrusError('NOT_LEADER', 'This node does not lead the metadata');
    }
    const disk = metadata.metadata.disks.get(diskId);
    if (disk === undefined) {
      const message = `Cannot mark disk ${diskId} lost: the cluster does not know it`;
      throw new WalrusError('DISK_REFUSED', `${message}; see \`walrus cluster status\``);
    }
    const { nodeId } = disk;
    const isLost = disk.state === 'LOST';
    if (!isLost && controller.sessions.isAlive(nodeId)) {
      const why = `node ${nodeId} is up and uses it; stop that node first`;
      throw new WalrusError('CONFLICT', `Cannot mark disk ${diskId} lost: ${why}`);
    }
    const hit = isLost ? [] : this.#membersOn(diskId);
    const blocked = hit.filter((segment) => this.#isBlockedWithout(segment, diskId)).length;
    if (confirm && !isLost) {
      const result = await metadata.propose({ type: 'MarkDiskLost', diskId });
      if (!result.ok) throw new WalrusError(result.code, result.message);
    }
    return { nodeId, isLost, segments: hit.length, blocked };
  }

  #membersOn(diskId: string): readonly SegmentRecord[] {
    const { metadata } = this.#context.parts.metadata;
    return segmentsOnDisk(metadata, diskId).filter(
      ({ state, ensemble }) =>
        state !== 'DELETED' && ensemble.some((place) => place.diskId === diskId),
    );
  }

  /** Fewer members than a recovery needs as evidence (F), or no copy of a sealed segment. */
  #isBlockedWithout(segment: SegmentRecord, diskId: string): boolean {
    const { disks } = this.#context.parts.metadata.metadata;
    const left = segment.ensemble.filter(
      (place) => place.diskId !== diskId && disks.get(place.diskId)?.state === 'REGISTERED',
    ).length;
    const { length: members } = segment.ensemble;
    return left < (isUnsealed(segment) ? members - segment.ackQuorum + 1 : 1);
  }
}

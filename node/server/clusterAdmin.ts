/**
 * What operators ask of the cluster: MarkDiskLost, TransferLeadership, SealUnclean. Taken by any node, done by the
 * one that leads the metadata, over its elections.
 */
import { WalrusError } from '../../base/errors.ts';
import { APIS } from '../../protocol/client/apis.ts';
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
import { askLeader, isLeaderless } from './leaderRequests.ts';
import type { LeaderCall } from './leaderRequests.ts';
import type { ServerContext } from './serverContext.ts';

/** Fences and copies take their time. */
const SEAL_TIMEOUT_MS = 30_000;
const ASK_TIMEOUT_MS = 6000;

export class ClusterAdmin {
  readonly #context: ServerContext;

  constructor(context: ServerContext) {
    this.#context = context;
    const { rpc, controller, raft } = context.parts;
    rpc.handle(APIS.SealUnclean, async ({ segmentId, confirmedEnd }) => {
      const end = confirmedEnd ?? null;
      const { endOffset, lossy } = await controller.sealUnclean(segmentId, end);
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
    return await this.#askLeader(
      { api: APIS.SealUnclean, request },
      { timeoutMs: SEAL_TIMEOUT_MS, isRepeatable: request.confirmedEnd === undefined },
    );
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE; DISK_REFUSED for an unknown disk; CONFLICT while it is in use. */
  async markDiskLost(request: MarkDiskLostRequest): Promise<MarkDiskLostResponse> {
    return await this.#askLeader(
      { api: APIS.MarkDiskLost, request },
      { timeoutMs: ASK_TIMEOUT_MS, isRepeatable: true },
    );
  }

  /** @throws {WalrusError} METADATA_UNAVAILABLE, and as `transferLeadership` */
  async transferLeadership(
    request: TransferLeadershipRequest,
  ): Promise<TransferLeadershipResponse> {
    // Whoever led after a first try to hand it to anybody would hand it on.
    const isRepeatable = request.nodeId !== undefined;
    return await this.#askLeader(
      { api: APIS.TransferLeadership, request },
      { timeoutMs: ASK_TIMEOUT_MS, isRepeatable },
    );
  }

  /** Again when there was no leader; after an unknown outcome only what may be repeated. */
  async #askLeader<Request, Response>(
    call: LeaderCall<Request, Response>,
    { timeoutMs, isRepeatable }: { readonly timeoutMs: number; readonly isRepeatable: boolean },
  ): Promise<Response> {
    return await askLeader(this.#context, call, {
      timeoutMs,
      isRetried: (error) => isLeaderless(error) || (isRepeatable && error.code === 'TIMED_OUT'),
    });
  }

  async #markAsLeader({ diskId, confirm }: MarkDiskLostRequest): Promise<MarkDiskLostResponse> {
    const { metadata, controller } = this.#context.parts;
    const propose = metadata.asLeader();
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
    if (confirm && !isLost) await propose({ type: 'MarkDiskLost', diskId });
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

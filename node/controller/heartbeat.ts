/**
 * This node's session with the metadata leader: heartbeats, and from their answers the right to acknowledge
 * writes (the write lease of DESIGN section 5). A node that is cut off stops by itself after `leaseMs`.
 *
 * Whoever leads the metadata takes a node for dead only when its lease has ended (config/timing.ts), and puts nobody in the place of
 * one that has a lease before it knows (recovery.ts), whatever is wrong with it. One whose lease has lapsed, or had none yet, gets the next
 * one when it has applied what the metadata leader had as it answered: else it would say that its segments have no more records while others lead on (a paused node, that is alive again
 * before it has heard of its successors).
 */
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { LogIndex, NodeId, SegmentId } from '../../base/units.ts';
import { HEARTBEAT } from '../../protocol/peer/requests.ts';
import type {
  DamagedCopy,
  HeartbeatRequest,
  HeartbeatResponse,
} from '../../protocol/peer/requests.ts';
import type { MetadataService, PeerRpc, Session } from './types.ts';

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
  readonly intervalMs: number;
  /** No longer than any time-out of the leader's, so that a node stops before it is replaced. */
  readonly leaseMs: number;
  /** What to say of this node now. */
  describe(): HeartbeatRequest;
  /** The metadata names another disk or a newer boot for this node: it must end. */
  onRefused(error: WalrusError): void;
}

/** A lease that holds once the metadata are applied that the first answer since the last one lapsed tells of. */
interface ComingLease {
  readonly appliedIndex: LogIndex;
  /** By the newest answer. There was no gap between them: nobody took this node for dead since the first one. */
  untilMs: number;
}

export class Heartbeat implements Session {
  readonly #options: HeartbeatOptions;
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  #coming: ComingLease | null = null;
  #alive: ReadonlySet<NodeId> = new Set();
  #staying: ReadonlySet<NodeId> = new Set();
  #damaged: readonly DamagedCopy[] = [];
  #refusal: WalrusError | null = null;
  #isStopped = false;
  /** Whom the heartbeat that is under way was sent to. */
  #underWayTo: string | null = null;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  get isFresh(): boolean {
    return this.#options.clock.monotonicMs() < this.#freshUntilMs;
  }

  get aliveNodeIds(): ReadonlySet<NodeId> {
    return this.#alive;
  }

  get stayingNodeIds(): ReadonlySet<NodeId> {
    return this.#staying;
  }

  damagedNodes(segmentId: SegmentId): readonly NodeId[] {
    return this.#damaged.filter((copy) => copy.segmentId === segmentId).map(({ nodeId }) => nodeId);
  }

  get refusal(): WalrusError | null {
    return this.#refusal;
  }

  /** Starts beating; called once the node is registered. */
  start(): void {
    this.#beat();
  }

  stop(): void {
    this.#isStopped = true;
    this.#freshUntilMs = Number.NEGATIVE_INFINITY;
  }

  #beat(): void {
    if (this.#isStopped) return;
    void this.#send();
    this.#options.clock.setTimer(this.#options.intervalMs, () => this.#beat());
  }

  async #send(): Promise<void> {
    const { clock, rpc, metadata, leaseMs, logger } = this.#options;
    const address = metadata.leaderAddress;
    // One at a time to each: a leader that has died must not keep this node from its successor.
    if (address === null || address === this.#underWayTo) return;
    this.#underWayTo = address;
    // The lease counts from the sending: the leader's own count begins later.
    const sentMs = clock.monotonicMs();
    try {
      const answer = await rpc.call(address, HEARTBEAT, this.#options.describe(), leaseMs);
      if (answer.isRegistered) this.#heard(sentMs + leaseMs, answer);
      else await this.#checkRefusal();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      logger.log('debug', 'a heartbeat was not answered', { address, code: error.code });
    } finally {
      if (this.#underWayTo === address) this.#underWayTo = null;
    }
  }

  #heard(untilMs: number, answer: HeartbeatResponse): void {
    if (this.#isStopped) return;
    this.#alive = new Set(answer.aliveNodeIds);
    const draining = new Set(answer.drainingNodeIds);
    this.#staying = new Set(answer.aliveNodeIds.filter((id) => !draining.has(id)));
    this.#damaged = answer.damagedCopies;
    if (this.isFresh) this.#renew(untilMs);
    else if (this.#coming !== null && this.#options.clock.monotonicMs() < this.#coming.untilMs) {
      this.#coming.untilMs = Math.max(this.#coming.untilMs, untilMs);
    } else {
      this.#coming = { appliedIndex: answer.appliedIndex, untilMs };
      void this.#renewOnceApplied(this.#coming);
    }
  }

  #renew(untilMs: number): void {
    if (!this.#isStopped) this.#freshUntilMs = Math.max(this.#freshUntilMs, untilMs);
  }

  /** While the lease had lapsed others may have been put in this node's place: it goes on once it would know. */
  async #renewOnceApplied(coming: ComingLease): Promise<void> {
    const { clock, metadata, logger } = this.#options;
    while (this.#coming === coming) {
      const leftMs = coming.untilMs - clock.monotonicMs();
      if (leftMs <= 0) {
        this.#coming = null;
        logger.log('debug', 'the metadata comes too late for the lease', { ...coming });
        return;
      }
      try {
        await metadata.applied(coming.appliedIndex, leftMs);
        if (this.#coming !== coming) return;
        this.#coming = null;
        this.#renew(coming.untilMs);
      } catch (error) {
        // Later answers may have come meanwhile.
        if (!isWalrusError(error, 'TIMED_OUT')) throw error;
      }
    }
  }

  /** A leader with old metadata may not know this boot yet: only the metadata itself says that it is over. */
  async #checkRefusal(): Promise<void> {
    const { metadata } = this.#options;
    await metadata.barrier();
    const { nodeId, diskId, bootEpoch } = this.#options.describe();
    const node = metadata.metadata.nodes.get(nodeId);
    const disk = metadata.metadata.disks.get(diskId);
    const isSame =
      node?.diskId === diskId && disk?.bootEpoch === bootEpoch && disk.state === 'REGISTERED';
    if (isSame) return;
    const why = `disk ${diskId} is ${disk?.state === 'LOST' ? 'marked lost' : 'registered by a later start'}`;
    const error = new WalrusError('DISK_REFUSED', `Node ${nodeId} cannot go on: its ${why}`);
    this.#refusal = error;
    this.stop();
    this.#options.onRefused(error);
  }
}

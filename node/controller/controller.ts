/**
 * The metadata leader's work: registers nodes, keeps their sessions, seals and opens segments, recovers those whose
 * leader is gone, keeps the voters as wanted, and re-replicates sealed segments. It acts only while this node leads
 * Raft; everything it decides is a compare-and-set in the metadata, so that two that both believe to lead do no harm.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Offset, SegmentId } from '../../base/units.ts';
import { CLOSE_SEGMENT, HEARTBEAT, REGISTER_NODE } from '../../protocol/peer/requests.ts';
import type {
  CloseSegmentRequest,
  HeartbeatRequest,
  HeartbeatResponse,
  RegisterNodeRequest,
} from '../../protocol/peer/requests.ts';
import type { Metrics } from '../metrics.ts';
import type { RaftNode } from '../raft/types.ts';
import type { Command } from '../state/commands.ts';
import { whyNotCreated } from '../state/handlers/createTopic.ts';
import { defaultReplication, successorOf } from '../state/queries.ts';
import type { NodeRecord, Replication, SegmentRecord } from '../state/types.ts';
import { isToBeRecovered, segmentsToRecover } from './failureDetector.ts';
import { nextMembershipChange } from './membership.ts';
import { Recovery } from './recovery.ts';
import type { UncleanEnd } from './recovery.ts';
import { PacedBarrier } from './pacedBarrier.ts';
import { Planner } from './planner.ts';
import { nextCopies } from './replicationPlan.ts';
import { Roller } from './roller.ts';
import { Sessions } from './sessions.ts';
import type { SessionTimeouts } from './sessions.ts';
import type { MetadataService, PeerRpc, Propose } from './types.ts';

/** How often the leader looks at everything that has no event of its own. */
export const PASS_INTERVAL_MS = 100;
/** A pass that is later than this tells of a stall of this node: of a pause, a full disk's sync, a large collection. */
const STALL_MS_MIN = 50;
/** Recoveries under way at once. */
export const RECOVERY_COUNT_MAX = 64;
/** Heartbeats that come closer together than that share a round of messages to the voters. */
export const HEARTBEAT_ROUND_MS = 20;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2000;

export interface ControllerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly metadata: MetadataService;
  readonly raft: RaftNode;
  readonly metrics: Metrics;
  readonly timing: SessionTimeouts;
}

interface Retry {
  readonly notBeforeMs: number;
  readonly delayMs: number;
}

export class Controller {
  readonly sessions: Sessions;
  readonly #options: ControllerOptions;
  readonly #planner: Planner;
  readonly #roller: Roller;
  readonly #recovery: Recovery;
  /** For heartbeats. */
  readonly #barrier: PacedBarrier;
  readonly #recovering = new Set<SegmentId>();
  readonly #retries = new Map<SegmentId, Retry>();
  readonly #closing = new Map<SegmentId, Promise<SegmentId>>();
  /** The disk and boot up to which a node's segments were looked at. */
  readonly #checkedBoots = new Map<number, string>();
  #isChangingMembership = false;
  #isLeader = false;
  #timer: Timer | null = null;

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { clock, logger, rpc, metadata } = options;
    this.sessions = new Sessions(clock, options.timing);
    this.#planner = new Planner(metadata, this.sessions, options.random);
    this.#roller = new Roller(options);
    this.#barrier = new PacedBarrier({
      clock,
      intervalMs: HEARTBEAT_ROUND_MS,
      barrier: () => metadata.barrier(),
    });
    this.#recovery = new Recovery({
      clock,
      logger,
      rpc,
      metadata,
      planNext: (segment) => this.#planner.successor(segment),
      freshPlaces: (segment) => this.#planner.freshPlaces(segment),
      mayStillLead: (segment, index) => this.sessions.mayStillLead(segment, index),
      withhold: (segment, index) => this.sessions.withhold(segment, index),
    });
    metadata.onLeadership((isLeader) => this.#onLeadership(isLeader));
    rpc.handle(REGISTER_NODE, async (request) => {
      await this.#register(request);
      return null;
    });
    rpc.handle(HEARTBEAT, (beat) => this.#heartbeat(beat));
    rpc.handle(CLOSE_SEGMENT, async (request) => ({ nextSegmentId: await this.#close(request) }));
  }

  /** Stops acting; nothing is handed over. */
  stop(): void {
    this.#isLeader = false;
    this.#timer?.cancel();
  }

  /** @throws {WalrusError} NOT_LEADER, so that the caller finds the leader. */
  #checkLeads(): void {
    if (this.#options.metadata.isLeader) return;
    throw new WalrusError('NOT_LEADER', 'This node does not lead the metadata');
  }

  /**
   * The answer is a lease: from the beat's sending on nobody takes the node for dead before it ends (config/timing.ts), nor
   * its place in a segment before it knows (recovery.ts).
   * @throws {WalrusError} NOT_LEADER, METADATA_UNAVAILABLE: no lease, this time.
   */
  async #heartbeat(beat: HeartbeatRequest): Promise<HeartbeatResponse> {
    const { metadata, raft } = this.#options;
    this.#checkLeads();
    const { currentTerm } = raft.status();
    const isRegistered = this.sessions.heard(beat, metadata.metadata);
    if (this.sessions.isWithheld(beat)) {
      throw new WalrusError(
        'METADATA_UNAVAILABLE',
        'This node is replaced in a segment, and has not applied that yet: it gets no lease until it has',
      );
    }
    await this.#barrier.wait();
    // Of a server that has been deposed meanwhile the next leader answers the barrier.
    this.#checkLeads();
    if (raft.status().currentTerm !== currentTerm) {
      throw new WalrusError('NOT_LEADER', 'This node has lost the metadata, and leads them again');
    }
    return {
      isRegistered,
      aliveNodeIds: this.sessions.aliveNodeIds(),
      drainingNodeIds: this.sessions.drainingNodeIds(),
      damagedCopies: this.sessions.damagedCopiesTold(),
      appliedIndex: raft.status().lastApplied,
    };
  }

  #onLeadership(isLeader: boolean): void {
    this.#isLeader = isLeader;
    this.#timer?.cancel();
    if (!isLeader) return;
    const { progress } = this.#options.raft.status();
    const raftPeers = new Set(progress.map(({ id }) => id));
    this.sessions.begin(this.#options.metadata.metadata, raftPeers);
    this.#checkedBoots.clear();
    this.#retries.clear();
    this.#planner.begin();
    this.#roller.begin();
    this.#schedule();
  }

  #schedule(): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + PASS_INTERVAL_MS;
    this.#timer = clock.setTimer(PASS_INTERVAL_MS, () => {
      if (!this.#isLeader) return;
      const lateMs = clock.monotonicMs() - dueMs;
      // The heartbeats of that time still wait to be read.
      if (lateMs > STALL_MS_MIN) this.sessions.stalled(lateMs);
      this.#pass();
      this.#schedule();
    });
  }

  /** One look at everything; starts what is to be done and waits for none of it. */
  #pass(): void {
    const { metadata } = this.#options.metadata;
    for (const node of metadata.nodes.values()) this.sessions.expect(node.nodeId);
    for (const { id, hasAnswered } of this.#options.raft.status().progress) {
      if (hasAnswered) this.sessions.answered(id);
    }
    // A replaced disk begins with boot 1 again: the boot alone does not tell.
    const bootOf = (node: NodeRecord): string =>
      `${node.diskId}/${metadata.disks.get(node.diskId)?.bootEpoch ?? 0}`;
    const isBootChecked = (node: NodeRecord): boolean =>
      this.#checkedBoots.get(node.nodeId) === bootOf(node);
    const nowMs = this.#options.clock.wallMs();
    for (const segment of segmentsToRecover(metadata, this.sessions, isBootChecked, nowMs)) {
      this.#startRecovery(segment);
    }
    for (const node of metadata.nodes.values()) {
      this.#checkedBoots.set(node.nodeId, bootOf(node));
    }
    for (const segmentId of this.#retries.keys()) this.#retryRecovery(segmentId);
    this.#roller.pass(this.#planner.candidates(), this.sessions.damagedCopies());
    void this.#changeMembership();
    this.#planCopies();
  }

  #startRecovery(segment: SegmentRecord): void {
    const { segmentId } = segment;
    const retry = this.#retries.get(segmentId);
    if (retry !== undefined && this.#options.clock.monotonicMs() < retry.notBeforeMs) return;
    if (this.#recovering.has(segmentId)) return;
    if (this.#recovering.size >= RECOVERY_COUNT_MAX) {
      // Noted, so that a segment of an earlier boot is not forgotten with its node's check.
      this.#retries.set(segmentId, retry ?? { notBeforeMs: 0, delayMs: RETRY_MS_MIN });
      return;
    }
    this.#recovering.add(segmentId);
    void this.#recover(segment);
  }

  #retryRecovery(segmentId: SegmentId): void {
    const { metadata } = this.#options.metadata;
    const segment = metadata.segments.get(segmentId);
    // Its leader may be heard of again since it was noted, and goes on then.
    if (segment !== undefined && isToBeRecovered(metadata, this.sessions, segment)) {
      this.#startRecovery(segment);
    } else this.#retries.delete(segmentId);
  }

  async #recover(segment: SegmentRecord): Promise<void> {
    const { segmentId } = segment;
    const startMs = this.#options.clock.monotonicMs();
    try {
      await this.#recovery.run(segment);
      this.#retries.delete(segmentId);
      this.#options.metrics.recovered(this.#options.clock.monotonicMs() - startMs);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      const delayMs = Math.min(
        2 * (this.#retries.get(segmentId)?.delayMs ?? RETRY_MS_MIN / 2),
        RETRY_MS_MAX,
      );
      const notBeforeMs = this.#options.clock.monotonicMs() + delayMs;
      this.#retries.set(segmentId, { notBeforeMs, delayMs });
      this.#options.logger.log('warn', 'a recovery has to wait', {
        segmentId,
        code: error.code,
        why: error.message,
      });
    } finally {
      this.#recovering.delete(segmentId);
    }
  }

  async #changeMembership(): Promise<void> {
    if (this.#isChangingMembership) return;
    const { raft, metadata, logger } = this.#options;
    const change = nextMembershipChange(raft.status(), metadata.metadata, this.sessions);
    if (change === null) return;
    this.#isChangingMembership = true;
    try {
      await raft.changeMembership(change);
      logger.log('info', 'changed the metadata membership', { change: change.type });
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      logger.log('info', 'cannot change the membership yet', {
        change: change.type,
        code: error.code,
      });
    } finally {
      this.#isChangingMembership = false;
    }
  }

  /** S2: gives sealed segments with too few copies new homes; the nodes copy by themselves. */
  #planCopies(): void {
    const { metadata } = this.#options;
    for (const command of nextCopies(metadata.metadata, this.#planner.candidates()))
      this.#proposeQuietly(command);
  }

  #proposeQuietly(command: Command): void {
    // That this node leads no more is a reason to wait, too.
    const proposed = async (): Promise<unknown> => this.#options.metadata.asLeader()(command);
    proposed().catch((error: unknown) => {
      this.#options.logger.log('info', 'a metadata change has to wait', {
        command: command.type,
        error: String(error),
      });
    });
  }

  /** A leader's close: the seal and the next segment in one command. Repeats get the same answer. */
  #close(request: CloseSegmentRequest): Promise<SegmentId> {
    const propose = this.#options.metadata.asLeader();
    const underWay = this.#closing.get(request.segmentId);
    if (underWay !== undefined) return underWay;
    const closing = this.#sealAndOpen(request, propose).finally(() => {
      this.#closing.delete(request.segmentId);
    });
    this.#closing.set(request.segmentId, closing);
    return closing;
  }

  async #sealAndOpen(request: CloseSegmentRequest, propose: Propose): Promise<SegmentId> {
    const { segmentId, token, endOffset, digest } = request;
    const { metadata } = this.#options.metadata;
    const segment = metadata.segments.get(segmentId);
    if (segment === undefined) {
      throw new WalrusError('SEGMENT_NOT_FOUND', `There is no segment ${segmentId} to close`);
    }
    if (
      segment.state === 'SEALED' &&
      segment.endOffset === endOffset &&
      segment.digest === digest
    ) {
      return successorOf(metadata, segment)?.segmentId ?? segmentId;
    }
    try {
      const value = await propose({
        type: 'SealAndOpen',
        segmentId,
        expected: { state: 'OPEN', token },
        endOffset,
        digest,
        replicas: segment.ensemble,
        lossy: null,
        next: this.#planner.successor(segment),
        nowMs: this.#options.clock.wallMs(),
      });
      return value.type === 'Segment' ? value.nextSegmentId : segmentId;
    } catch (error) {
      // Leaders do not close without room; one that had begun never goes on (ADR 0112), a recovery has to end it.
      if (isWalrusError(error, 'LIMIT_REACHED')) this.#startRecovery(segment);
      throw error;
    }
  }

  async #register(request: RegisterNodeRequest): Promise<void> {
    const propose = this.#options.metadata.asLeader();
    const { replacesLostDisk, bootEpoch, bootNonce, ...node } = request;
    const earlier = this.#options.metadata.metadata.nodes.get(node.nodeId)?.diskId;
    if (replacesLostDisk && earlier !== undefined && earlier !== node.diskId) {
      await propose({ type: 'MarkDiskLost', diskId: earlier });
    }
    await propose({ type: 'RegisterNode', node, bootEpoch, bootNonce });
    this.sessions.expect(node.nodeId);
    void this.#changeMembership();
  }

  /**
   * S4: gives up what the members that answer do not hold, as confirmed. Only on the metadata leader.
   * @throws {WalrusError} NOT_LEADER, SEGMENT_NOT_FOUND, and as Recovery.runUnclean.
   */
  async sealUnclean(segmentId: SegmentId, confirmedEnd: Offset | null): Promise<UncleanEnd> {
    this.#checkLeads();
    const segment = this.#options.metadata.metadata.segments.get(segmentId);
    if (segment === undefined) {
      throw new WalrusError('SEGMENT_NOT_FOUND', `There is no segment ${segmentId}`);
    }
    if (this.#recovering.has(segmentId)) {
      const why = 'its recovery is trying once more at this moment';
      throw new WalrusError(
        'CONFLICT',
        `Cannot seal segment ${segmentId} unclean: ${why}; try again`,
      );
    }
    this.#recovering.add(segmentId);
    try {
      return await this.#recovery.runUnclean(segment, confirmedEnd);
    } finally {
      this.#recovering.delete(segmentId);
    }
  }

  /**
   * Creates a topic; every partition gets its first segment. Only on the metadata leader.
   * @returns the topic's id.
   * @throws {WalrusError} NOT_LEADER, METADATA_UNAVAILABLE, NOT_ENOUGH_REPLICAS, and what the metadata refuses (TOPIC_EXISTS ...).
   */
  async createTopic(topic: {
    readonly name: string;
    readonly partitions: number;
    readonly replication: Replication | null;
  }): Promise<number> {
    const propose = this.#options.metadata.asLeader();
    const { metadata } = this.#options.metadata;
    const { lastApplied, lastIndex } = this.#options.raft.status();
    // Elected right after its start, a leader may know of no node yet: that is no word about the cluster.
    if (lastApplied < lastIndex) await this.#options.metadata.barrier();
    const replication = topic.replication ?? defaultReplication(metadata);
    // Before any place is looked for: what can never be is no reason to try again.
    const refusal = whyNotCreated(metadata, { ...topic, replication });
    if (refusal !== null) throw new WalrusError(refusal.code, refusal.message);
    const plans = this.#planner.topic(topic.partitions, replication);
    const nowMs = this.#options.clock.wallMs();
    const { name } = topic;
    const value = await propose({ type: 'CreateTopic', name, replication, plans, nowMs });
    return value.type === 'Topic' ? value.topicId : 0;
  }
}

/**
 * Moves what this node leads to others, while it goes on: before a restart, so that nobody waits for it. The segments
 * first: as long as the metadata's leader is here, closing them is quick. Those that come back later are closed by the
 * metadata leader, which knows whether another node could lead them. A new process knows nothing of it.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { SegmentId } from '../../base/units.ts';
import type { DrainStatus } from '../../protocol/admin/types.ts';
import type { RaftNode } from '../raft/types.ts';
import type { DiskIdentity } from '../storage/types.ts';
import { isLeader, segmentsLedBy } from '../state/queries.ts';
import { transferLeadership } from './leadershipTransfer.ts';
import type { SegmentManager } from './segmentManager.ts';
import type { Sessions } from './sessions.ts';
import type { MetadataService, Session } from './types.ts';

/** How often a draining node looks whether the metadata can go. */
const PASS_INTERVAL_MS = 50;
/** Segments that nobody else can lead hold the metadata back for so long. */
const SEGMENTS_MS_MAX = 5000;

export interface DrainOptions {
  readonly identity: DiskIdentity;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metadata: MetadataService;
  readonly raft: RaftNode;
  readonly session: Session;
  readonly segments: SegmentManager;
  /** Knows who is alive, while this node leads the metadata. */
  readonly controller: { readonly sessions: Sessions };
  /** As NodeTiming. */
  readonly leaderlessMs: number;
}

export class Drain {
  readonly #options: DrainOptions;
  #isDraining = false;
  #sinceMs = 0;
  /** When the metadata leader's word last held, or the drain began. */
  #heardMs = 0;
  /** What the process led when it was told to end. */
  #ledAtStop: ReadonlySet<SegmentId> = new Set();
  #timer: Timer | null = null;
  #handingOver: Promise<void> | null = null;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Begins; a repeat changes nothing. */
  begin(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#sinceMs = this.#options.clock.monotonicMs();
    this.#heardMs = this.#sinceMs;
    if (this.hasHeir) this.#options.segments.closeAll();
    this.#pass();
  }

  /** The process is to end. Closes all also where nobody takes over: what clients were handed is committed with it. */
  beginStop(): void {
    const { segments } = this.#options;
    this.begin();
    this.#ledAtStop = new Set(segments.ledSegmentIds);
    segments.closeAll();
  }

  /** Takes it back: this node leads again what is given to it. */
  end(): void {
    this.#isDraining = false;
    this.#timer?.cancel();
  }

  /**
   * Whether there has been no metadata leader for longer than an election takes, as far as this node hears: nobody can confirm
   * what is under way, or take over.
   */
  get isLeaderless(): boolean {
    const { session, clock, leaderlessMs } = this.#options;
    if (session.isFresh) return false;
    return !this.#isDraining || clock.monotonicMs() - this.#heardMs >= leaderlessMs;
  }

  /**
   * Whether a process that is to end has to wait: for others to lead what it leads; where all of them are stopping, too, for
   * what it led at first to be closed, since the successors are handed from one to the next.
   */
  get isHandingOver(): boolean {
    if (this.isLeaderless || this.#options.session.aliveNodeIds.size <= 1) return false;
    const { hasHeir } = this;
    return [...this.#led()].some((id) => hasHeir || this.#ledAtStop.has(id));
  }

  /**
   * Whether somebody is there who could take over, as the metadata leader said last. Not who drains, too: when all nodes
   * of a cluster are told to stop, each would hand over to the others, which hand it back, until the time is over.
   */
  get hasHeir(): boolean {
    const { session, identity } = this.#options;
    return !this.isLeaderless && [...session.stayingNodeIds].some((id) => id !== identity.nodeId);
  }

  #led(): ReadonlySet<SegmentId> {
    const { metadata, identity, segments } = this.#options;
    const led = new Set(segments.ledSegmentIds); // a leader lives on until its seal is known here
    for (const segment of segmentsLedBy(metadata.metadata, identity.nodeId)) {
      if (isLeader(segment, identity)) led.add(segment.segmentId);
    }
    return led;
  }

  status(): DrainStatus {
    const isDraining = this.#isDraining;
    const ledSegments = this.#led().size;
    const leadsMetadata = this.#options.metadata.isLeader;
    return {
      isDraining,
      isDrained: isDraining && ledSegments === 0 && !leadsMetadata,
      ledSegments,
      leadsMetadata,
      hasHeir: this.hasHeir,
      soleCopies: this.#soleCopies(),
    };
  }

  #soleCopies(): number {
    const { metadata } = this.#options.metadata;
    const { diskId } = this.#options.identity;
    let count = 0;
    for (const id of metadata.segmentsByDisk.get(diskId) ?? []) {
      const segment = metadata.segments.get(id);
      if (segment?.state !== 'SEALED' || segment.ensemble.length !== 1) continue;
      const isEmpty = segment.endOffset === segment.baseOffset;
      if (!isEmpty && segment.ensemble[0]?.diskId === diskId) count += 1;
    }
    return count;
  }

  #pass(): void {
    if (!this.#isDraining) return;
    const { clock, metadata, session } = this.#options;
    if (session.isFresh) this.#heardMs = clock.monotonicMs();
    const hasWaited = clock.monotonicMs() - this.#sinceMs >= SEGMENTS_MS_MAX;
    if (metadata.isLeader && this.hasHeir && (hasWaited || this.#led().size === 0)) {
      void this.handOverMetadata();
    }
    this.#timer = clock.setTimer(PASS_INTERVAL_MS, () => this.#pass());
  }

  /** Hands the leadership of the metadata to another node, if this one has it and there is one. */
  handOverMetadata(): Promise<void> {
    if (!this.#options.metadata.isLeader) return Promise.resolve();
    this.#handingOver ??= this.#transfer().finally(() => {
      this.#handingOver = null;
    });
    return this.#handingOver;
  }

  async #transfer(): Promise<void> {
    const { raft, controller, logger } = this.#options;
    try {
      await transferLeadership(raft, controller.sessions, null);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      logger.log('info', 'the metadata has not been handed over', { code: error.code });
    }
  }
}

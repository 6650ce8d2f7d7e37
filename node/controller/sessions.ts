/**
 * The metadata leader's knowledge of who is alive: volatile, from heartbeats. No record depends on it: a node that is
 * wrongly taken for dead is fenced, and goes on with other segments. What readers are told of a segment's end does:
 * nobody takes a leader's place that may hold a lease and does not know of it (`mayStillLead`).
 */
import type { Clock } from '../../base/clock.ts';
import { nodeId } from '../../base/units.ts';
import type { LogIndex, NodeId } from '../../base/units.ts';
import { DAMAGED_IDS_MAX } from '../../protocol/peer/requests.ts';
import type { DamagedCopy, HeartbeatRequest } from '../../protocol/peer/requests.ts';
import { nodeOfServer, serverId } from '../raft/types.ts';
import type { ServerId } from '../raft/types.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import { registeredDisk } from '../state/queries.ts';
import type { SegmentRecord } from '../state/types.ts';

/** Damaged copies that the answer to a heartbeat names. */
export const DAMAGED_TOLD_MAX = 1024;

/** How long who asks a new leader waits until it has heard of everyone. */
const SETTLE_MS_MAX = 1000;
const SETTLE_POLL_MS = 20;

export interface SessionTimeouts {
  readonly sessionTimeoutMs: number;
  /** For a node that answers neither as Raft's server nor with heartbeats after an election; no shorter than a lease. */
  readonly silentTimeoutMs: number;
}

interface SessionState {
  readonly beat: HeartbeatRequest | null;
  readonly atMs: number;
  /** Raft sends to it since the election, and nothing has come back yet. */
  readonly isSilent: boolean;
}

/** What is known of the lease that a process may have. */
interface LeaseState {
  readonly bootEpoch: number;
  readonly heardMs: number;
  readonly appliedIndex: LogIndex;
}

export class Sessions {
  readonly #clock: Clock;
  readonly #timeouts: SessionTimeouts;
  readonly #sessions = new Map<NodeId, SessionState>();
  /** By disk: a node may have another one by now, while a process goes on with the old one. */
  readonly #leases = new Map<string, LeaseState>();
  /** By disk: a process gets no lease until it has applied so much. */
  readonly #withheld = new Map<string, Pick<LeaseState, 'bootEpoch' | 'appliedIndex'>>();
  #begunMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, timeouts: SessionTimeouts) {
    this.#clock = clock;
    this.#timeouts = timeouts;
  }

  /**
   * A new leader knows nothing: every registered node gets one time-out to be heard from. One that Raft sends to gets
   * a part of it until it answers: whoever lives answers at once, and a death that took the metadata leader along has
   * cost an election already. No less than a lease: the leader before may have given one right before the election.
   * @param raftPeers - Whom this leader's Raft sends to.
   */
  begin(metadata: IndexedMetadata, raftPeers: ReadonlySet<ServerId>): void {
    this.#sessions.clear();
    this.#leases.clear();
    this.#withheld.clear();
    const atMs = this.#clock.monotonicMs();
    this.#begunMs = atMs;
    for (const [id, { diskId }] of metadata.nodes) {
      const isSilent = raftPeers.has(serverId(id, diskId));
      this.#sessions.set(id, { beat: null, atMs, isSilent });
    }
  }

  /** Raft has had an answer of the server since the election: its node has a whole time-out to send a heartbeat. */
  answered(server: ServerId): void {
    const id = nodeId(nodeOfServer(server));
    const session = this.#sessions.get(id);
    if (session?.isSilent === true) this.#sessions.set(id, { ...session, isSilent: false });
  }

  /** This node did not run for so long: what it has not heard meanwhile is no evidence against anybody. */
  stalled(forMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, session] of this.#sessions) {
      this.#sessions.set(id, { ...session, atMs: Math.min(session.atMs + forMs, nowMs) });
    }
  }

  /** A node was registered: it has one time-out to be heard from. */
  expect(id: NodeId): void {
    if (!this.#sessions.has(id)) {
      this.#sessions.set(id, { beat: null, atMs: this.#clock.monotonicMs(), isSilent: false });
    }
  }

  /** @returns whether the node is who the metadata says. */
  heard(beat: HeartbeatRequest, metadata: IndexedMetadata): boolean {
    const node = metadata.nodes.get(beat.nodeId);
    if (node?.diskId !== beat.diskId) return false;
    const disk = registeredDisk(metadata, node);
    if (disk?.bootEpoch !== beat.bootEpoch) return false;
    const atMs = this.#clock.monotonicMs();
    this.#sessions.set(beat.nodeId, { beat, atMs, isSilent: false });
    const { diskId, bootEpoch, appliedIndex } = beat;
    if (this.isWithheld(beat)) return true;
    this.#withheld.delete(diskId);
    this.#leases.set(diskId, { bootEpoch, heardMs: atMs, appliedIndex });
    return true;
  }

  /**
   * The process that leads a segment lives and does not come to know that it is replaced: it gets no lease until it does, so
   * that within one nobody has to wait for it any more.
   */
  withhold({ leader, leaderBootEpoch }: SegmentRecord, decidedIndex: LogIndex): void {
    const until = { bootEpoch: leaderBootEpoch, appliedIndex: decidedIndex };
    this.#withheld.set(leader.diskId, until);
  }

  /** Whether its process gets no lease for this heartbeat. */
  isWithheld({ diskId, bootEpoch, appliedIndex }: HeartbeatRequest): boolean {
    const withheld = this.#withheld.get(diskId);
    return withheld?.bootEpoch === bootEpoch && appliedIndex < withheld.appliedIndex;
  }

  /**
   * Whether the process that leads a segment may go on as its leader: it may have a lease, from this metadata leader or from
   * the one before, and is not known to have applied what was decided about the segment.
   * @param decidedIndex - Up to which the metadata tell of the decision.
   */
  mayStillLead({ leader, leaderBootEpoch }: SegmentRecord, decidedIndex: LogIndex): boolean {
    const lease = this.#leases.get(leader.diskId);
    // A later process with the same disk began when this one was over: the data directory is locked.
    if (lease !== undefined && lease.bootEpoch > leaderBootEpoch) return false;
    if (lease !== undefined && lease.appliedIndex >= decidedIndex) return false;
    const newestMs = Math.max(this.#begunMs, lease?.heardMs ?? Number.NEGATIVE_INFINITY);
    return this.#clock.monotonicMs() - newestMs < this.#timeouts.silentTimeoutMs;
  }

  /** Resolves once everyone has been heard from since the election, or counts as dead: before that who lives is not known. */
  async settled(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + SETTLE_MS_MAX;
    const isAwaited = ([id, { beat }]: readonly [NodeId, SessionState]): boolean =>
      beat === null && this.isAlive(id);
    while ([...this.#sessions].some(isAwaited) && this.#clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => this.#clock.setTimer(SETTLE_POLL_MS, resolve));
    }
  }

  isAlive(id: NodeId): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    const { sessionTimeoutMs, silentTimeoutMs } = this.#timeouts;
    const timeoutMs = session.isSilent ? silentTimeoutMs : sessionTimeoutMs;
    return this.#clock.monotonicMs() - session.atMs < timeoutMs;
  }

  /** The last heartbeat of a node that is alive; null before the first one. */
  beatOf(id: NodeId): HeartbeatRequest | null {
    return this.isAlive(id) ? (this.#sessions.get(id)?.beat ?? null) : null;
  }

  /** The damaged copies that living nodes have told of, the most urgent one of each node first, then the second ones. */
  damagedCopies(): readonly DamagedCopy[] {
    const found: DamagedCopy[] = [];
    for (let rank = 0; rank < DAMAGED_IDS_MAX; rank += 1) {
      const { length } = found;
      for (const nodeId of this.#sessions.keys()) {
        const segmentId = this.beatOf(nodeId)?.damagedSegmentIds[rank];
        if (segmentId !== undefined) found.push({ nodeId, segmentId });
      }
      if (found.length === length) break;
    }
    return found;
  }

  /** Those that nodes are told of: with more, some of each node; the others come up as these are repaired. */
  damagedCopiesTold(): readonly DamagedCopy[] {
    return this.damagedCopies().slice(0, DAMAGED_TOLD_MAX);
  }

  /** Nodes that lack what was committed, as the living leaders of segments say. */
  behindNodeIds(): ReadonlySet<NodeId> {
    const found = new Set<NodeId>();
    for (const id of this.#sessions.keys()) {
      for (const behind of this.beatOf(id)?.behindNodeIds ?? []) found.add(behind);
    }
    return found;
  }

  aliveNodeIds(): readonly NodeId[] {
    return [...this.#sessions.keys()].filter((id) => this.isAlive(id)).sort((a, b) => a - b);
  }

  /** Of the living ones; a node of which this leader has not heard yet stays, as far as it knows. */
  drainingNodeIds(): readonly NodeId[] {
    return this.aliveNodeIds().filter((id) => this.beatOf(id)?.isDraining === true);
  }
}

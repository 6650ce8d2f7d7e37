/**
 * The seams between the parts of a node that decide (controller), store (replication) and serve (server).
 */
import type { WalrusError } from '../../base/errors.ts';
import type { PeerIdentity } from '../../base/network.ts';
import type { LogIndex, NodeId, SegmentId } from '../../base/units.ts';
import type { Api } from '../../protocol/client/codec.ts';
import type { AckLevel, AppendCallback } from '../replication/pendingAppends.ts';
import type { MetadataChange } from '../state/change.ts';
import type { ApplyResult, ApplyValue, Command } from '../state/commands.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import type { SegmentRecord } from '../state/types.ts';

/** Requests to other nodes and the answering of theirs. A node may call itself: it stays in the process. */
export interface PeerRpc {
  /**
   * Sends a request to a peer address and waits for the answer, at most `timeoutMs`.
   * @throws {WalrusError} What the peer answered; TIMED_OUT when it did not (outcome unknown); OVERLOADED when
   *   too many requests wait.
   */
  call<Request, Response>(
    address: string,
    api: Api<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response>;
  /** Sets the one handler of a request. Views in the request are valid until its first await. */
  handle<Request, Response>(
    api: Api<Request, Response>,
    handler: (request: Request, from: PeerIdentity) => Promise<Response> | Response,
  ): void;
}

/** Proposes a command; resolves with what it came to, once it was applied here. */
export type Propose = (command: Command) => Promise<ApplyValue>;

/** The metadata as this node has applied it, and the way to change it. */
export interface MetadataService {
  readonly metadata: IndexedMetadata;
  /** Whether this node is the Raft leader, as far as it knows. */
  readonly isLeader: boolean;
  /** The metadata leader's peer address; null when none is known. */
  readonly leaderAddress: string | null;
  readonly leaderNodeId: NodeId | null;
  /**
   * Proposes through the leader, and resolves once the command was applied HERE, so that what follows sees it.
   * @throws {WalrusError} TIMED_OUT (outcome unknown), METADATA_UNAVAILABLE (for certain not proposed),
   *   OVERLOADED, SHUTTING_DOWN
   */
  propose(command: Command): Promise<ApplyResult>;
  /**
   * How to propose what only the metadata leader may decide, in the term in which it leads now. Never through another one,
   * which may know better by then: it may have given the node a lease that is taken for dead.
   * @returns a Propose that throws NOT_LEADER (for certain not proposed) once this node does not lead in that term any
   *   more; TIMED_OUT (outcome unknown), OVERLOADED, SHUTTING_DOWN; and what the metadata refuse.
   * @throws {WalrusError} NOT_LEADER
   */
  asLeader(): Propose;
  /**
   * Resolves once everything committed before the call is applied here.
   * @throws {WalrusError} METADATA_UNAVAILABLE
   */
  barrier(): Promise<void>;
  /**
   * Resolves once everything up to an index is applied here.
   * @throws {WalrusError} TIMED_OUT
   */
  applied(index: LogIndex, timeoutMs: number): Promise<void>;
  /** Calls after each applied command or restored snapshot, in order. */
  onApplied(listener: (change: MetadataChange) => void): void;
  /** Calls when this node gains or loses Raft leadership. */
  onLeadership(listener: (isLeader: boolean) => void): void;
}

/** The leader's side of this node's segments, as the server sees it. */
export interface SegmentAppender {
  /**
   * Appends a record batch to an open segment that this node leads; waits (bounded) while the segment is being
   * opened or closed. The batch is patched in place and valid during the call only, unless it has to wait: then it
   * is copied.
   * @param done - Called once. NOT_LEADER names the leader in `details.leader` (node id) where it is known;
   *   retriable errors mean: not appended by this call, or in doubt for TIMED_OUT.
   */
  append(
    partition: { readonly topic: string; readonly partition: number },
    batch: Uint8Array,
    acks: AckLevel,
    done: AppendCallback,
  ): void;
  /** Segments that this node leads at the moment. */
  readonly ledSegmentIds: readonly SegmentId[];
}

/** Runs before a segment that this node leads is closed, and before its successor can serve (shared cursors). */
export type BeforeClose = (segment: SegmentRecord) => Promise<void>;

/** A node's session with the metadata leader. */
export interface Session {
  /**
   * Whether this node may acknowledge writes now (DESIGN section 5, write lease): nobody has been put in its place without its
   * knowing, as far as clocks can tell.
   */
  readonly isFresh: boolean;
  /** Nodes that the metadata leader sees alive, from its last answer. */
  readonly aliveNodeIds: ReadonlySet<NodeId>;
  /** Those of them that do not drain: who can take over what another one leads. */
  readonly stayingNodeIds: ReadonlySet<NodeId>;
  /** The nodes whose copy of a segment is damaged, from the same answer. */
  damagedNodes(segmentId: SegmentId): readonly NodeId[];
  /** Why the node was refused; it must stop serving and end. */
  readonly refusal: WalrusError | null;
}

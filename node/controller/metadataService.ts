/**
 * One node's view of the replicated metadata: proposes through whoever leads Raft, and waits until what was
 * decided is applied here, so that a caller always sees its own changes.
 */
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { WalrusError, isWalrusError } from '../../base/errors.ts';
import { nodeId } from '../../base/units.ts';
import type { LogIndex, NodeId } from '../../base/units.ts';
import { PROPOSE } from '../../protocol/peer/requests.ts';
import { nodeOfServer } from '../raft/types.ts';
import type { RaftNode, RaftStatus, ServerId, StateMachine } from '../raft/types.ts';
import type { MetadataChange } from '../state/change.ts';
import { encodeCommand } from '../state/codec/commandCodec.ts';
import type { ApplyResult, Command } from '../state/commands.ts';
import type { MetadataStateMachine } from '../state/metadataStateMachine.ts';
import type { IndexedMetadata } from '../state/mutableMetadata.ts';
import type { MetadataService, PeerRpc, Propose } from './types.ts';

/** How long a proposal may take before its outcome counts as unknown. */
export const PROPOSE_TIMEOUT_MS = 5000;
/** Results of applied commands that are kept for whoever proposed them. */
const RESULT_COUNT_MAX = 4096;
/** While no leader is known, how often it is looked for. */
const LEADER_POLL_MS = 20;

interface Waiter {
  readonly index: LogIndex;
  resolve(): void;
}

export interface RaftMetadataOptions {
  readonly clock: Clock;
  readonly rpc: PeerRpc;
  readonly stateMachine: MetadataStateMachine;
}

/**
 * Stands between Raft and the state machine: hand `stateMachine` to the Raft node, then call `attach`.
 */
export class RaftMetadata implements MetadataService {
  readonly #options: RaftMetadataOptions;
  readonly #results = new Map<LogIndex, ApplyResult>();
  readonly #leadershipListeners: ((isLeader: boolean) => void)[] = [];
  #waiters: Waiter[] = [];
  #raft: RaftNode | null = null;
  #wasLeader = false;

  constructor(options: RaftMetadataOptions) {
    this.#options = options;
    options.rpc.handle(PROPOSE, async ({ command }) => {
      const { index } = await this.#attached().propose(command.slice());
      return { index };
    });
  }

  /** The state machine for Raft: the real one, with results kept for their proposers. */
  get stateMachine(): StateMachine {
    const machine = this.#options.stateMachine;
    return {
      apply: (index, command) => {
        const result = machine.apply(index, command);
        this.#results.set(index, result);
        this.#forgetResults();
        return result;
      },
      snapshot: () => machine.snapshot(),
      restore: (index, snapshot) => machine.restore(index, snapshot),
    };
  }

  attach(raft: RaftNode): void {
    assert(this.#raft === null, 'A metadata service has one Raft node');
    this.#raft = raft;
    raft.onChange((status) => this.#onChange(status));
  }

  #attached(): RaftNode {
    assert(this.#raft !== null, 'The Raft node is attached before the metadata is used');
    return this.#raft;
  }

  #forgetResults(): void {
    if (this.#results.size <= RESULT_COUNT_MAX) return;
    for (const oldest of this.#results.keys()) {
      this.#results.delete(oldest);
      return;
    }
  }

  get metadata(): IndexedMetadata {
    return this.#options.stateMachine.metadata;
  }

  get isLeader(): boolean {
    return this.#attached().status().role === 'Leader';
  }

  get leaderNodeId(): NodeId | null {
    const leader = this.#attached().status().leaderId;
    return leader === null ? null : nodeId(nodeOfServer(leader));
  }

  get leaderAddress(): string | null {
    const { leaderId, configuration } = this.#attached().status();
    return leaderId === null ? null : this.#addressOf(leaderId, configuration);
  }

  /**
   * What it says itself is newest: all nodes may have moved at once, and none can register before it has found the
   * leader. The registered address is newer than the one in the configuration.
   */
  #addressOf(id: ServerId, configuration: RaftStatus['configuration']): string | null {
    const heard = this.#attached().heardAddressOf(id);
    if (heard !== null) return heard;
    const node = this.metadata.nodes.get(nodeId(nodeOfServer(id)));
    if (node !== undefined) return node.peerAddress;
    const members = [...configuration.voters, ...configuration.learners];
    return members.find((member) => member.id === id)?.address ?? null;
  }

  onApplied(listener: (change: MetadataChange) => void): void {
    this.#options.stateMachine.onApplied(listener);
  }

  onLeadership(listener: (isLeader: boolean) => void): void {
    this.#leadershipListeners.push(listener);
  }

  #onChange(status: RaftStatus): void {
    const ready = this.#waiters.filter((waiter) => waiter.index <= status.lastApplied);
    if (ready.length > 0) {
      this.#waiters = this.#waiters.filter((waiter) => waiter.index > status.lastApplied);
      for (const waiter of ready) waiter.resolve();
    }
    const isLeader = status.role === 'Leader';
    if (isLeader === this.#wasLeader) return;
    this.#wasLeader = isLeader;
    for (const listener of this.#leadershipListeners) listener(isLeader);
  }

  async propose(command: Command): Promise<ApplyResult> {
    const deadlineMs = this.#options.clock.monotonicMs() + PROPOSE_TIMEOUT_MS;
    const bytes = encodeCommand(command);
    for (;;) {
      const index = await this.#proposeOnce(bytes, deadlineMs);
      if (index !== null) return await this.#resultAt(index, deadlineMs);
      if (this.#options.clock.monotonicMs() + LEADER_POLL_MS > deadlineMs) {
        const waited = `no leader took it within ${PROPOSE_TIMEOUT_MS} ms`;
        throw new WalrusError('METADATA_UNAVAILABLE', `Cannot change the metadata: ${waited}`);
      }
      await this.#sleep(LEADER_POLL_MS);
    }
  }

  asLeader(): Propose {
    const raft = this.#attached();
    const { role, currentTerm } = raft.status();
    if (role !== 'Leader') {
      throw new WalrusError('NOT_LEADER', 'This node does not lead the metadata');
    }
    return async (command) => {
      const deadlineMs = this.#options.clock.monotonicMs() + PROPOSE_TIMEOUT_MS;
      const { index } = await raft.propose(encodeCommand(command), currentTerm);
      const result = await this.#resultAt(index, deadlineMs);
      if (!result.ok) throw new WalrusError(result.code, result.message);
      return result.value;
    };
  }

  /** null: for certain not proposed, the leader has to be found again. */
  async #proposeOnce(command: Uint8Array, deadlineMs: number): Promise<LogIndex | null> {
    try {
      if (this.isLeader) return (await this.#attached().propose(command)).index;
      const address = this.leaderAddress;
      if (address === null) return null;
      const timeoutMs = deadlineMs - this.#options.clock.monotonicMs();
      return (await this.#options.rpc.call(address, PROPOSE, { command }, timeoutMs)).index;
    } catch (error) {
      if (isWalrusError(error, 'NOT_LEADER', 'CONNECTION_FAILED')) return null;
      throw error;
    }
  }

  async #resultAt(index: LogIndex, deadlineMs: number): Promise<ApplyResult> {
    const timeoutMs = Math.max(1, deadlineMs - this.#options.clock.monotonicMs());
    await this.applied(index, timeoutMs);
    const result = this.#results.get(index);
    if (result === undefined) {
      // Applied by way of a snapshot: the command took place, but what it came to is not known here.
      throw new WalrusError(
        'TIMED_OUT',
        `The outcome of the metadata change at ${index} is unknown`,
      );
    }
    return result;
  }

  applied(index: LogIndex, timeoutMs: number): Promise<void> {
    if (this.#attached().status().lastApplied >= index) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimer(timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(
          new WalrusError('TIMED_OUT', `The metadata change at ${index} is not applied here yet`),
        );
      });
      const waiter: Waiter = {
        index,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      };
      this.#waiters.push(waiter);
    });
  }

  async barrier(): Promise<void> {
    try {
      await this.#attached().readBarrier();
    } catch (cause) {
      if (!isWalrusError(cause)) throw cause;
      throw new WalrusError('METADATA_UNAVAILABLE', `Cannot read the metadata: ${cause.message}`, {
        cause,
      });
    }
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.setTimer(delayMs, resolve));
  }
}

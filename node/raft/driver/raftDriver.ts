/**
 * One server's Raft: the pure core with a log, a timer, messages and a state machine.
 *
 * It is silent until somebody who has asked its peers calls `admit` (ADR 0011, 0121), and judges the boots of peers.
 *
 * Events are handled one after the other; each output is acted on in the order of events.ts before the next
 * event. Group commit: one write for the proposals that are there, one sync at a time; what arrives while it is
 * under way forms the next batch, and followers get the entries while the leader's own sync runs.
 * A failed write or sync, and damage, are final: `onFatal`, and nothing is said to anybody afterwards.
 */
import { assertDefined } from '../../../base/assert.ts';
import type { Timer } from '../../../base/clock.ts';
import { isWalrusError, WalrusError } from '../../../base/errors.ts';
import { randomHex } from '../../../base/random.ts';
import { logIndex } from '../../../base/units.ts';
import type { LogIndex, Term } from '../../../base/units.ts';
import type { Entry } from '../entry.ts';
import type { RaftEvent, RaftOutput } from '../events.ts';
import type { SnapshotInfo } from '../snapshotInfo.ts';
import type { RaftLog } from '../log/raftLog.ts';
import { latestConfiguration, newRaft } from '../raft.ts';
import type { Raft } from '../raft.ts';
import { judgeBoot, nextBoot } from '../boot/boot.ts';
import type { Boot, OwnBoot } from '../boot/boot.ts';
import { BootTable } from '../boot/bootTable.ts';
import { snapshotsInUse } from '../snapshot.ts';
import { step } from '../step.ts';
import type {
  IndexedConfiguration,
  MembershipChange,
  RaftNode,
  RaftStatus,
  ServerId,
} from '../types.ts';
import { errorOf, notLeader, overloaded, shuttingDown } from './failures.ts';
import { openLog } from './openLog.ts';
import { DEFAULT_DRIVER_SETTINGS } from './options.ts';
import type { RaftDriverOptions, RaftDriverSettings } from './options.ts';
import { PendingProposals } from './pendingProposals.ts';
import type { Waiter } from './pendingProposals.ts';
import { PeerMessages } from './peerMessages.ts';
import { PendingReads } from './pendingReads.ts';
import { SnapshotKeeper } from './snapshotKeeper.ts';
import { statusOf } from './status.ts';
import type { Caller, TransferWaiter } from './waiters.ts';

/** Of a boot. */
const NONCE_BYTES = 16;

export class RaftDriver implements RaftNode {
  readonly #options: RaftDriverOptions;
  readonly #settings: RaftDriverSettings;
  readonly #boots: BootTable;
  readonly #log: RaftLog;
  readonly #raft: Raft;
  readonly #peers: PeerMessages;
  readonly #proposals = new PendingProposals();
  readonly #reads: PendingReads;
  readonly #snapshots: SnapshotKeeper;
  readonly #listeners: ((status: RaftStatus) => void)[] = [];
  readonly #events: { readonly event: RaftEvent; readonly caller?: Caller | undefined }[] = [];
  #isPumping = false;
  #isStopped = false;
  #isFlushScheduled = false;
  #hasChanged = false;
  #timer: Timer | null = null;
  #transfer: TransferWaiter | null = null;
  /** The newest log write, and whether a sync is under way. */
  #writtenId = 0;
  #persistedId = 0;
  #isSyncing = false;

  /**
   * Opens the log, begins a boot and starts the server, which promises nothing before `admit`.
   * @throws {WalrusError} DISK_REFUSED, CORRUPT_SEGMENT, UNSUPPORTED_VERSION, DISK_FULL, DISK_FAILED.
   */
  constructor(options: RaftDriverOptions) {
    this.#options = options;
    const settings = { ...DEFAULT_DRIVER_SETTINGS, ...options.settings };
    this.#settings = settings;
    const { disk, directory, random, id } = options;
    this.#boots = BootTable.begin(disk, directory, (last) =>
      nextBoot(last, () => randomHex(random, NONCE_BYTES)),
    );
    this.#log = openLog({ disk, directory, segmentBytes: settings.segmentBytes }, options);
    const { persisted, snapshotData } = this.#log.recovered;
    if (persisted.snapshot !== null && snapshotData !== null)
      options.stateMachine.restore(persisted.snapshot.index, snapshotData);
    this.#raft = newRaft({ id, random, persisted, options: options.raftOptions ?? {} });
    this.#peers = new PeerMessages({ ...options, raft: this.#raft, log: this.#log });
    this.#reads = new PendingReads(random);
    this.#snapshots = new SnapshotKeeper({
      ...options,
      settings,
      raft: this.#raft,
      log: this.#log,
      onTaken: (snapshot) => this.#handle({ type: 'SnapshotTaken', snapshot }),
      onFailed: (error) => this.#fail(error),
    });
    this.#handle({ type: 'SetAdmitted', isAdmitted: false });
    this.#armTimer();
  }

  propose(
    command: Uint8Array,
    term?: Term,
  ): Promise<{ readonly index: LogIndex; readonly result: unknown }> {
    return new Promise((resolve, reject) => {
      const refusal = this.#whyRefused(command, term);
      if (refusal !== null) {
        reject(refusal);
        return;
      }
      this.#proposals.enqueue(command, { resolve, reject });
      this.#scheduleFlush();
    });
  }

  /** What is taken waits in the queue, which is emptied when the leadership ends: it is never proposed in a later term. */
  #whyRefused(command: Uint8Array, term: Term | undefined): WalrusError | null {
    const { commandBytesMax, proposalsMax, proposalBytesMax } = this.#settings;
    if (this.#isStopped) return shuttingDown();
    const { role, currentTerm, leaderId } = this.#raft;
    if (role !== 'Leader' || (term ?? currentTerm) !== currentTerm) return notLeader(leaderId);
    if (command.length > commandBytesMax)
      return new WalrusError(
        'TOO_LARGE',
        `Cannot propose ${command.length} bytes: a command has at most ${commandBytesMax}`,
      );
    const isFull =
      this.#proposals.count >= proposalsMax ||
      this.#proposals.queuedBytes + command.length > proposalBytesMax;
    return isFull ? overloaded('propose: too many proposals are waiting') : null;
  }

  readBarrier(): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) reject(shuttingDown());
      else if (this.#reads.count >= this.#settings.readsMax)
        reject(overloaded('read: too many reads are waiting'));
      else {
        this.#reads.gather({ resolve, reject });
        this.#scheduleFlush();
      }
    });
  }

  changeMembership(change: MembershipChange): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) {
        reject(shuttingDown());
        return;
      }
      const waiter: Waiter = { resolve: ({ index }) => resolve(index), reject };
      const look = ({ proposed, rejected }: RaftOutput): void => {
        if (proposed === null) reject(errorOf(rejected));
        else this.#proposals.appended(proposed.firstIndex, proposed.term, waiter);
      };
      this.#handle({ type: 'ProposeMembership', change }, { look, reject });
    });
  }

  transferLeadership(to: ServerId): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) {
        reject(shuttingDown());
        return;
      }
      const look = ({ rejected }: RaftOutput): void => {
        if (rejected !== null) reject(errorOf(rejected));
        else this.#transfer = { resolve, reject };
      };
      this.#handle({ type: 'TransferLeadership', to }, { look, reject });
    });
  }

  receive(from: ServerId, bytes: Uint8Array): void {
    if (this.#isStopped) return;
    // A call from within `send` waits for its turn, and the bytes are valid during the call only.
    const message = this.#peers.decode(from, this.#isPumping ? bytes.slice() : bytes);
    if (message !== null) this.#handle({ type: 'Receive', from, message });
  }

  /** The connection to a server is gone: what was in flight to it will be sent again. */
  peerUnreachable(id: ServerId): void {
    if (!this.#isStopped) this.#handle({ type: 'PeerUnreachable', id });
  }

  /** The boot of this process, for peers to confirm. */
  get boot(): OwnBoot {
    return this.#boots.own;
  }

  /**
   * From here on this server may promise something: votes, acknowledgements, leadership. Noted durably before.
   * A repeat does nothing.
   */
  admit(): void {
    if (this.#isStopped || this.#raft.isAdmitted) return;
    this.#orFail(() => this.#boots.noteAdmitted());
    if (this.#hasFailed()) return;
    this.#handle({ type: 'SetAdmitted', isAdmitted: true });
    const { voters } = latestConfiguration(this.#raft).configuration;
    // Nobody else could lead: no need to wait for a time-out.
    if (voters.length === 1 && voters[0]?.id === this.#raft.id) this.#handle({ type: 'Campaign' });
  }

  /**
   * Confirms a boot of another server, durably; needs no admission itself, or a cluster that was switched off would
   * not start again.
   * @returns null, or the boot that was confirmed instead: the one that is asked for is refused.
   * @throws {WalrusError} SHUTTING_DOWN
   */
  confirmBoot(id: ServerId, asked: Boot): Boot | null {
    const heard = this.#boots.heard(id);
    const verdict = judgeBoot(heard, asked);
    if (verdict === 'New') this.#orFail(() => this.#boots.hear(id, asked));
    if (this.#hasFailed()) throw shuttingDown();
    return verdict === 'Refused' ? assertDefined(heard, 'A refusal has its reason') : null;
  }

  heardAddressOf(id: ServerId): string | null {
    return this.#peers.heardAddressOf(id);
  }

  /** Notes where a server is: newer than what the configuration says. */
  learnAddress(id: ServerId, address: string): void {
    this.#peers.learnAddress(id, address);
  }

  /** The newest configuration of the log, which may not be committed. */
  latestConfiguration(): IndexedConfiguration {
    return latestConfiguration(this.#raft);
  }

  status(): RaftStatus {
    return statusOf(this.#raft);
  }

  onChange(listener: (status: RaftStatus) => void): void {
    this.#listeners.push(listener);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const { caller } of this.#events.splice(0)) caller?.reject(shuttingDown());
    this.#proposals.failAll(shuttingDown);
    this.#reads.failAll(shuttingDown());
    this.#transfer?.reject(shuttingDown());
    this.#transfer = null;
    this.#snapshots.stop();
    this.#log.close();
    this.#boots.close();
  }

  #armTimer(): void {
    this.#timer = this.#options.clock.setTimer(this.#settings.tickMs, () => {
      if (this.#isStopped) return;
      this.#armTimer();
      this.#tick();
    });
  }

  #tick(): void {
    this.#handle({ type: 'Tick' });
    for (const context of this.#reads.tick(this.#options.clock.monotonicMs()))
      this.#handle({ type: 'ReadIndex', context });
    this.#orFail(() => this.#log.prepareSpare());
  }

  /** Handles what was proposed and asked in this turn together, at its end. */
  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#options.clock.defer(() => {
      this.#isFlushScheduled = false;
      if (this.#isStopped) return;
      const nowMs = this.#options.clock.monotonicMs();
      const context = this.#reads.startGroup(nowMs + this.#settings.readTimeoutMs);
      if (context !== null) this.#handle({ type: 'ReadIndex', context });
      this.#flushProposals();
    });
  }

  /** Proposes what is queued, unless a sync is under way: then it forms the next batch. */
  #flushProposals(): void {
    if (this.#isSyncing || this.#isStopped || this.#proposals.queuedCount === 0) return;
    const batch = this.#proposals.takeBatch(this.#settings.batchBytesMax);
    const commands = batch.map(({ command }) => command);
    const rejectAll = (error: WalrusError): void => {
      for (const { waiter } of batch) waiter.reject(error);
    };
    const look = ({ proposed, rejected }: RaftOutput): void => {
      if (proposed === null) rejectAll(errorOf(rejected));
      else this.#proposals.batchAppended(proposed.firstIndex, proposed.term, batch);
    };
    this.#handle({ type: 'Propose', commands }, { look, reject: rejectAll });
  }

  /** Handles an event, after those that came before it. */
  #handle(event: RaftEvent, caller?: Caller): void {
    this.#events.push({ event, caller });
    this.#pump();
  }

  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const output = step(this.#raft, next.event);
      next.caller?.look(output);
      this.#orFail(() => this.#act(output));
    }
    this.#isPumping = false;
    this.#notify();
  }

  /** Runs what touches the disk or the state machine; a failure ends the server. */
  #orFail(act: () => void): void {
    if (this.#isStopped) return;
    try {
      act();
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      this.#fail(error);
    }
  }

  /** Whether a call in between has stopped this server. */
  #hasFailed(): boolean {
    return this.#isStopped;
  }

  #fail(error: WalrusError): void {
    if (this.#isStopped) return;
    this.#options.logger.log('error', 'Raft stops: its disk has failed', { error: error.message });
    this.stop();
    this.#options.onFatal(error);
  }

  #notify(): void {
    if (!this.#hasChanged || this.#isStopped) return;
    this.#hasChanged = false;
    if (this.#listeners.length === 0) return;
    const status = this.status();
    for (const listener of this.#listeners) listener(status);
  }

  /** Acts on an output; the order matters (events.ts). */
  #act(output: RaftOutput): void {
    if (output.hardState !== null) this.#log.saveHardState(output.hardState);
    for (const { prevIndex, entries, writeId } of output.writes) {
      this.#log.append(prevIndex, entries);
      this.#writtenId = writeId;
    }
    this.#startSync();
    if (output.snapshotChunk !== null) this.#snapshots.keepChunk(output.snapshotChunk);
    if (output.installSnapshot !== null) this.#installSnapshot(output.installSnapshot);
    if (output.compactTo !== null) this.#compact(output.compactTo);
    for (const envelope of output.messages) this.#peers.send(envelope);
    if (output.committed !== null) this.#apply(output.committed.from, output.committed.to);
    for (const { context, index } of output.readStates) this.#reads.answered(context, index);
    if (output.readStates.length > 0) this.#reads.applied(this.#raft.lastApplied);
    this.#followRole(output);
  }

  #startSync(): void {
    if (this.#isSyncing || this.#writtenId === this.#persistedId) return;
    this.#isSyncing = true;
    const writeId = this.#writtenId;
    this.#log.syncAsync((error) => {
      this.#isSyncing = false;
      if (this.#isStopped) return;
      if (error !== null) {
        this.#fail(error);
        return;
      }
      this.#persistedId = writeId;
      this.#handle({ type: 'Persisted', writeId });
      this.#orFail(() => {
        this.#startSync();
        this.#flushProposals();
        if (!this.#isSyncing) this.#log.mark();
      });
    });
  }

  #apply(from: LogIndex, to: LogIndex): void {
    let index = from;
    for (const entry of this.#log.entries(from, to)) {
      this.#snapshots.applied(entry.payload.length);
      this.#proposals.applied(index, entry.term, this.#applyOne(index, entry));
      index = logIndex(index + 1);
    }
    this.#hasChanged = true;
    this.#events.push({ event: { type: 'Applied', index: to } });
    this.#reads.applied(to);
    this.#snapshots.takeIfDue(to);
  }

  #applyOne(index: LogIndex, entry: Entry): unknown {
    return entry.type === 'Command'
      ? this.#options.stateMachine.apply(index, entry.payload)
      : undefined;
  }

  #installSnapshot(snapshot: SnapshotInfo): void {
    const event = this.#snapshots.install(snapshot);
    if (event.type === 'SnapshotPersisted') this.#hasChanged = true;
    this.#events.push({ event });
  }

  #compact(index: LogIndex): void {
    this.#log.compactTo(index, snapshotsInUse(this.#raft));
  }

  #followRole({ roleChange, transferAborted }: RaftOutput): void {
    if (transferAborted) {
      this.#transfer?.reject(
        new WalrusError('TIMED_OUT', 'Cannot transfer leadership: the target did not take over'),
      );
      this.#transfer = null;
    }
    if (roleChange === null) return;
    this.#hasChanged = true;
    const { role, leaderId, currentTerm } = roleChange;
    this.#options.logger.log('info', 'Raft role', { role, leader: leaderId, term: currentTerm });
    // Reads that waited for a leader are asked again at once by the next tick.
    if (role === 'Leader') return;
    this.#proposals.failAll(() => notLeader(this.#raft.leaderId));
    this.#transfer?.resolve();
    this.#transfer = null;
  }
}

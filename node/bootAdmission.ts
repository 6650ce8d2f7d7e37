/**
 * How a process comes to be admitted to the metadata's Raft, and how it admits others (ADR 0121). What the answers
 * amount to is decided in node/raft/boot; this asks, waits and answers.
 *
 * A process is admitted by its peers, or by the metadata: a registration that was committed after it began, and so
 * without any promise of its own, proves that a majority of the others holds all that it may have promised before.
 * That is how a server comes in that knows no members yet.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { randomHex } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { BOOT } from '../protocol/peer/boot.ts';
import type { BootRequest, BootResponse } from '../protocol/peer/boot.ts';
import type { PeerRpc } from './controller/types.ts';
import { Admission } from './raft/boot/admission.ts';
import { membersOf } from './raft/configuration.ts';
import type { RaftDriver } from './raft/driver/raftDriver.ts';
import type { NodeId } from '../base/units.ts';
import { serverId } from './raft/types.ts';
import type { ServerId } from './raft/types.ts';
import type { Metadata } from './state/types.ts';
import type { DiskIdentity } from './storage/types.ts';

/** How long one question waits for its answer before it is asked again. */
const ASK_TIMEOUT_MS = 200;
/** Between two looks at who has not answered: the log may have brought new members. */
const PASS_INTERVAL_MS = 50;
const PROCESS_ID_BYTES = 16;

export interface BootAdmissionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly rpc: PeerRpc;
  readonly identity: DiskIdentity;
  readonly raft: RaftDriver;
  /** Peer addresses of members as the settings say: they may be newer than those in the log. */
  readonly join: readonly string[];
  /** Where this node is reached. */
  readonly ownAddress: string;
  /** How long all members are waited for before a majority is enough: an election time-out. */
  readonly patienceMs: number;
  /** The boot is refused: this node must stop. */
  readonly onRefused: (error: WalrusError) => void;
}

/** Asks the members to confirm this process's boot, until it is admitted or refused. */
export class BootAdmission {
  readonly #options: BootAdmissionOptions;
  readonly #process: string;
  readonly #id: ServerId;
  readonly #admission: Admission;
  /** Addresses with a question under way. */
  readonly #asked = new Set<string>();
  /** Given addresses that have answered: only once, for they may be nobody's that counts. */
  readonly #answered = new Set<string>();
  readonly #timers: { pass: Timer | null; patience: Timer | null } = { pass: null, patience: null };
  #hasWaited = false;
  #isOver = false;
  #isAdmitted = false;

  constructor(options: BootAdmissionOptions) {
    this.#options = options;
    const { identity, random } = options;
    this.#process = randomHex(random, PROCESS_ID_BYTES);
    this.#id = serverId(identity.nodeId, identity.diskId);
    this.#admission = new Admission(this.#id, this.#process);
  }

  get isAdmitted(): boolean {
    return this.#isAdmitted;
  }

  start(): void {
    const { clock, patienceMs } = this.#options;
    this.#timers.patience = clock.setTimer(patienceMs, () => {
      this.#hasWaited = true;
      this.#decide();
    });
    this.#pass();
  }

  stop(): void {
    this.#isOver = true;
    this.#timers.pass?.cancel();
    this.#timers.patience?.cancel();
  }

  /** The metadata have taken a registration that this process has asked for. */
  registered(): void {
    if (!this.#isOver) this.#admit('the metadata');
  }

  #pass(): void {
    this.#decide();
    if (this.#isOver) return;
    for (const address of this.#addressesToAsk()) void this.#ask(address);
    this.#timers.pass = this.#options.clock.setTimer(PASS_INTERVAL_MS, () => this.#pass());
  }

  #addressesToAsk(): ReadonlySet<string> {
    const { raft, join, ownAddress } = this.#options;
    const members = membersOf(raft.status().configuration)
      .filter(({ id }) => id !== this.#id && !this.#admission.hasConfirmed(id))
      .map(({ id, address }) => raft.addressOf(id) ?? address);
    const given = join.filter((address) => !this.#answered.has(address));
    const wanted = [...members, ...given].filter(
      (address) => address !== ownAddress && !this.#asked.has(address),
    );
    return new Set(wanted);
  }

  async #ask(address: string): Promise<void> {
    const { rpc, logger } = this.#options;
    this.#asked.add(address);
    try {
      const answer = await rpc.call(address, BOOT, this.#request(), ASK_TIMEOUT_MS);
      this.#heardFrom(address, answer);
    } catch (error) {
      if (!isWalrusError(error)) throw error;
      logger.log('debug', 'a member does not confirm this start yet', {
        address,
        code: error.code,
      });
    } finally {
      this.#asked.delete(address);
    }
  }

  #request(): BootRequest {
    const { identity, raft } = this.#options;
    const { epoch, nonce } = raft.boot;
    return {
      nodeId: identity.nodeId,
      diskId: identity.diskId,
      epoch,
      nonce,
      diskBootEpoch: identity.bootEpoch,
      diskBootNonce: identity.bootNonce,
      process: this.#process,
    };
  }

  #heardFrom(address: string, { nodeId, diskId, process, refusal }: BootResponse): void {
    if (this.#isOver) return;
    const from = serverId(nodeId, diskId);
    if (process === this.#process) this.#answered.add(address);
    this.#options.raft.learnAddress(from, address);
    this.#admission.answered(from, { process, refusal: refusal ?? null });
    this.#decide();
  }

  #decide(): void {
    if (this.#isOver) return;
    const { raft } = this.#options;
    const state = this.#admission.decide(raft.status().configuration, this.#hasWaited);
    if (state.type === 'Admitted') this.#admit('the members');
    if (state.type !== 'Refused') return;
    this.stop();
    this.#options.onRefused(new WalrusError('DISK_REFUSED', state.refusal));
  }

  #admit(by: string): void {
    this.stop();
    this.#isAdmitted = true;
    const { raft, logger } = this.#options;
    logger.log('info', 'this start is admitted', { by, boot: raft.boot.epoch });
    raft.admit();
  }
}

export interface BootJudgeOptions {
  readonly rpc: PeerRpc;
  readonly identity: DiskIdentity;
  readonly raft: RaftDriver;
  /** What this node has applied of the metadata. */
  readonly metadata: () => Metadata;
}

/** Answers those who ask to have their boot confirmed. */
export function serveBoots({ rpc, identity, raft, metadata }: BootJudgeOptions): void {
  const { nodeId, diskId } = identity;
  rpc.handle(BOOT, (request, from) => {
    const id = serverId(request.nodeId, request.diskId);
    raft.learnAddress(id, from.address);
    // What is applied here counts as heard: so a member that joined late knows of earlier lives.
    const refusal =
      refusalByMetadata(metadata(), request, nodeId) ?? refusalByPeer(raft, request, nodeId);
    return { nodeId, diskId, process: request.process, refusal };
  });
}

/** What the metadata say against a boot. */
function refusalByMetadata(
  metadata: Metadata,
  request: BootRequest,
  by: NodeId,
): string | undefined {
  const disk = metadata.disks.get(request.diskId);
  if (disk === undefined) return undefined;
  if (disk.state === 'LOST') {
    return (
      `Disk ${disk.diskId} of node ${disk.nodeId} was declared lost and cannot come back: ` +
      'give the node an empty data directory, so that it joins with a new disk'
    );
  }
  const { bootEpoch, bootNonce } = disk;
  const asked = request.diskBootEpoch;
  const isOther = asked === bootEpoch && request.diskBootNonce !== bootNonce;
  return asked < bootEpoch || isOther ? refusalOf(request, by, [asked, bootEpoch]) : undefined;
}

/** What this server has confirmed of a later boot. */
function refusalByPeer(raft: RaftDriver, request: BootRequest, by: NodeId): string | undefined {
  const { nodeId, diskId, epoch, nonce } = request;
  const known = raft.confirmBoot(serverId(nodeId, diskId), { epoch, nonce });
  return known === null ? undefined : refusalOf(request, by, [epoch, known.epoch]);
}

function refusalOf(
  { nodeId, diskId }: BootRequest,
  by: NodeId,
  [asked, known]: readonly [number, number],
): string {
  const problem =
    asked === known
      ? `its start ${asked} was already made by another copy of it`
      : `it begins its start ${asked}, and node ${by} has seen its start ${known}`;
  return (
    `Disk ${diskId} of node ${nodeId} is an older state or a copy of that disk: ${problem}. ` +
    'It may lack what it has acknowledged, so it counts as lost: empty the data directory and start the node ' +
    'with --replace-disk; the cluster copies its data back'
  );
}

/**
 * How a process comes to be admitted to the metadata's Raft, and how it admits others (ADR 0121). What the answers
 * amount to is decided in node/raft/boot; this asks, waits and answers.
 *
 * It asks the members of the newest configuration that it knows, those of its own log's, and the addresses of the
 * settings; again and again while it waits, since what they know may change. So a server that knows no members yet
 * hears of them from any one of them.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { WalrusError, isWalrusError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { randomHex } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { logIndex, nodeId, term } from '../base/units.ts';
import type { NodeId } from '../base/units.ts';
import { BOOT } from '../protocol/peer/boot.ts';
import type { BootMember, BootRequest, BootResponse } from '../protocol/peer/boot.ts';
import type { PeerRpc } from './controller/types.ts';
import { Admission } from './raft/boot/admission.ts';
import { membersOf } from './raft/configuration.ts';
import type { RaftDriver } from './raft/driver/raftDriver.ts';
import { diskOfServer, nodeOfServer, serverId } from './raft/types.ts';
import type { IndexedConfiguration, Member, ServerId } from './raft/types.ts';
import type { Metadata } from './state/types.ts';
import type { DiskIdentity } from './storage/types.ts';

/** How long one question waits for its answer before it is asked again. */
const ASK_TIMEOUT_MS = 200;
/** Between two looks at whom to ask: the log, or an answer, may have brought new members. */
const PASS_INTERVAL_MS = 50;
/** After an answer, until the same address is asked again. Well below the lifetime of an answer. */
const RENEWAL_MS = 200;
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
  /** When addresses have answered. */
  readonly #answeredAtMs = new Map<string, number>();
  readonly #timers: { pass: Timer | null; patience: Timer | null } = { pass: null, patience: null };
  #hasWaited = false;
  #isOver = false;
  #isAdmitted = false;
  readonly #over = Promise.withResolvers<undefined>();

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

  /** Resolves when this process is admitted or refused, or is told to stop. */
  get over(): Promise<unknown> {
    return this.#over.promise;
  }

  start(): void {
    const { clock, patienceMs } = this.#options;
    this.#timers.patience = clock.setTimer(patienceMs, () => {
      this.#hasWaited = true;
      this.#decide();
      if (this.#isOver) return;
      this.#options.logger.log(
        'info',
        'this start waits for a majority of the voters to confirm it',
      );
    });
    this.#pass();
  }

  stop(): void {
    this.#isOver = true;
    this.#timers.pass?.cancel();
    this.#timers.patience?.cancel();
    this.#over.resolve(undefined);
  }

  #pass(): void {
    this.#admission.forgetSilent(this.#options.clock.monotonicMs());
    this.#decide();
    if (this.#isOver) return;
    for (const address of this.#addressesToAsk()) void this.#ask(address);
    this.#timers.pass = this.#options.clock.setTimer(PASS_INTERVAL_MS, () => this.#pass());
  }

  #addressesToAsk(): ReadonlySet<string> {
    const { clock, raft, join, ownAddress } = this.#options;
    const own = raft.latestConfiguration();
    const members = [...membersOf(this.#admission.newest(own)), ...membersOf(own.configuration)]
      .filter(({ id }) => id !== this.#id)
      .flatMap(({ id, address }) => [raft.heardAddressOf(id) ?? address, address]);
    const soonerMs = clock.monotonicMs() - RENEWAL_MS;
    const isDue = (address: string): boolean =>
      !this.#asked.has(address) && (this.#answeredAtMs.get(address) ?? soonerMs) <= soonerMs;
    return new Set(
      [...members, ...join].filter((address) => address !== ownAddress && isDue(address)),
    );
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

  #heardFrom(address: string, response: BootResponse): void {
    if (this.#isOver) return;
    const { clock, raft } = this.#options;
    const nowMs = clock.monotonicMs();
    const from = serverId(response.nodeId, response.diskId);
    this.#answeredAtMs.set(address, nowMs);
    raft.learnAddress(from, address);
    const { process, refusal } = response;
    const answer = { process, refusal: refusal ?? null, configuration: configurationIn(response) };
    this.#admission.answered(from, answer, nowMs);
    this.#decide();
  }

  #decide(): void {
    if (this.#isOver) return;
    const { raft } = this.#options;
    const state = this.#admission.decide(raft.latestConfiguration(), this.#hasWaited);
    if (state.type === 'Admitted') this.#admit();
    if (state.type !== 'Refused') return;
    this.stop();
    this.#options.onRefused(new WalrusError('DISK_REFUSED', state.refusal));
  }

  #admit(): void {
    this.stop();
    this.#isAdmitted = true;
    const { raft, logger } = this.#options;
    logger.log('info', 'this start is admitted', { boot: raft.boot.epoch });
    raft.admit();
  }
}

/** The configuration that came with an answer. */
function configurationIn(response: BootResponse): IndexedConfiguration {
  const memberOf = ({ nodeId, diskId, address }: BootMember): Member => ({
    id: serverId(nodeId, diskId),
    address,
  });
  return {
    term: term(response.configurationTerm),
    index: logIndex(response.configurationIndex),
    configuration: {
      voters: response.voters.map(memberOf),
      learners: response.learners.map(memberOf),
    },
  };
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
    return { nodeId, diskId, process: request.process, refusal, ...latestConfigurationOf(raft) };
  });
}

type AnsweredConfiguration = Pick<
  BootResponse,
  'configurationTerm' | 'configurationIndex' | 'voters' | 'learners'
>;

/** The newest configuration of this server's log, with the newest addresses that it has heard. */
function latestConfigurationOf(raft: RaftDriver): AnsweredConfiguration {
  const { term: configurationTerm, index, configuration } = raft.latestConfiguration();
  const describe = ({ id, address }: Member): BootMember => ({
    nodeId: nodeId(nodeOfServer(id)),
    diskId: diskOfServer(id),
    address: raft.heardAddressOf(id) ?? address,
  });
  return {
    configurationTerm,
    configurationIndex: index,
    voters: configuration.voters.map(describe),
    learners: configuration.learners.map(describe),
  };
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
    'Of two copies only the one that was started first can go on. If that is the wrong one, stop it, give the disk up ' +
    '(walrus cluster mark-disk-lost), and keep this directory until no segment lacks a copy (walrus segment list). ' +
    'Otherwise this one may lack what it has acknowledged and counts as lost: ' +
    'empty the data directory and start the node with --replace-disk; the cluster copies its data back'
  );
}

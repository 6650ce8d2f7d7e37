/**
 * A random run of a cluster under faults, all of it drawn from one seed: first chaos, in which every step is
 * checked, then everything is healed and progress is required.
 */
import { AssertionError } from '../../../base/assert.ts';
import { between, chance, pick, SeededRandom } from '../../../base/random.ts';
import type { Random } from '../../../base/random.ts';
import type { Bugs } from '../bugs.ts';
import { decodeMessage } from '../messageCodec.ts';
import { latestConfiguration } from '../raft.ts';
import type { RaftOptions } from '../raft.ts';
import type { MembershipChange, ServerId } from '../types.ts';
import { allCheckers } from './checkers/all.ts';
import { idOf, memberOf, SimCluster, Violation } from './simCluster.ts';
import type { Packet } from './simCluster.ts';

/** Small limits, so that every path is taken within few steps. */
const RAFT_OPTIONS: Partial<RaftOptions> = {
  heartbeatTicks: 1,
  appendBytesMax: 60,
  inFlightMessagesMax: 3,
  inFlightBytesMax: 150,
  snapshotChunkBytes: 5,
  trailingEntries: 4,
  promoteLagMax: 5,
  readsMax: 8,
};
const PACKETS_MAX = 60;

/** How often things go wrong in one run; drawn anew for each seed ("swarm"). */
interface Faults {
  readonly loss: number;
  readonly duplicate: number;
  readonly crash: number;
  readonly restart: number;
  readonly partition: number;
  /** The leader is cut off, with its clock standing still; as often, that ends. */
  readonly isolate: number;
  /** Of the crashes: those that are followed by a restart at once. */
  readonly restartAtOnce: number;
  /** A crash after a vote or a commit. */
  readonly crashAtWorst: number;
  /** A server stands for election out of turn. */
  readonly campaign: number;
  readonly serverCount: number;
  readonly electionTicksMin: number;
  readonly membership: number;
  readonly snapshot: number;
  readonly transfer: number;
  /** How eager the disks are. */
  readonly persist: number;
}

/** Three kinds of runs: steady ones, ones in which leaders come and go, ones with a leader that is cut off. */
function drawFaults(random: Random): Faults {
  const kind = pick(random, ['Steady', 'Churn', 'Isolation'] as const);
  const isChurn = kind === 'Churn';
  return {
    loss: isChurn ? pick(random, [0.02, 0.1, 0.2]) : pick(random, [0, 0.02, 0.2]),
    duplicate: pick(random, [0, 0.05]),
    crash: isChurn ? pick(random, [0.003, 0.01]) : pick(random, [0, 0.004, 0.02]),
    restart: isChurn ? 0.2 : pick(random, [0.03, 0.1]),
    restartAtOnce: isChurn ? 0.9 : 0,
    crashAtWorst: isChurn ? pick(random, [0.1, 0.3, 0.5]) : 0,
    partition: kind === 'Isolation' ? 0 : pick(random, [0, 0.005, 0.02]),
    isolate: kind === 'Isolation' ? 0.005 : 0,
    campaign: isChurn ? pick(random, [0.02, 0.1]) : pick(random, [0, 0.02]),
    membership: isChurn ? 0 : pick(random, [0, 0.01, 0.03]),
    snapshot: pick(random, [0, 0.005, 0.03]),
    transfer: pick(random, [0, 0.003, 0.02]),
    persist: isChurn ? 0.6 : pick(random, [0.1, 0.3, 0.6]),
    serverCount: isChurn ? 3 : 5,
    electionTicksMin: isChurn ? 3 : 4,
  };
}

export interface RandomRunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly bugs?: Partial<Bugs>;
  /** Whether progress is required at the end. */
  readonly requireProgress?: boolean;
}

export interface RunResult {
  readonly violation: string | null;
  readonly property: string | null;
  readonly stepCount: number;
  readonly commitIndex: number;
  readonly leaderTerms: number;
  /** A digest of the whole run: the same for the same seed. */
  readonly digest: string;
}

/** Runs one seed; a violation is a result, not an error. */
export function randomRun(options: RandomRunOptions): RunResult {
  const run = new RandomRun(options);
  try {
    run.chaos(options.steps);
    if (options.requireProgress ?? true) run.heal();
    return run.result(null, null);
  } catch (error) {
    if (error instanceof Violation) return run.result(error.message, error.property);
    if (error instanceof AssertionError) return run.result(error.message, 'Assertion');
    throw error;
  }
}

class RandomRun {
  readonly #cluster: SimCluster;
  readonly #random: SeededRandom;
  readonly #faults: Faults;
  readonly #ids: ServerId[] = [];
  /** Pairs that cannot talk, one direction each. */
  #cuts = new Set<string>();
  #slow = new Set<ServerId>();

  constructor({ seed, bugs }: RandomRunOptions) {
    this.#random = new SeededRandom(seed);
    this.#faults = drawFaults(this.#random);
    const { serverCount, electionTicksMin } = this.#faults;
    const numbers = Array.from({ length: serverCount }, (_, i) => i + 1);
    this.#ids = numbers.map(idOf);
    const voterCount = Math.min(pick(this.#random, [1, 2, 3, 3, 3, 4, 5]), serverCount);
    this.#cluster = new SimCluster({
      seed: this.#random.uint32(),
      voters: numbers.slice(0, voterCount),
      others: numbers.slice(voterCount),
      raftOptions: {
        ...RAFT_OPTIONS,
        electionTicksMin,
        electionTicksMax: 2 * electionTicksMin,
        appendBytesMax: pick(this.#random, [1, 60]),
      },
      bugs: bugs ?? {},
      checkers: allCheckers(),
    });
  }

  result(violation: string | null, property: string | null): RunResult {
    let commitIndex = 0;
    let digest = '';
    let leaderTerms = 0;
    for (const server of this.#cluster.servers.values()) {
      commitIndex = Math.max(commitIndex, server.raft?.commitIndex ?? 0);
      leaderTerms = Math.max(leaderTerms, server.durable.hardState.currentTerm);
      digest += `${server.stateIndex}:${server.stateHash}:${server.durable.hardState.currentTerm} `;
    }
    const { stepCount } = this.#cluster;
    return { violation, property, stepCount, commitIndex, leaderTerms, digest };
  }

  chaos(steps: number): void {
    for (let i = 0; i < steps; i += 1) {
      this.#rareEvents();
      const dice = this.#random.uint32() % 100;
      if (dice < 62) this.#deliverOne();
      else if (dice < 75) this.#tickOne();
      else if (dice < 92) this.#persistSome();
      else if (dice < 98) this.#propose();
      else this.#cluster.read(this.#anyId());
      // A bag that grows for ever only makes runs slow: the network loses what is too much.
      while (this.#cluster.packets.length > PACKETS_MAX) this.#takePacket();
    }
  }

  #anyId(): ServerId {
    return pick(this.#random, this.#ids);
  }

  #takePacket(): Packet | null {
    const { packets } = this.#cluster;
    if (packets.length === 0) return null;
    // Mostly the oldest ones, so that the cluster gets on; sometimes any.
    const limit = chance(this.#random, 0.3) ? packets.length : Math.min(4, packets.length);
    const [packet] = packets.splice(between(this.#random, 0, limit - 1), 1);
    return packet ?? null;
  }

  #deliverOne(): void {
    const packet = this.#takePacket();
    if (packet === null || this.#cuts.has(`${packet.from}>${packet.to}`)) return;
    if (chance(this.#random, this.#faults.loss)) return;
    if (chance(this.#random, this.#faults.duplicate)) this.#cluster.packets.push(packet);
    const receiver = this.#cluster.server(packet.to);
    const committed = receiver.raft?.commitIndex ?? 0;
    const wasLeader = receiver.raft?.role === 'Leader';
    this.#cluster.deliver(packet);
    const { crashAtWorst } = this.#faults;
    if (crashAtWorst === 0 || receiver.raft === null) return;
    // The worst moments: a vote was just given, an election was just won, a commit has just advanced.
    const { role, commitIndex } = receiver.raft;
    const { message } = decodeMessage(packet.bytes);
    const isVote = message.type === 'RequestVote' && !message.isPreVote;
    const isCommit = role === 'Leader' && commitIndex > committed;
    const isVictory = role === 'Leader' && !wasLeader;
    if (!(isVote || isCommit || isVictory) || !chance(this.#random, crashAtWorst)) return;
    this.#crash(packet.to);
    // What it had sent may never have left it.
    if (isVote || chance(this.#random, 0.3)) return;
    const { packets } = this.#cluster;
    this.#cluster.packets = packets.filter(({ from }) => from !== packet.to);
  }

  #crash(id: ServerId): void {
    const { pendingWrites } = this.#cluster.server(id);
    this.#cluster.crash(id, between(this.#random, 0, pendingWrites.length));
    if (chance(this.#random, this.#faults.restartAtOnce)) this.#cluster.restart(id);
  }

  #tickOne(): void {
    const id = this.#anyId();
    if (!this.#slow.has(id)) this.#cluster.run(id, { type: 'Tick' });
  }

  #persistSome(): void {
    for (const id of this.#ids)
      if (chance(this.#random, this.#faults.persist))
        this.#cluster.persist(id, between(this.#random, 1, 3));
  }

  #leaderOrAny(): ServerId {
    const leader = this.#cluster.leader();
    return leader !== null && chance(this.#random, 0.8) ? leader.id : this.#anyId();
  }

  #propose(): void {
    this.#cluster.propose(this.#leaderOrAny(), between(this.#random, 1, 3));
  }

  #rareEvents(): void {
    const { crash, restart, partition, membership, snapshot, transfer } = this.#faults;
    const { isolate, campaign } = this.#faults;
    const random = this.#random;
    if (chance(random, crash)) this.#crash(this.#anyId());
    if (chance(random, restart)) this.#cluster.restart(this.#anyId());
    if (chance(random, partition)) this.#repartition();
    if (chance(random, isolate)) this.#isolateLeader();
    else if (chance(random, isolate)) this.#endIsolation();
    if (chance(random, campaign)) this.#cluster.run(this.#anyId(), { type: 'Campaign' });
    if (chance(random, membership)) this.#changeMembership();
    if (chance(random, snapshot)) this.#cluster.snapshot(this.#anyId());
    if (chance(random, transfer))
      this.#cluster.run(this.#leaderOrAny(), { type: 'TransferLeadership', to: this.#anyId() });
    if (chance(random, transfer))
      this.#cluster.run(this.#leaderOrAny(), { type: 'PeerUnreachable', id: this.#anyId() });
  }

  #isolateLeader(): void {
    const leader = this.#leaderOrAny();
    this.#slow = new Set([leader]);
    this.#cuts = new Set(this.#ids.flatMap((id) => [`${id}>${leader}`, `${leader}>${id}`]));
  }

  #endIsolation(): void {
    this.#slow.clear();
    this.#cuts.clear();
  }

  #repartition(): void {
    this.#cuts = new Set();
    if (chance(this.#random, 0.4)) return;
    const isOneWay = chance(this.#random, 0.3);
    const sides = this.#ids.map(() => chance(this.#random, 0.5));
    for (const [i, from] of this.#ids.entries())
      for (const [j, to] of this.#ids.entries())
        if (sides[i] !== sides[j] && (!isOneWay || sides[i] === true))
          this.#cuts.add(`${from}>${to}`);
  }

  #changeMembership(): void {
    const leader = this.#leaderOrAny();
    const { raft } = this.#cluster.server(leader);
    if (raft === null) return;
    const number = between(this.#random, 1, this.#ids.length);
    const id = idOf(number);
    const { voters, learners } = latestConfiguration(raft).configuration;
    const isMember = [...voters, ...learners].some((member) => member.id === id);
    const isLearner = learners.some((member) => member.id === id);
    let change: MembershipChange = { type: 'AddLearner', member: memberOf(number) };
    if (isLearner && chance(this.#random, 0.8)) change = { type: 'PromoteLearner', id };
    else if (isMember && chance(this.#random, 0.3)) change = { type: 'DemoteVoter', id };
    else if (isMember) change = { type: 'RemoveServer', id };
    this.#cluster.run(leader, { type: 'ProposeMembership', change });
  }

  /** Ends all faults; a leader, a new committed entry and equal states must follow. */
  heal(): void {
    this.#endIsolation();
    for (const id of this.#ids) this.#cluster.restart(id);
    let goal: number | null = null;
    let goalTerm = 0;
    for (let round = 0; round < 400; round += 1) {
      this.#calmRound();
      const leader = this.#cluster.leader();
      if (leader?.raft === null || leader?.raft === undefined) continue;
      const { raft } = leader;
      if (goal === null || goalTerm !== raft.currentTerm) {
        goalTerm = raft.currentTerm;
        goal = null;
        if (raft.trail.termAt(raft.commitIndex) !== raft.currentTerm) continue;
        const output = this.#cluster.propose(leader.id);
        goal = output?.proposed?.firstIndex ?? null;
        continue;
      }
      const goalIndex = goal;
      const { voters, learners } = latestConfiguration(raft).configuration;
      const isDone = [...voters, ...learners].every(
        ({ id }) => this.#cluster.server(id).stateIndex >= goalIndex,
      );
      if (isDone) return;
    }
    throw new Violation('Progress', `no progress after the faults ended: goal ${goal ?? 'none'}`);
  }

  #calmRound(): void {
    for (const id of this.#ids) this.#cluster.run(id, { type: 'Tick' });
    for (let turn = 0; turn < 6; turn += 1) {
      const { packets } = this.#cluster;
      this.#cluster.packets = [];
      for (const packet of packets) this.#cluster.deliver(packet);
      for (const id of this.#ids) this.#cluster.persist(id, Number.MAX_SAFE_INTEGER);
    }
  }
}

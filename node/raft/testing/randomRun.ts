/**
 * A random run of a cluster under faults, all of it drawn from one seed: first chaos, in which every step is
 * checked, then everything is healed and progress is required.
 */
import { AssertionError } from '../../../base/assert.ts';
import { between, chance, pick, SeededRandom } from '../../../base/random.ts';
import type { Random } from '../../../base/random.ts';
import type { Bugs } from '../bugs.ts';
import { membersOf } from '../configuration.ts';
import { decodeMessage } from '../messageCodec.ts';
import { latestConfiguration } from '../raft.ts';
import type { Raft, RaftOptions } from '../raft.ts';
import type { MembershipChange, Role, ServerId } from '../types.ts';
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

/** Steady runs, runs in which leaders come and go, runs with a leader that is cut off. */
export type RunKind = 'Steady' | 'Churn' | 'Isolation';

function drawFaults(random: Random, kind: RunKind): Faults {
  switch (kind) {
    case 'Steady':
      return drawSteady(random);
    case 'Churn':
      return drawChurn(random);
    case 'Isolation':
      return { ...drawSteady(random), partition: 0, isolate: 0.005 };
  }
}

function drawSteady(random: Random): Faults {
  return {
    loss: pick(random, [0, 0.02, 0.2]),
    duplicate: pick(random, [0, 0.05]),
    crash: pick(random, [0, 0.004, 0.02]),
    restart: pick(random, [0.03, 0.1]),
    restartAtOnce: 0,
    crashAtWorst: 0,
    partition: pick(random, [0, 0.005, 0.02]),
    isolate: 0,
    campaign: pick(random, [0, 0.02]),
    membership: pick(random, [0, 0.01, 0.03]),
    snapshot: pick(random, [0, 0.005, 0.03]),
    transfer: pick(random, [0, 0.003, 0.02]),
    persist: pick(random, [0.1, 0.3, 0.6]),
    serverCount: 5,
    electionTicksMin: 4,
  };
}

function drawChurn(random: Random): Faults {
  return {
    ...drawSteady(random),
    loss: pick(random, [0.02, 0.1, 0.2]),
    crash: pick(random, [0.003, 0.01]),
    restart: 0.2,
    restartAtOnce: 0.9,
    crashAtWorst: pick(random, [0.1, 0.3, 0.5]),
    campaign: pick(random, [0.02, 0.1]),
    membership: 0,
    persist: 0.6,
    serverCount: 3,
    electionTicksMin: 3,
  };
}

export interface RandomRunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly bugs?: Partial<Bugs>;
  /** Drawn from the seed when absent. */
  readonly kind?: RunKind;
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

  constructor({ seed, bugs, kind }: RandomRunOptions) {
    this.#random = new SeededRandom(seed);
    const drawn = pick(this.#random, ['Steady', 'Churn', 'Isolation'] as const);
    this.#faults = drawFaults(this.#random, kind ?? drawn);
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
    const { raft } = this.#cluster.server(packet.to);
    const before = { role: raft?.role, commitIndex: raft?.commitIndex ?? 0 };
    this.#cluster.deliver(packet);
    if (this.#faults.crashAtWorst > 0 && raft !== null) this.#crashAtWorst(packet, raft, before);
  }

  /** The worst moments: a vote was just given, an election was just won, a commit has just advanced. */
  #crashAtWorst(
    { to, bytes }: Packet,
    { role, commitIndex }: Raft,
    before: { readonly role: Role | undefined; readonly commitIndex: number },
  ): void {
    const { message } = decodeMessage(bytes);
    const isVote = message.type === 'RequestVote' && !message.isPreVote;
    const isProgress =
      role === 'Leader' && (commitIndex > before.commitIndex || before.role !== 'Leader');
    if (!isVote && !isProgress) return;
    if (!chance(this.#random, this.#faults.crashAtWorst)) return;
    this.#crash(to);
    // What it had sent may never have left it.
    if (isVote || chance(this.#random, 0.3)) return;
    this.#cluster.packets = this.#cluster.packets.filter(({ from }) => from !== to);
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
    let goal = { term: 0, index: 0 };
    for (let round = 0; round < 400; round += 1) {
      this.#calmRound();
      const leader = this.#cluster.leader();
      if (leader === null) continue;
      const { raft } = leader;
      if (raft === null || raft.trail.termAt(raft.commitIndex) !== raft.currentTerm) continue;
      if (goal.term !== raft.currentTerm) {
        const output = this.#cluster.propose(leader.id);
        if (output?.proposed) goal = { term: raft.currentTerm, index: output.proposed.firstIndex };
      } else if (this.#haveAllApplied(raft, goal.index)) return;
    }
    throw new Violation('Progress', `no progress after the faults ended: goal ${goal.index}`);
  }

  #haveAllApplied(leader: Raft, index: number): boolean {
    return membersOf(latestConfiguration(leader).configuration).every(
      ({ id }) => this.#cluster.server(id).stateIndex >= index,
    );
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

/** The admin API on simulated clusters: drains, transfers and verdicts while nodes die and come back. */
import { describe, expect, jest, test } from '@jest/globals';
import { WalrusError, messageOf } from '../../../base/errors.ts';
import type { ClusterStatus, DrainStatus, Verdict } from '../../../protocol/admin/types.ts';
import { Scenario } from '../../controller/testing/scenario.ts';
import type { Machine } from '../../sim/simCluster.ts';
import { CRASH_ONLY } from '../../sim/simDisk.ts';
import type { Replication } from '../../state/types.ts';
import { AdminApi } from './adminApi.ts';
import { LeaderAdmin } from './leaderAdmin.ts';
import { answerOf } from './refusal.ts';

const SINGLE: Replication = { replicas: 1, ackQuorum: 1 };
const FIVEFOLD: Replication = { replicas: 5, ackQuorum: 3 };

class Admins {
  readonly scenario: Scenario;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    for (const machine of scenario.running()) new LeaderAdmin(machine.parts!);
    scenario.cluster.onOpened((_machine, parts) => {
      new LeaderAdmin(parts);
    });
  }

  static async start(options: Parameters<typeof Scenario.start>[0] = {}): Promise<Admins> {
    const admins = new Admins(await Scenario.start(options));
    const { cluster } = admins.scenario;
    // Until the leader has heard all nodes say that they are well.
    await cluster.run(1000);
    return admins;
  }

  of(machine: Machine): AdminApi {
    return new AdminApi({
      nodeId: machine.nodeId,
      version: 'sim',
      startedAtMs: 0,
      isStopping: false,
      clusterId: machine.node?.clusterId ?? '',
      diskId: machine.node?.identity?.diskId ?? null,
      isRegistered: machine.isServing,
      parts: machine.parts,
      bootstrap: (request) => machine.node?.bootstrap(request) ?? Promise.resolve(),
    });
  }

  /** What an answer is: the value, or the refusal as it would be sent. */
  async ask<T>(machine: Machine, question: (api: AdminApi) => Promise<T> | T): Promise<T> {
    const outcomes: ({ value: T } | { error: unknown })[] = [];
    const asked = async (): Promise<T> => await question(this.of(machine));
    asked().then(
      (value) => outcomes.push({ value }),
      (error: unknown) => outcomes.push({ error }),
    );
    await this.scenario.cluster.runUntil(() => outcomes.length > 0, 10_000);
    const settled = outcomes[0]!;
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  async refusal(machine: Machine, question: (api: AdminApi) => unknown): Promise<unknown> {
    try {
      return await this.ask(machine, question);
    } catch (error) {
      const { status, body } = answerOf(error as Parameters<typeof answerOf>[0]);
      return [status, body.reason ?? body.code];
    }
  }

  async drained(machine: Machine): Promise<DrainStatus> {
    let status = await this.ask(machine, (api) => api.drain());
    for (let tries = 0; tries < 200 && !status.isDrained; tries += 1) {
      await this.scenario.cluster.run(20);
      status = await this.ask(machine, (api) => api.drain());
    }
    return status;
  }

  canRestart(asked: Machine, node: Machine): Promise<Verdict> {
    return this.ask(asked, (api) => api.canRestart(String(node.nodeId)));
  }

  async reasons(asked: Machine): Promise<string[]> {
    const found: string[] = [];
    for (const machine of this.scenario.cluster.machines) {
      const verdict = await this.canRestart(asked, machine);
      found.push(verdict.isAllowed ? verdict.message : verdict.reason);
    }
    return found;
  }
}

describe('drain', () => {
  test('moves segments and the metadata to others while writes go on, and gets nothing new', async () => {
    const admins = await Admins.start({ maxSegmentEntries: 3 });
    const { scenario } = admins;
    await scenario.write(4);
    const machine = scenario.metadataLeader();
    while (scenario.leader() !== machine) await scenario.write(1);
    const status = await admins.drained(machine);
    expect(status).toEqual({
      isDraining: true,
      isDrained: true,
      ledSegments: 0,
      leadsMetadata: false,
      hasHeir: true,
      soleCopies: 0,
    });
    expect(admins.of(machine).node().phase).toBe('Draining');
    for (let round = 0; round < 10; round += 1) {
      await scenario.write(3);
      expect(scenario.leader()).not.toBe(machine);
    }
    expect(await admins.drained(machine)).toEqual(status);
    expect((await admins.ask(machine, (api) => api.undrain())).isDraining).toBe(false);
    await scenario.cluster.run(1000);
    const leaders = new Set<Machine>();
    for (let round = 0; round < 12; round += 1) {
      await scenario.write(3);
      leaders.add(scenario.leader());
    }
    expect(leaders.has(machine)).toBe(true);
  });

  test('takes what came back while nobody else was there, and is forgotten by a restart', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    const { cluster } = scenario;
    await scenario.write(1);
    const machine = scenario.leader();
    const others = scenario.followers();
    for (const other of others) cluster.kill(other);
    await cluster.run(3000);
    // Perhaps there is an election.
    expect(await admins.ask(machine, (api) => api.drain())).toMatchObject({ hasHeir: true });
    await cluster.run(3000);
    const alone = await admins.ask(machine, (api) => api.drain());
    expect(alone).toMatchObject({ isDraining: true, isDrained: false, hasHeir: false });
    for (const other of others) cluster.start(other);
    await cluster.runUntil(() => others.every((other) => other.isServing), 20_000);
    expect(await admins.drained(machine)).toMatchObject({ isDrained: true, ledSegments: 0 });
    expect(scenario.leader()).not.toBe(machine);
    cluster.kill(machine);
    cluster.start(machine);
    await cluster.runUntil(() => machine.isServing, 20_000);
    expect(admins.of(machine).node().phase).toBe('Serving');
  });

  test('of all nodes has nobody to hand over to, until one of them takes it back', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    await scenario.write(1);
    const machines = scenario.running();
    for (const machine of machines) await admins.ask(machine, (api) => api.drain());
    await scenario.cluster.run(1000);
    for (const machine of machines) {
      const status = await admins.ask(machine, (api) => api.drain());
      expect(status).toMatchObject({ isDraining: true, hasHeir: false });
    }
    const heir = machines[0]!;
    await admins.ask(heir, (api) => api.undrain());
    for (const machine of machines.slice(1)) {
      expect(await admins.drained(machine)).toMatchObject({ isDrained: true });
    }
    expect(scenario.leader()).toBe(heir);
  });

  test('takes the writes of a topic without replicas elsewhere, and says which records stay', async () => {
    const admins = await Admins.start({ replication: SINGLE });
    const { scenario } = admins;
    await scenario.write(5);
    const machine = scenario.leader();
    expect(await admins.drained(machine)).toMatchObject({ isDrained: true, soleCopies: 1 });
    await scenario.write(5);
    expect(scenario.leader()).not.toBe(machine);
  });

  test('of the only node rolls nothing and says that there is nobody', async () => {
    const admins = await Admins.start({ nodeCount: 1, metadataVoters: 1, replication: SINGLE });
    const { scenario } = admins;
    const [machine] = scenario.running();
    await scenario.write(1);
    const { segmentId } = scenario.segment();
    const status = await admins.ask(machine!, (api) => api.drain());
    expect(status).toMatchObject({ isDraining: true, isDrained: false, hasHeir: false });
    await scenario.cluster.run(2000);
    await scenario.write(1);
    expect(scenario.segment().segmentId).toBe(segmentId);
    const verdict = await admins.canRestart(machine!, machine!);
    expect(verdict).toMatchObject({
      isAllowed: true,
      message: expect.stringContaining('nothing is served'),
    });
  });
});

describe('leadership', () => {
  function epochOf(status: ClusterStatus): number {
    return status.epoch;
  }

  test('moves to a voter that is named, or to one that stays; a repeat is a success, an old epoch is not', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    const leader = scenario.metadataLeader();
    const [first, second] = scenario.cluster.machines.filter((each) => each !== leader);
    const epoch = epochOf(await admins.ask(first!, (api) => api.cluster()));
    const move = (to: number | null, at: number) => (api: AdminApi) =>
      api.moveLeadership({ to, epoch: at });
    expect(await admins.refusal(first!, move(null, epoch - 1))).toEqual([409, 'StaleEpoch']);
    expect(await admins.refusal(first!, move(9, epoch))).toEqual([404, 'UnknownNode']);
    expect(await admins.ask(first!, move(second!.nodeId, epoch))).toEqual({
      nodeId: second!.nodeId,
    });
    await scenario.cluster.run(1000);
    expect(scenario.metadataLeader()).toBe(second);
    expect(await admins.ask(leader, move(second!.nodeId, epoch))).toEqual({
      nodeId: second!.nodeId,
    });
    // Of the two that are left, one drains.
    await admins.drained(leader);
    await scenario.cluster.run(1000);
    const now = epochOf(await admins.ask(first!, (api) => api.cluster()));
    expect(now).toBeGreaterThan(epoch);
    expect(await admins.ask(first!, move(null, now))).toEqual({ nodeId: first!.nodeId });
  });

  test.each([
    ['no body', undefined],
    ['no epoch', { to: 1 }],
    ['a list', [1]],
    ['a name', { to: 'node-1', epoch: 1 }],
    ['an epoch that is no number', { to: 1, epoch: '1' }],
    ['node 0', { to: 0, epoch: 1 }],
    ['half a node', { to: 1.5, epoch: 1 }],
  ])('is refused with %s', async (_name, body) => {
    const api = new AdminApi({ parts: null } as never);
    let said: unknown = null;
    await api.moveLeadership(body).catch((error: unknown) => (said = error));
    expect(said).toMatchObject({ code: 'MALFORMED', message: expect.any(String) });
    expect(messageOf(said)).not.toContain('undefined');
  });
});

test('a new leader calls nobody dead, and refuses no restart, whom it has only not heard of yet', async () => {
  const admins = await Admins.start();
  const { cluster } = admins.scenario;
  const leader = admins.scenario.metadataLeader();
  const [heir, other] = cluster.machines.filter((machine) => machine !== leader);
  const { epoch } = await admins.ask(leader, (api) => api.cluster());
  await admins.ask(leader, (api) => api.moveLeadership({ to: heir!.nodeId, epoch }));
  await cluster.runUntil(() => heir!.parts!.metadata.isLeader, 1000);
  const { leader: now, nodes } = await admins.ask(heir!, (api) => api.cluster());
  expect(now).toEqual({ nodeId: heir!.nodeId, isFresh: true });
  expect(nodes.map(({ isAlive }) => isAlive)).toEqual([true, true, true]);
  // Of a dead one it says so, in bounded time.
  cluster.kill(other!);
  cluster.kill(heir!);
  cluster.start(heir!);
  await cluster.runUntil(() => leader.parts!.metadata.isLeader, 10_000);
  const after = await admins.ask(leader, (api) => api.cluster());
  expect(after.nodes.map(({ nodeId, isAlive }) => [nodeId, isAlive])).toContainEqual([
    other!.nodeId,
    false,
  ]);
});

describe('voters', () => {
  /** The ids of those who vote, as the leader has it. */
  async function votersOf(admins: Admins, asked: Machine): Promise<number[]> {
    const { nodes } = await admins.ask(asked, (api) => api.cluster());
    return nodes.flatMap(({ nodeId, role }) => (role === 'Voter' ? [nodeId] : []));
  }

  async function setVoters(admins: Admins, asked: Machine, metadataVoters: number): Promise<void> {
    const { epoch } = await admins.ask(asked, (api) => api.cluster());
    const wanted = { metadataVoters, epoch };
    let status = await admins.ask(asked, (api) => api.setVoters(wanted));
    expect(status.metadataVoters).toBe(metadataVoters);
    for (let tries = 0; tries < 100 && status.voters !== metadataVoters; tries += 1) {
      await admins.scenario.cluster.run(50);
      status = await admins.ask(asked, (api) => api.setVoters(wanted));
    }
    expect(status).toEqual({ metadataVoters, voters: metadataVoters });
  }

  test('grow to five, which survive any two, and shrink to three, and all can vote again', async () => {
    const admins = await Admins.start({ nodeCount: 5, replication: FIVEFOLD });
    const { scenario } = admins;
    const { cluster } = scenario;
    const leader = scenario.metadataLeader();
    const asked = cluster.machines.find((each) => each !== leader)!;
    const before = await votersOf(admins, asked);
    expect(before).toHaveLength(3);
    await setVoters(admins, asked, 5);
    expect(await votersOf(admins, asked)).toHaveLength(5);
    await setVoters(admins, asked, 3);
    // Whoever leads goes on leading.
    expect(scenario.metadataLeader()).toBe(leader);
    expect(await votersOf(admins, asked)).toContain(leader.nodeId);
    await setVoters(admins, asked, 1);
    expect(await votersOf(admins, asked)).toEqual([leader.nodeId]);
    await setVoters(admins, asked, 5);
    await scenario.write(3);
    const other = cluster.machines.find((each) => each !== leader && each !== asked)!;
    for (const machine of [leader, other]) cluster.kill(machine);
    await scenario.write(3);
    expect(scenario.metadataLeader()).not.toBe(leader);
  });

  test('shrink although the leader and another one die right then: the dead do not keep their votes', async () => {
    const admins = await Admins.start({
      nodeCount: 5,
      metadataVoters: 5,
      replication: FIVEFOLD,
    });
    const { scenario } = admins;
    const { cluster } = scenario;
    const leader = scenario.metadataLeader();
    const others = cluster.machines.filter((each) => each !== leader);
    const { epoch } = await admins.ask(leader, (api) => api.cluster());
    await admins.ask(leader, (api) => api.setVoters({ metadataVoters: 3, epoch }));
    // Not the one that would be demoted if all were up.
    for (const machine of [leader, others[0]!]) cluster.kill(machine);
    const survivors = others.slice(1);
    const isShrunk = (): boolean =>
      survivors.some(({ parts }) => {
        const { role, configuration, commitIndex } = parts!.raft.status();
        const isCommitted = parts!.raft.latestConfiguration().index <= commitIndex;
        return role === 'Leader' && configuration.voters.length === 3 && isCommitted;
      });
    await cluster.runUntil(isShrunk, 10_000);
    await scenario.write(3);
  });

  test('are refused when there are too few nodes, or with an old epoch; a repeat is a success', async () => {
    const admins = await Admins.start();
    const [asked] = admins.scenario.cluster.machines;
    const { epoch } = await admins.ask(asked!, (api) => api.cluster());
    const set = (metadataVoters: unknown, at: unknown) => (api: AdminApi) =>
      api.setVoters({ metadataVoters, epoch: at });
    expect(await admins.refusal(asked!, set(5, epoch))).toEqual([409, 'NotEnoughNodes']);
    expect(await admins.refusal(asked!, set(1, epoch - 1))).toEqual([409, 'StaleEpoch']);
    expect(await admins.ask(asked!, set(3, epoch - 1))).toEqual({ metadataVoters: 3, voters: 3 });
    for (const count of [0, 2, 4, 9, '3', null, undefined]) {
      expect(await admins.refusal(asked!, set(count, epoch))).toEqual([400, 'MALFORMED']);
    }
    expect(await admins.refusal(asked!, set(3, '1'))).toEqual([400, 'MALFORMED']);
    const { cluster } = admins.scenario;
    for (const machine of cluster.machines) if (machine !== asked) cluster.kill(machine);
    expect(await admins.refusal(asked!, set(1, epoch))).toEqual([503, 'NoLeader']);
  });
});

describe('a change of unknown outcome', () => {
  test('is told as one, and not as if nobody had decided it', async () => {
    const admins = await Admins.start();
    const { cluster } = admins.scenario;
    const leader = admins.scenario.metadataLeader();
    const asked = cluster.machines.find((machine) => machine !== leader)!;
    const { epoch } = await admins.ask(asked, (api) => api.cluster());
    const setVoters = (api: AdminApi) => api.setVoters({ metadataVoters: 1, epoch });
    const asLeader = jest.spyOn(leader.parts!.metadata, 'asLeader').mockImplementation(() => {
      return () => Promise.reject(new WalrusError('TIMED_OUT', 'Appended, and deposed'));
    });
    for (const machine of [asked, leader]) {
      expect(await admins.refusal(machine, setVoters)).toEqual([503, 'TIMED_OUT']);
    }
    asLeader.mockRestore();
    leader.process!.pause();
    const move = (api: AdminApi) => api.moveLeadership({ to: null, epoch });
    expect(await admins.refusal(asked, move)).toEqual([503, 'TIMED_OUT']);
  });
});

describe('can-restart', () => {
  test('is decided by the leader whoever is asked: one node at a time, until it has caught up', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    const { cluster } = scenario;
    await scenario.write(10);
    await cluster.run(1000);
    const leader = scenario.metadataLeader();
    const [asked, victim] = cluster.machines.filter((each) => each !== leader);
    expect(await admins.reasons(asked!)).toEqual(['', '', '']);
    cluster.kill(victim!);
    await cluster.run(2000);
    await scenario.write(20);
    const refused = await admins.reasons(asked!);
    expect(refused[leader.nodeId - 1]).toBe('MetadataQuorum');
    expect(refused[victim!.nodeId - 1]).toContain('down already');
    cluster.start(victim!);
    await cluster.runUntil(() => victim!.isServing, 20_000);
    for (let tries = 0; tries < 100; tries += 1) {
      const { isAllowed } = await admins.canRestart(asked!, asked!);
      if (isAllowed) break;
      await cluster.run(50);
    }
    // It is only said when the copies of the node that came back are whole.
    for (const segment of scenario.segments(victim!)) {
      const { host } = victim!.parts!;
      const end = segment.endOffset ?? leader.parts!.host.committedOffset(segment);
      expect(host.replica(segment.segmentId)?.tail ?? segment.baseOffset).toBeGreaterThanOrEqual(
        end,
      );
    }
    expect(await admins.reasons(asked!)).toEqual(['', '', '']);
    expect(await admins.refusal(asked!, (api) => api.canRestart('4'))).toEqual([
      404,
      'UnknownNode',
    ]);
    expect(await admins.refusal(asked!, (api) => api.canRestart('x'))).toEqual([400, 'MALFORMED']);
    await admins.drained(victim!);
    await cluster.run(1000);
    expect((await admins.reasons(asked!))[leader.nodeId - 1]).toBe('AnotherNodeIsDown');
  });

  test('waits for a member that lacks what was committed, however alive it is', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    const { cluster } = scenario;
    const leader = scenario.leader();
    const [behind, other] = scenario.followers();
    // Who leads the metadata hears both that the leader sends to and the one that it cannot reach.
    const { epoch } = await admins.ask(other!, (api) => api.cluster());
    await admins.ask(other!, (api) => api.moveLeadership({ to: other!.nodeId, epoch }));
    await cluster.run(1000);
    expect(await admins.reasons(other!)).toEqual(['', '', '']);
    cluster.network.cut(leader.address, behind!.address);
    await scenario.write(5);
    await cluster.run(1000);
    const found = await admins.reasons(other!);
    expect([leader, other!].map(({ nodeId }) => found[nodeId - 1])).toEqual([
      'AnotherNodeIsDown',
      'AnotherNodeIsDown',
    ]);
    expect(found[behind!.nodeId - 1]).toBe('');
    const { nodes } = await admins.ask(other!, (api) => api.cluster());
    expect(nodes.find(({ nodeId }) => nodeId === behind!.nodeId)).toMatchObject({
      isAlive: true,
      isCaughtUp: false,
    });
    cluster.network.heal();
    await cluster.run(2000);
    expect(await admins.reasons(other!)).toEqual(['', '', '']);
  });

  test('waits for a node whose copies of sealed segments are not whole', async () => {
    const admins = await Admins.start({ maxSegmentEntries: 3 });
    const { scenario } = admins;
    const { cluster } = scenario;
    const metadata = scenario.metadataLeader();
    const [victim, other] = cluster.machines.filter((machine) => machine !== metadata);
    cluster.kill(victim!);
    await scenario.write(30);
    // Each copy takes so long that the answers between can be seen.
    victim!.disk.faults = {
      ...CRASH_ONLY,
      slowSyncProbability: 1,
      slowSyncMs: { min: 300, max: 300 },
    };
    cluster.start(victim!);
    await cluster.runUntil(() => victim!.isServing, 20_000);
    await cluster.run(1000);
    const status = async () => {
      const { nodes } = await admins.ask(metadata, (api) => api.cluster());
      return nodes.find(({ nodeId }) => nodeId === victim!.nodeId);
    };
    expect(await status()).toMatchObject({ isAlive: true, isCaughtUp: false });
    expect((await status())?.incompleteReplicas).toBeGreaterThan(0);
    expect(await admins.canRestart(metadata, other!)).toMatchObject({
      reason: 'AnotherNodeIsDown',
    });
    await cluster.run(20_000);
    expect(await status()).toMatchObject({ isCaughtUp: true, incompleteReplicas: 0 });
    expect(await admins.reasons(metadata)).toEqual(['', '', '']);
  });

  test('without a majority nothing is decided, and the status is what is remembered', async () => {
    const admins = await Admins.start();
    const { scenario } = admins;
    const { cluster } = scenario;
    const leader = scenario.metadataLeader();
    const fresh = await admins.ask(leader, (api) => api.cluster());
    expect(fresh).toMatchObject({
      leader: { nodeId: leader.nodeId, isFresh: true },
      metadataVoters: 3,
      topics: 1,
      segments: { open: 1, recovering: 0, sealed: 0, underReplicated: 0, unavailable: 0 },
    });
    expect(fresh.nodes).toHaveLength(3);
    for (const node of fresh.nodes) {
      expect(node).toMatchObject({
        isAlive: true,
        isCaughtUp: true,
        role: 'Voter',
        replicas: 1,
        incompleteReplicas: 0,
      });
    }
    for (const machine of cluster.machines) if (machine !== leader) cluster.kill(machine);
    // The leader does not know yet that it is alone.
    expect(await admins.refusal(leader, (api) => api.canRestart('1'))).toEqual([503, 'NoLeader']);
    const { leader: remembered, nodes } = await admins.ask(leader, (api) => api.cluster());
    expect([remembered.isFresh, nodes.length]).toEqual([false, 3]);
  });
});

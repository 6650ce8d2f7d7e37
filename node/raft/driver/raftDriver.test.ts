import { describe, expect, test } from '@jest/globals';
import { concatBytes, decodeUtf8, encodeUtf8 } from '../../../base/bytes.ts';
import type { WalrusError } from '../../../base/errors.ts';
import { SILENT } from '../../../base/log.ts';
import { between, chance, SeededRandom } from '../../../base/random.ts';
import { logIndex, term } from '../../../base/units.ts';
import type { LogIndex } from '../../../base/units.ts';
import { MemoryDisk } from '../testing/memoryDisk.ts';
import { idOf, memberOf } from '../testing/simCluster.ts';
import { VirtualClock } from '../testing/virtualClock.ts';
import type { StateMachine } from '../types.ts';
import type { RaftDriverOptions, RaftDriverSettings } from './options.ts';
import { RaftDriver } from './raftDriver.ts';

/** A list of words. */
class Words implements StateMachine {
  words: string[] = [];
  lastIndex = 0;

  apply(index: LogIndex, command: Uint8Array): number {
    if (index <= this.lastIndex) throw new Error('entries are applied once, in order');
    this.lastIndex = index;
    return this.words.push(decodeUtf8(command));
  }

  /** In two slices, of which the second is taken later. */
  snapshot(): Iterable<Uint8Array> {
    const bytes = encodeUtf8(JSON.stringify(this.words));
    return [bytes.subarray(0, 7), bytes.subarray(7)];
  }

  restore(index: LogIndex, snapshot: Uint8Array): void {
    this.lastIndex = index;
    this.words = JSON.parse(decodeUtf8(snapshot)) as string[];
  }
}

interface Node {
  readonly disk: MemoryDisk;
  machine: Words;
  driver: RaftDriver | null;
  fatal: WalrusError | null;
}

interface NetworkFaults {
  loss: number;
  duplicate: number;
  delayMsMax: number;
}

/** Whole servers in one process, on virtual time. */
class Cluster {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(5);
  readonly nodes = new Map<number, Node>();
  readonly faults: NetworkFaults = { loss: 0, duplicate: 0, delayMsMax: 2 };
  readonly settings: Partial<RaftDriverSettings>;
  readonly cutOff = new Set<number>();
  messageCount = 0;

  constructor(numbers: readonly number[], settings: Partial<RaftDriverSettings> = {}) {
    this.settings = { segmentBytes: 8192, ...settings };
    for (const number of numbers) this.add(number, numbers);
  }

  add(number: number, voters: readonly number[] | null): void {
    const disk = new MemoryDisk(this.random.fork());
    this.nodes.set(number, { disk, machine: new Words(), driver: null, fatal: null });
    this.start(number, voters);
  }

  node(number: number): Node {
    const node = this.nodes.get(number);
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  driver(number: number): RaftDriver {
    const { driver } = this.node(number);
    if (driver === null) throw new Error(`node ${number} is down`);
    return driver;
  }

  start(number: number, voters: readonly number[] | null = null): void {
    this.open(number, voters).admit();
  }

  /** Starts a server that promises nothing yet. */
  open(number: number, voters: readonly number[] | null = null, hasHistory = false): RaftDriver {
    const node = this.node(number);
    node.machine = new Words();
    const options: RaftDriverOptions = {
      id: idOf(number),
      address: memberOf(number).address,
      bootstrap: voters === null ? null : { voters: voters.map(memberOf), learners: [] },
      hasHistory,
      disk: node.disk,
      directory: 'raft',
      clock: this.clock,
      random: this.random.fork(),
      stateMachine: node.machine,
      logger: SILENT,
      send: (to, parts) => this.#send(number, to.address, concatBytes(parts)),
      onFatal: (error) => {
        node.fatal = error;
      },
      settings: this.settings,
      raftOptions: { trailingEntries: 5, snapshotChunkBytes: 50 },
    };
    node.driver = new RaftDriver(options);
    return node.driver;
  }

  /** kill -9 with a loss of power. */
  crash(number: number): void {
    const node = this.node(number);
    node.driver?.stop();
    node.driver = null;
    node.disk.crash();
  }

  #send(from: number, address: string, bytes: Uint8Array): void {
    this.messageCount += 1;
    const to = [...this.nodes.keys()].find((number) => memberOf(number).address === address);
    if (to === undefined || this.cutOff.has(to) || this.cutOff.has(from)) return;
    if (chance(this.random, this.faults.loss)) return;
    const copies = chance(this.random, this.faults.duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i += 1)
      this.clock.setTimer(between(this.random, 0, this.faults.delayMsMax), () =>
        this.nodes.get(to)?.driver?.receive(idOf(from), bytes),
      );
  }

  async leader(): Promise<number> {
    for (let i = 0; i < 200; i += 1) {
      for (const [number, { driver }] of this.nodes)
        if (driver?.status().role === 'Leader' && !this.cutOff.has(number)) return number;
      await this.clock.advance(50);
    }
    throw new Error('no leader');
  }

  /** Waits for a promise while time goes on. */
  async settle<T>(promise: Promise<T>, limitMs = 20_000): Promise<T> {
    const state = { isDone: false };
    const mark = (): void => {
      state.isDone = true;
    };
    promise.then(mark, mark);
    for (let ms = 0; ms < limitMs && !state.isDone; ms += 10) await this.clock.advance(10);
    if (!state.isDone) throw new Error('it does not settle');
    return promise;
  }

  propose(number: number, word: string): Promise<{ index: LogIndex; result: unknown }> {
    return this.settle(this.driver(number).propose(encodeUtf8(word)));
  }

  words(): string[][] {
    return [...this.nodes.values()].map(({ machine }) => machine.words);
  }

  stop(): void {
    for (const { driver } of this.nodes.values()) driver?.stop();
  }
}

describe('RaftDriver', () => {
  test('a single server leads at once, applies, and finds everything again', async () => {
    const cluster = new Cluster([1]);
    expect(await cluster.propose(1, 'a')).toEqual({ index: logIndex(3), result: 1 });
    await cluster.propose(1, 'b');
    cluster.crash(1);
    cluster.start(1, [1]);
    await cluster.clock.advance(100);
    expect(cluster.words()).toEqual([['a', 'b']]);
    cluster.stop();
  });

  test('three servers agree; followers name the leader', async () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = await cluster.leader();
    await cluster.propose(leader, 'a');
    await cluster.clock.advance(20);
    expect(cluster.words()).toEqual([['a'], ['a'], ['a']]);
    const follower = leader === 1 ? 2 : 1;
    await expect(cluster.driver(follower).propose(encodeUtf8('b'))).rejects.toMatchObject({
      code: 'NOT_LEADER',
      details: { leader: idOf(leader) },
    });
    cluster.stop();
  });

  test('what is proposed for a term is not proposed in another one', async () => {
    const cluster = new Cluster([1, 2, 3]);
    const driver = cluster.driver(await cluster.leader());
    const { currentTerm } = driver.status();
    for (const other of [currentTerm - 1, currentTerm + 1]) {
      const proposed = driver.propose(encodeUtf8('a'), term(other));
      await expect(proposed).rejects.toMatchObject({ code: 'NOT_LEADER' });
    }
    await cluster.settle(driver.propose(encodeUtf8('b'), currentTerm));
    await cluster.clock.advance(20);
    expect(cluster.words()).toEqual([['b'], ['b'], ['b']]);
    cluster.stop();
  });

  test('one write and one sync carry all proposals of a turn', async () => {
    const cluster = new Cluster([1]);
    await cluster.propose(1, 'warm');
    const { disk } = cluster.node(1);
    const [writes, operations] = [disk.writeCount, disk.operationCount];
    const driver = cluster.driver(1);
    await cluster.settle(
      Promise.all(Array.from({ length: 50 }, (_, i) => driver.propose(encodeUtf8(`${i}`)))),
      1000,
    );
    // The write, the mark behind it, and one sync; writing spare files aside.
    expect(disk.writeCount - writes).toBeLessThanOrEqual(3);
    expect(disk.operationCount - operations).toBeLessThanOrEqual(5);
    cluster.stop();
  });

  test('a read on any server sees what was acknowledged before', async () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = await cluster.leader();
    for (const number of [1, 2, 3]) {
      const { index } = await cluster.propose(leader, `w${number}`);
      expect(await cluster.settle(cluster.driver(number).readBarrier())).toBeGreaterThanOrEqual(
        index,
      );
      expect(cluster.node(number).machine.words).toContain(`w${number}`);
    }
    cluster.stop();
  });

  test('a read without a leader gives up in time', async () => {
    const cluster = new Cluster([1, 2, 3]);
    await cluster.leader();
    cluster.cutOff.add(1).add(2).add(3);
    await cluster.clock.advance(3000);
    await expect(cluster.settle(cluster.driver(1).readBarrier())).rejects.toMatchObject({
      code: 'TIMED_OUT',
    });
    cluster.stop();
  });

  test('an appended proposal of a leader that is deposed has an unknown outcome', async () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = await cluster.leader();
    cluster.cutOff.add(leader);
    await expect(cluster.propose(leader, 'lost')).rejects.toMatchObject({ code: 'TIMED_OUT' });
    const next = await cluster.leader();
    await cluster.propose(next, 'kept');
    cluster.cutOff.clear();
    await cluster.clock.advance(2000);
    expect(cluster.words()).toEqual([['kept'], ['kept'], ['kept']]);
    cluster.stop();
  });

  test('a new leader serves within 2.5 s of a crash', async () => {
    const cluster = new Cluster([1, 2, 3]);
    for (let round = 0; round < 5; round += 1) {
      const leader = await cluster.leader();
      await cluster.propose(leader, `r${round}`);
      const startMs = cluster.clock.monotonicMs();
      cluster.crash(leader);
      const next = await cluster.leader();
      await cluster.propose(next, `s${round}`);
      expect(cluster.clock.monotonicMs() - startMs).toBeLessThan(2500);
      cluster.start(leader);
      await cluster.clock.advance(500);
    }
    cluster.stop();
  });

  test('an empty server joins as learner, gets a snapshot, becomes voter; the old one goes', async () => {
    const cluster = new Cluster([1, 2, 3], { snapshotThresholdEntries: 20 });
    const leader = await cluster.leader();
    for (let i = 0; i < 60; i += 1) await cluster.propose(leader, `w${i}`);
    cluster.add(4, null);
    const change = (
      to: number,
      what: Parameters<RaftDriver['changeMembership']>[0],
    ): Promise<unknown> => cluster.settle(cluster.driver(to).changeMembership(what));
    await change(leader, { type: 'AddLearner', member: memberOf(4) });
    await cluster.clock.advance(2000);
    expect(cluster.node(4).machine.words).toHaveLength(60);
    expect(cluster.driver(4).status().role).toBe('Learner');
    await change(leader, { type: 'PromoteLearner', id: idOf(4) });
    await change(leader, { type: 'RemoveServer', id: idOf(leader) });
    const next = await cluster.leader();
    await cluster.propose(next, 'after');
    await cluster.clock.advance(200);
    const { configuration } = cluster.driver(next).status();
    expect(configuration.voters.map(({ id }) => id)).not.toContain(idOf(leader));
    expect(cluster.node(4).machine.words).toHaveLength(61);
    await expect(change(next, { type: 'PromoteLearner', id: idOf(9) })).rejects.toMatchObject({
      code: 'INVALID_MEMBERSHIP',
    });
    // What it got by snapshot it finds again on its own disk.
    cluster.crash(4);
    cluster.start(4);
    await cluster.clock.advance(1000);
    expect(cluster.node(4).machine.words).toHaveLength(61);
    cluster.stop();
  });

  test('hands over leadership', async () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = await cluster.leader();
    const target = leader === 1 ? 2 : 1;
    await cluster.propose(leader, 'a');
    await cluster.settle(cluster.driver(leader).transferLeadership(idOf(target)));
    expect(await cluster.leader()).toBe(target);
    await expect(cluster.driver(leader).transferLeadership(idOf(target))).rejects.toMatchObject({
      code: 'NOT_LEADER',
    });
    cluster.stop();
  });

  test('tolerates lost, repeated, late and reordered messages, and crashes with torn writes', async () => {
    const cluster = new Cluster([1, 2, 3], { snapshotThresholdEntries: 25 });
    Object.assign(cluster.faults, { loss: 0.1, duplicate: 0.1, delayMsMax: 60 });
    const acknowledged: string[] = [];
    for (let i = 0; i < 120; i += 1) {
      const leader = await cluster.leader();
      try {
        await cluster.propose(leader, `w${i}`);
        acknowledged.push(`w${i}`);
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/TIMED_OUT|NOT_LEADER|SHUTTING_DOWN/),
        });
      }
      if (i % 15 !== 7) continue;
      const victim = (i % 3) + 1;
      cluster.crash(victim);
      await cluster.clock.advance(between(cluster.random, 0, 1500));
      cluster.start(victim);
    }
    Object.assign(cluster.faults, { loss: 0, duplicate: 0, delayMsMax: 1 });
    await cluster.propose(await cluster.leader(), 'end');
    await cluster.clock.advance(3000);
    const [first = [], ...others] = cluster.words();
    for (const words of others) expect(words).toEqual(first);
    expect(first.filter((word) => acknowledged.includes(word))).toEqual(acknowledged);
    expect(acknowledged.length).toBeGreaterThan(90);
    cluster.stop();
  });

  test('stops for good when its disk fails, and says so once', async () => {
    const cluster = new Cluster([1]);
    await cluster.propose(1, 'a');
    cluster.node(1).disk.failAfter(1);
    await expect(cluster.propose(1, 'b')).rejects.toMatchObject({
      code: expect.stringMatching(/TIMED_OUT|SHUTTING_DOWN/),
    });
    expect(cluster.node(1).fatal).toMatchObject({ code: 'DISK_FAILED' });
    await expect(cluster.driver(1).propose(encodeUtf8('c'))).rejects.toMatchObject({
      code: 'SHUTTING_DOWN',
    });
    cluster.stop();
  });

  test('refuses commands that are too large or too many, and unreadable messages do no harm', async () => {
    const cluster = new Cluster([1], { proposalsMax: 2, commandBytesMax: 10 });
    await cluster.propose(1, 'a');
    const driver = cluster.driver(1);
    await expect(driver.propose(new Uint8Array(11))).rejects.toMatchObject({ code: 'TOO_LARGE' });
    const two = [driver.propose(encodeUtf8('b')), driver.propose(encodeUtf8('c'))];
    await expect(driver.propose(encodeUtf8('d'))).rejects.toMatchObject({ code: 'OVERLOADED' });
    driver.receive(idOf(2), new Uint8Array([1, 99, 3]));
    await cluster.settle(Promise.all(two));
    expect(cluster.words()).toEqual([['a', 'b', 'c']]);
    cluster.stop();
  });

  test('an idle cluster exchanges heartbeats only', async () => {
    const cluster = new Cluster([1, 2, 3]);
    await cluster.leader();
    await cluster.clock.advance(1000);
    const before = cluster.messageCount;
    await cluster.clock.advance(10_000);
    expect(cluster.messageCount - before).toBeLessThanOrEqual(404);
    cluster.stop();
  });

  test('tells listeners of leaders and of progress', async () => {
    const cluster = new Cluster([1]);
    const seen: number[] = [];
    cluster.driver(1).onChange(({ lastApplied }) => seen.push(lastApplied));
    await cluster.propose(1, 'a');
    expect(seen.at(-1)).toBe(3);
    cluster.stop();
  });
});

describe('RaftDriver and admission (ADR 0121)', () => {
  test('a server that is not admitted says nothing, and takes part once it is', async () => {
    const cluster = new Cluster([1, 2, 3]);
    await cluster.propose(await cluster.leader(), 'a');
    for (const number of [1, 2, 3]) cluster.crash(number);
    for (const number of [1, 2, 3]) cluster.open(number);
    const before = cluster.messageCount;
    await cluster.clock.advance(5000);
    expect(cluster.messageCount).toBe(before);
    for (const number of [1, 2]) cluster.driver(number).admit();
    await cluster.propose(await cluster.leader(), 'b');
    const last = (number: number): number => cluster.driver(number).status().lastIndex;
    // The third has stored something of the new leader, without a word.
    expect([cluster.driver(3).status().currentTerm, last(3)]).toEqual([
      cluster.driver(1).status().currentTerm,
      expect.any(Number),
    ]);
    cluster.driver(3).admit();
    await cluster.clock.advance(500);
    expect(last(3)).toBe(last(1));
    cluster.stop();
  });

  test('the admission is durable before the first message', () => {
    const cluster = new Cluster([1, 2, 3]);
    cluster.crash(1);
    const { epoch } = cluster.open(1).boot;
    cluster.crash(1);
    expect(cluster.open(1).boot.epoch).toBe(epoch);
    const before = cluster.messageCount;
    cluster.node(1).disk.failAfter(1); // the write succeeds, its sync does not
    cluster.driver(1).admit();
    expect([cluster.node(1).fatal?.code, cluster.messageCount]).toEqual(['DISK_FAILED', before]);
    cluster.node(1).disk.failAfter(Number.MAX_SAFE_INTEGER / 2);
    // Only when it has returned it is certain.
    const tried = cluster.open(1).boot.epoch;
    cluster.driver(1).admit();
    cluster.crash(1);
    expect(cluster.open(1).boot.epoch).toBe(tried + 1);
    cluster.stop();
  });

  test('a boot is confirmed when it is durable, also by a server that is not admitted', () => {
    const cluster = new Cluster([1, 2, 3]);
    const boot = { epoch: 4, nonce: 'a'.repeat(32) };
    cluster.crash(2);
    expect(cluster.open(2).confirmBoot(idOf(1), boot)).toBeNull();
    cluster.crash(2);
    expect(cluster.open(2).confirmBoot(idOf(1), boot)).toBeNull();
    expect(cluster.driver(2).confirmBoot(idOf(1), { ...boot, epoch: 3 })).toEqual(boot);
    cluster.node(2).disk.failAfter(1);
    const next = { ...boot, epoch: 5 };
    expect(() => cluster.driver(2).confirmBoot(idOf(1), next)).toThrow('stopping');
    expect(cluster.node(2).fatal?.code).toBe('DISK_FAILED');
    cluster.stop();
  });

  test('an empty log of a server that had one is refused, however often it is opened', () => {
    const cluster = new Cluster([1]);
    cluster.crash(1);
    const { disk } = cluster.node(1);
    for (const path of disk.paths()) disk.remove(path);
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(() => cluster.open(1, [1], true)).toThrow(/raft\/ is empty.*--replace-disk/);
    expect(() => cluster.open(1, [1], false)).not.toThrow();
    cluster.stop();
  });
});

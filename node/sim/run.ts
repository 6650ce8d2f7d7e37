/**
 * One simulated run: a cluster, clients, faults drawn from the seed; then calm, in which everything must come to an
 * end; then the whole log is read through every node and the history is checked.
 */
import { AssertionError, assertDefined } from '../../base/assert.ts';
import { crc32c } from '../../base/crc32c.ts';
import { isWalrusError, messageOf } from '../../base/errors.ts';
import { SeededRandom, pick } from '../../base/random.ts';
import { CONFIRM_MS_MAX } from '../server/partitionCursor.ts';
import { HISTORY_CHECKERS } from './checkers/index.ts';
import { checkCopiesWhole, firstNamedCopy } from './checkers/copiesWhole.ts';
import { checkCursorKept, checkCursorOrder, checkSharedCursor } from './checkers/sharedCursor.ts';
import { watchElections } from './checkers/electionSafety.ts';
import { watchLease } from './checkers/leaseHeld.ts';
import { StateMachineSafety } from './checkers/stateMachineSafety.ts';
import type { SimPartition } from './clientPort.ts';
import { History, TEXT_TOPIC, TextHistory, Violation } from './history.ts';
import { LibraryUser } from './libraryUser.ts';
import { Nemesis } from './nemesis.ts';
import { drawPlan } from './plan.ts';
import type { RunPlan } from './plan.ts';
import { SimProducer } from './producer.ts';
import { CRASH } from './properties.ts';
import type { Property } from './properties.ts';
import { SimReader, readAll } from './reader.ts';
import { ServerPorts } from './serverPort.ts';
import { SimTextUser } from './textClient.ts';
import { SimClients } from './simClients.ts';
import type { ScenarioKind } from './scenarios.ts';
import { SIM_TIMING, SimCluster } from './simCluster.ts';
import { beginByOperator } from './simOperator.ts';
import { CALM_NETWORK } from './simNetwork.ts';
import { CALM_STREAMS } from './simStreams.ts';

/** Virtual time with faults, at most. */
const FAULTY_MS_MAX = 20_000;
/** After the faults have stopped, everything must be done within this. */
const CALM_MS_MAX = 60_000;
const START_MS_MAX = 30_000;
const SETTLE_MS = 3_000;
const LIBRARY_TOPIC = 'library';
/** Of clusters that begin by the operator's word. */
const CLUSTER_ID = 'c'.repeat(32);

export interface RunResult {
  readonly seed: number;
  /** The broken property and what was seen; null when all is well. */
  readonly failure: {
    readonly property: Property | typeof CRASH;
    readonly message: string;
    readonly stack: string;
  } | null;
  /** Events run: where a failure was found. */
  readonly step: number;
  readonly virtualMs: number;
  /** Over every message delivered and every byte written, in order: equal for equal seeds. */
  readonly digest: number;
  readonly acknowledged: number;
  readonly reads: number;
  readonly faults: Readonly<Record<string, number>>;
}

export interface RunOptions {
  /** Gets a line for whatever happens. */
  readonly trace?: ((line: string) => void) | undefined;
  /** Only this scenario, often. */
  readonly focus?: ScenarioKind | undefined;
}

/** Runs a seed. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new SimRun(seed, options);
  const failure = await run.execute();
  return run.result(failure);
}

function propertyOf(error: unknown): Property | typeof CRASH {
  if (error instanceof Violation) return error.property;
  if (error instanceof AssertionError) return 'Assertion';
  return isWalrusError(error) ? 'Progress' : CRASH;
}

class SimRun {
  readonly #seed: number;
  readonly #plan: RunPlan;
  readonly #random: SeededRandom;
  readonly #cluster: SimCluster;
  readonly #nemesis: Nemesis;
  readonly #clients: SimClients;
  readonly #ports: ServerPorts;
  readonly #history = new History();
  readonly #text = new TextHistory(TEXT_TOPIC);
  readonly #safety = new StateMachineSafety();
  readonly #leaders = new Map<number, string>();
  #digest = 0;

  constructor(seed: number, { trace, focus }: RunOptions) {
    this.#seed = seed;
    this.#random = new SeededRandom(seed);
    this.#plan = drawPlan(this.#random, focus);
    this.#cluster = new SimCluster({
      seed: this.#random.uint32(),
      nodeCount: this.#plan.nodeCount,
      config: this.#plan.config,
      raft: this.#plan.raft,
      observe: (bytes) => (this.#digest = crc32c(bytes, this.#digest)),
      ...(this.#beginsByOperator ? { clusterId: CLUSTER_ID } : {}),
      ...(trace === undefined ? {} : { trace }),
    });
    this.#clients = new SimClients(this.#cluster);
    this.#ports = this.#newPorts();
    this.#cluster.onOpened((machine, parts) => {
      this.#safety.watch(machine.nodeId, parts);
      const report = (violation: Violation): void => void this.#cluster.bugs.push(violation);
      watchElections(this.#leaders, parts, report);
      const { nodeId } = machine;
      const clock = assertDefined(machine.clock, 'A machine that opens runs');
      watchLease({ nodeId, clock, leaseMs: SIM_TIMING.leaseMs }, parts, report);
    });
    this.#nemesis = new Nemesis(this.#cluster, this.#history, {
      plan: this.#plan,
      random: this.#random.fork(),
    });
  }

  result(failure: RunResult['failure']): RunResult {
    return {
      seed: this.#seed,
      failure,
      step: this.#cluster.scheduler.eventCount,
      virtualMs: this.#cluster.scheduler.nowMs,
      digest: this.#digest,
      acknowledged: this.#history.acknowledged().length,
      reads: this.#history.reads.length,
      faults: this.#nemesis.counts,
    };
  }

  async execute(): Promise<RunResult['failure']> {
    // What the code throws where nobody waits for it ends a real process.
    const onRejection = (error: unknown): void => void this.#cluster.bugs.push(error);
    // eslint-disable-next-line no-restricted-globals -- the run's own process, not a simulated one
    process.on('unhandledRejection', onRejection);
    try {
      await this.#run();
      return null;
    } catch (error) {
      const property = propertyOf(error);
      const stack = error instanceof Error ? (error.stack ?? '') : '';
      return { property, message: messageOf(error), stack };
    } finally {
      // eslint-disable-next-line no-restricted-globals -- as above
      process.off('unhandledRejection', onRejection);
    }
  }

  async #run(): Promise<void> {
    const cluster = this.#cluster;
    await this.#begin();
    const topics = Array.from({ length: this.#plan.topicCount }, (_, index) => `topic-${index}`);
    const partitions = topics.flatMap((topic) => this.#partitionsOf(topic));
    cluster.network.faults = this.#plan.network;
    this.#clients.streams.faults = this.#plan.streams;
    for (const topic of topics) this.#createTopic(topic);
    this.#createTopic(TEXT_TOPIC);
    this.#lookupNow(topics);
    const producers = partitions.flatMap((partition, at) => this.#producersOf(partition, at));
    const readers = partitions.map((partition) => new SimReader(this.#readerOf(partition)));
    for (const client of [...producers, ...readers]) client.start();
    this.#nemesis.start();
    const textUser = this.#textUser();
    textUser?.start();
    const library = this.#libraryUser();
    library?.start();
    const isDone = (): boolean =>
      producers.every((producer) => producer.isDone) &&
      textUser?.isDone !== false &&
      library?.isDone !== false;
    await cluster.run(1);
    await cluster.runWhile(() => !isDone(), FAULTY_MS_MAX);
    this.#nemesis.stop();
    cluster.trace(null, 'the faults have stopped');
    this.#clients.streams.faults = CALM_STREAMS;
    cluster.network.faults = CALM_NETWORK;
    await this.#calm(isDone);
    for (const reader of readers) reader.stop();
    if (this.#plan.endsWithPowerFailure) await this.#failPower();
    await this.#readEverything([...partitions, ...(library === null ? [] : this.#ofLibrary)]);
    for (const check of HISTORY_CHECKERS) check(this.#history);
    checkCopiesWhole(this.#cluster);
    // Last: a loss is often why a producer cannot go on.
    await this.#finishText(textUser);
    if (!isDone()) {
      throw new Violation('Progress', 'producers are not done though nothing is wrong any more');
    }
    await this.#finishLibrary(library);
  }

  get #beginsByOperator(): boolean {
    return this.#plan.scenarios.includes('beginByOperator');
  }

  async #begin(): Promise<void> {
    const withinMs = START_MS_MAX;
    if (!this.#beginsByOperator) {
      await this.#cluster.startAll(withinMs);
      return;
    }
    const random = this.#random.fork();
    await beginByOperator(this.#cluster, { clusterId: CLUSTER_ID, random, withinMs });
  }

  get #ofLibrary(): SimPartition[] {
    return this.#partitionsOf(LIBRARY_TOPIC);
  }

  #libraryUser(): LibraryUser | null {
    const { libraryCount: recordCount, paceMs } = this.#plan;
    if (recordCount === 0) return null;
    return new LibraryUser({
      cluster: this.#cluster,
      clients: this.#clients,
      random: this.#random.fork(),
      history: this.#history,
      partitions: this.#ofLibrary,
      replication: this.#replication,
      recordCount,
      paceMs,
      firstProducerId: 2_000_000,
    });
  }

  async #finishLibrary(library: LibraryUser | null): Promise<void> {
    if (library === null) return;
    library.stop();
    await this.#cluster.runWhile(() => !library.isClosed, CALM_MS_MAX);
    if (!library.isClosed) throw new Violation('Progress', 'a client of the library cannot close');
  }

  #textUser(): SimTextUser | null {
    const { putCount } = this.#plan;
    if (putCount === 0) return null;
    return new SimTextUser({
      cluster: this.#cluster,
      clients: this.#clients,
      random: this.#random.fork(),
      history: this.#text,
      putCount,
    });
  }

  /** Whatever has been acknowledged by now must be there afterwards. */
  async #failPower(): Promise<void> {
    const cluster = this.#cluster;
    for (const machine of cluster.machines) cluster.crash(machine);
    for (const machine of cluster.machines) cluster.start(machine);
    await this.#calm(() => true);
  }

  async #finishText(user: SimTextUser | null): Promise<void> {
    if (user === null) return;
    user.stop();
    await this.#drain(user);
    await this.#checkCursorKept(user);
    const { network, streams } = this.#plan;
    const isFaultless =
      this.#plan.partitionsPerTopic === 1 && // there is no order between partitions
      Object.keys(this.#nemesis.counts).length === 0 &&
      network.lossProbability === 0 &&
      streams.resetProbability === 0;
    checkSharedCursor(this.#text, isFaultless);
    if (this.#plan.partitionsPerTopic === 1) checkCursorOrder(this.#text);
  }

  async #drain(user: SimTextUser): Promise<void> {
    await this.#cluster.run(SETTLE_MS);
    if (!(await user.drain(CALM_MS_MAX))) {
      throw new Violation('Progress', 'the shared cursor does not come to the end');
    }
  }

  /** Once deliveries are confirmed and committed, no crash brings their records back. */
  async #checkCursorKept(user: SimTextUser): Promise<void> {
    await this.#cluster.run(CONFIRM_MS_MAX);
    await this.#drain(user); // what nobody confirmed is given again
    await this.#cluster.run(SETTLE_MS);
    const { length } = this.#text.got;
    await this.#failPower();
    await this.#drain(user);
    checkCursorKept(this.#text, length);
  }

  /** Once faults stop, everything that was begun comes to its end. */
  async #calm(isDone: () => boolean): Promise<void> {
    const cluster = this.#cluster;
    const isServing = (): boolean => cluster.machines.every((machine) => machine.isServing);
    await cluster.runWhile(() => !(isDone() && isServing()), CALM_MS_MAX);
    for (const machine of cluster.machines) {
      if (machine.isServing) continue;
      const why = machine.failure?.message ?? 'it does not say why';
      throw new Violation('Progress', `node ${machine.nodeId} does not serve: ${why}`);
    }
    await cluster.run(SETTLE_MS); // and the scrub gets round
    await cluster.runWhile(() => firstNamedCopy(cluster) !== null, CALM_MS_MAX);
  }

  async #readEverything(partitions: readonly SimPartition[]): Promise<void> {
    for (const partition of partitions) {
      const acknowledged = this.#history
        .acknowledged()
        .filter((append) => append.topic === partition.log);
      const end = Math.max(0, ...acknowledged.map((append) => (append.offset ?? 0) + 1));
      for (const machine of this.#cluster.machines) {
        const log = await readAll(this.#readerOf(partition), machine, end);
        this.#history.finalLogs.push(log);
      }
    }
  }

  #newPorts(): ServerPorts {
    return new ServerPorts(this.#clients, (bug) => this.#cluster.bugs.push(bug));
  }

  #partitionsOf(topic: string): SimPartition[] {
    return Array.from({ length: this.#plan.partitionsPerTopic }, (_, partition) => {
      return { topic, partition, log: `${topic}-${partition}` };
    });
  }

  #readerOf(partition: SimPartition): ConstructorParameters<typeof SimReader>[0] {
    return {
      cluster: this.#cluster,
      random: this.#random.fork(),
      history: this.#history,
      portOf: this.#newPorts().portOf,
      partition,
    };
  }

  #producersOf(partition: SimPartition, at: number): SimProducer[] {
    return Array.from({ length: this.#plan.producersPerTopic }, (_, index) => {
      return new SimProducer({
        cluster: this.#cluster,
        random: this.#random.fork(),
        history: this.#history,
        portOf: this.#newPorts().portOf,
        partition,
        producerId: 1_000_000 + at * this.#plan.producersPerTopic + index,
        recordCount: this.#plan.recordsPerProducer,
        windowMax: this.#plan.windowMax,
        paceMs: this.#plan.paceMs,
      });
    });
  }

  /** What a topic is created with, where it is not the default. */
  get #replication(): { readonly replicas?: number; readonly ackQuorum?: number } {
    return this.#plan.isFiveFold ? { replicas: 5, ackQuorum: 3 } : {};
  }

  #createTopic(topic: string): void {
    const invokedMs = this.#cluster.scheduler.nowMs;
    const { partitionsPerTopic: partitions } = this.#plan;
    const newTopic = { name: topic, partitions, replicas: undefined, ackQuorum: undefined };
    const port = this.#ports.portOf(pick(this.#random, this.#cluster.machines));
    port.createTopic({ ...newTopic, ...this.#replication }, (error) => {
      if (error !== null) {
        this.#cluster.scheduler.schedule(50, () => this.#createTopic(topic));
        return;
      }
      const returnedMs = this.#cluster.scheduler.nowMs;
      this.#history.metadata.push({ type: 'Create', topic, invokedMs, returnedMs, exists: true });
    });
  }

  /** Looks topics up for ever, now and then, through any node. */
  #lookupNow(topics: readonly string[]): void {
    const invokedMs = this.#cluster.scheduler.nowMs;
    const topic = pick(this.#random, topics);
    const port = this.#ports.portOf(pick(this.#random, this.#cluster.machines));
    port.lookup(topic, (error, exists) => {
      if (error !== null || exists === null) return;
      const returnedMs = this.#cluster.scheduler.nowMs;
      this.#history.metadata.push({ type: 'Lookup', topic, invokedMs, returnedMs, exists });
    });
    this.#cluster.scheduler.schedule(150, () => this.#lookupNow(topics));
  }
}

/**
 * A whole cluster in one process on virtual time: the real node code on simulated disks and a simulated network.
 * Machines (a disk, a wall clock, an address) outlive the processes that run on them.
 */
import { assert, assertDefined } from '../../base/assert.ts';
import { BufferPool } from '../../base/bufferPool.ts';
import type { Clock } from '../../base/clock.ts';
import type { WalrusError } from '../../base/errors.ts';
import { isWalrusError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { SeededRandom } from '../../base/random.ts';
import { MIB, nodeId } from '../../base/units.ts';
import type { NodeId } from '../../base/units.ts';
import { resolveConfig } from '../config.ts';
import { timingOf } from '../config/timing.ts';
import type { NodeTiming } from '../config/timing.ts';
import type { ScrubSettings } from '../controller/scrub.ts';
import { NO_METRICS } from '../metrics.ts';
import type { RaftDriverSettings } from '../raft/driver/options.ts';
import type { ClusterConfig } from '../state/types.ts';
import { WalrusNode } from '../walrusNode.ts';
import type { NodeParts } from '../walrusNode.ts';
import { Violation } from './history.ts';
import { Scheduler } from './scheduler.ts';
import { SimDisk } from './simDisk.ts';
import { SimNetwork } from './simNetwork.ts';
import { SimClock, SimProcess } from './simProcess.ts';

/** That of a real node without settings. */
export const SIM_TIMING: NodeTiming = timingOf(resolveConfig({ argv: [], env: {} }).settings);

/** Machines whose addresses all are given, where all are given the same. */
const JOIN_COUNT = 3;

/** Often, since a run is short, and fast, since its segments are small. */
export const SIM_SCRUB: ScrubSettings = { intervalMs: 1000, bytesPerSecond: 16 * MIB };

export interface SimClusterOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly config: ClusterConfig;
  readonly timing?: NodeTiming;
  /** Log segments and snapshots of the metadata, to have many of them. */
  readonly raft?: Partial<RaftDriverSettings>;
  /**
   * As on Kubernetes: all machines are told the cluster's id and the same addresses, and wait for the word to begin it.
   * Otherwise the first machine creates the cluster.
   */
  readonly clusterId?: string;
  /** Where a line of what happens goes: time, node, message. */
  readonly trace?: (line: string) => void;
  /** Gets the bytes of every message delivered and of every disk write, in order. Valid during the call. */
  readonly observe?: (bytes: Uint8Array) => void;
}

/** Called when a process life has opened its disk, before it is registered: where servers are attached. */
export type OnOpened = (machine: Machine, parts: NodeParts) => void;

/** One host: what is left when its process dies. */
export class Machine {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly disk: SimDisk;
  readonly wall = { offsetMs: 1_700_000_000_000 };
  /** The operator's word at the next start. */
  replaceDisk = false;
  process: SimProcess | null = null;
  node: WalrusNode | null = null;
  clock: Clock | null = null;
  /** Why the last life ended by itself, or could not start. */
  failure: WalrusError | null = null;

  constructor(id: NodeId, makeDisk: (clock: Clock) => SimDisk) {
    this.nodeId = id;
    this.address = `node-${id}:6001`;
    const current = (): Clock => assertDefined(this.clock, 'A disk is used by a running process');
    this.disk = makeDisk({
      monotonicMs: () => current().monotonicMs(),
      wallMs: () => current().wallMs(),
      setTimer: (delayMs, callback) => current().setTimer(delayMs, callback),
      defer: (callback) => current().defer(callback),
    });
  }

  get isRunning(): boolean {
    return this.process?.isAlive === true;
  }

  get isServing(): boolean {
    return this.isRunning && this.node?.isRegistered === true;
  }

  /** The parts of the running node; null while it is down or has not opened its disk. */
  get parts(): NodeParts | null {
    if (!this.isRunning || this.node === null) return null;
    return this.node.isOpen ? this.node.parts : null;
  }
}

export class SimCluster {
  readonly scheduler = new Scheduler();
  readonly random: SeededRandom;
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  readonly #options: SimClusterOptions;
  readonly #onOpened: OnOpened[] = [];
  readonly #onEnded: (() => void)[] = [];
  readonly #onFailed: ((machine: Machine, error: WalrusError) => void)[] = [];
  /** Failures of the code itself: an assertion, or anything else that nobody expects. */
  readonly bugs: unknown[] = [];

  constructor(options: SimClusterOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
    const observe = options.observe ?? ((): void => undefined);
    this.network = new SimNetwork(this.scheduler, this.random.fork(), observe);
    this.machines = Array.from({ length: options.nodeCount }, (_, index) => {
      const diskRandom = this.random.fork();
      return new Machine(nodeId(index + 1), (clock) => {
        return new SimDisk({ random: diskRandom, clock, observe });
      });
    });
  }

  onOpened(listener: OnOpened): void {
    this.#onOpened.push(listener);
  }

  /** Calls back when a process has ended by itself, or could not start. */
  onFailed(listener: (machine: Machine, error: WalrusError) => void): void {
    this.#onFailed.push(listener);
  }

  /** Calls back when a process has ended, however. */
  onEnded(listener: () => void): void {
    this.#onEnded.push(listener);
  }

  /** Starts every machine; the first one creates the cluster. */
  async startAll(withinMs = 20_000): Promise<void> {
    for (const machine of this.machines) this.start(machine);
    await this.runUntil(() => this.machines.every((machine) => machine.isServing), withinMs);
  }

  /** Starts a machine's process on whatever its disk holds. */
  start(machine: Machine): void {
    assert(!machine.isRunning, 'A machine runs one process');
    const process = new SimProcess();
    const clock = new SimClock(this.scheduler, process, machine.wall);
    machine.process = process;
    machine.clock = clock;
    machine.failure = null;
    const random = this.random.fork();
    const logger = this.#loggerOf(machine);
    const self = { nodeId: machine.nodeId, address: machine.address };
    const transport = this.network.attach(self, process);
    const node = new WalrusNode(this.#nodeOptions(machine), {
      clock,
      random,
      disk: machine.disk,
      logger,
      transport,
      metrics: NO_METRICS,
      buffers: new BufferPool({ maxFreeBytes: 8 * MIB, spoils: true }),
      onFatal: (error) => this.#fail(machine, process, error),
    });
    machine.node = node;
    this.trace(machine, 'starts');
    node
      .start((parts) => {
        for (const listener of this.#onOpened) listener(machine, parts);
      })
      .then(
        () => this.trace(machine, 'serves'),
        (error: unknown) => this.#fail(machine, process, error),
      );
  }

  #nodeOptions(machine: Machine): ConstructorParameters<typeof WalrusNode>[0] {
    const others = this.machines.filter((other) => other !== machine).map((other) => other.address);
    const { clusterId } = this.#options;
    const first = this.machines.slice(0, JOIN_COUNT).map(({ address }) => address);
    const isFirstStart = this.machines.every((other) => other.disk.paths().length === 0);
    const isCreator = machine === this.machines[0] && isFirstStart;
    return {
      nodeId: machine.nodeId,
      clusterId: clusterId ?? '',
      addresses: {
        peer: machine.address,
        client: `node-${machine.nodeId}:9091`,
        http: `node-${machine.nodeId}:9191`,
      },
      join: clusterId !== undefined ? first : isCreator ? [] : others,
      replaceDisk: machine.replaceDisk,
      zone: '',
      version: 'sim',
      clusterConfig: this.#options.config,
      timing: this.#options.timing ?? SIM_TIMING,
      scrub: SIM_SCRUB,
      raft: this.#options.raft ?? {},
    };
  }

  #fail(machine: Machine, process: SimProcess, error: unknown): void {
    if (!process.isAlive) return;
    if (!isWalrusError(error)) {
      this.bugs.push(error);
      return;
    }
    machine.failure = error;
    this.trace(machine, `fails: ${error.code} ${error.message}`);
    this.kill(machine);
    for (const listener of this.#onFailed) listener(machine, error);
  }

  /** `kill -9`: the process ends, what it has written stays in the page cache. */
  kill(machine: Machine): void {
    this.#end(machine);
    machine.disk.kill();
    this.trace(machine, 'is killed');
  }

  /** A power failure: unsynced writes are lost or torn as the disk's faults say. */
  crash(machine: Machine): void {
    this.#end(machine);
    machine.disk.crash();
    this.trace(machine, 'crashes');
  }

  #end(machine: Machine): void {
    machine.process?.kill();
    machine.process = null;
    for (const listener of this.#onEnded) listener();
  }

  /** Runs for a time. */
  async run(durationMs: number): Promise<void> {
    await this.scheduler.run(this.scheduler.nowMs + durationMs, () => this.bugs.length > 0);
    this.#throwBugs();
  }

  /** Runs while a condition holds, at most for a time. */
  async runWhile(condition: () => boolean, withinMs: number): Promise<void> {
    const deadlineMs = this.scheduler.nowMs + withinMs;
    await this.scheduler.run(deadlineMs, () => this.bugs.length > 0 || !condition());
    this.#throwBugs();
  }

  /** Runs until a condition holds; fails when it does not within the time. */
  async runUntil(condition: () => boolean, withinMs: number): Promise<void> {
    const deadlineMs = this.scheduler.nowMs + withinMs;
    await this.scheduler.run(deadlineMs, () => this.bugs.length > 0 || condition());
    this.#throwBugs();
    if (condition()) return;
    throw new Violation('Progress', `What was waited for did not come within ${withinMs} ms`);
  }

  #throwBugs(): void {
    if (this.bugs.length > 0) throw this.bugs[0];
  }

  trace(machine: Machine | null, message: string): void {
    const who = machine === null ? 'cluster' : `node ${machine.nodeId}`;
    this.#options.trace?.(`${this.scheduler.nowMs.toFixed(3)} ${who} ${message}`);
  }

  #loggerOf(machine: Machine): Logger {
    if (this.#options.trace === undefined) return { log: () => undefined };
    return {
      log: (level, message, fields) => {
        this.trace(machine, `${level} ${message} ${JSON.stringify(fields ?? {})}`);
      },
    };
  }
}

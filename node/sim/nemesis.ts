/**
 * Brings the faults of a run's plan, one or two at a time, and takes them back. Never takes more disks than the
 * design survives: one, with R=3 and W=2.
 */
import { between, chance, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { ErrorCode, WalrusError } from '../../base/errors.ts';
import { firstBadCopy } from './checkers/copiesWhole.ts';
import { Violation } from './history.ts';
import type { History } from './history.ts';
import { DISK_LOSSES } from './plan.ts';
import type { FaultKind, RunPlan } from './plan.ts';
import { isRollBackDetectable } from './rollBack.ts';
import { SCENARIOS } from './scenarios.ts';
import type { ScenarioKind } from './scenarios.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import { CRASH_ONLY } from './simDisk.ts';
import type { SimDisk, SimDiskFaults, SimDiskState } from './simDisk.ts';
import type { Stage } from './stage.ts';

/** Takes a fault back. */
type Undo = () => void;

/** Faults under way at once. */
const CONCURRENT_COUNT_MAX = 2;
const FULL_DISK_BYTES = 1024;
/** With so many voters, one disk may be lost. */
const VOTERS_MIN = 3;
/** How a node ends that finds rot where there is no other copy to read. */
const ROTTEN_CODES: readonly ErrorCode[] = ['DISK_FAILED', 'CORRUPT_SEGMENT'];
const REPLACE_MS = 200;
/** How often a process whose syncs failed is only started again, on the same disk. */
const RESTART_PROBABILITY = 0.5;
/** A supervisor starts a node again after this. */
const RESTART_MS = 100;

export class Nemesis {
  readonly #cluster: SimCluster;
  readonly #plan: RunPlan;
  readonly #random: Random;
  readonly #history: History;
  /** What undoes each fault that is under way. */
  readonly #undo = new Map<Machine, Undo>();
  /** The scenario that is under way, at most one. */
  #scenario: { readonly kind: ScenarioKind } | null = null;
  #isStopped = false;
  #hasLostDisk = false;
  #image: { readonly machine: Machine; readonly state: SimDiskState } | null = null;
  /** The machine whose disk was lost, rotten or broken: not one more of these. */
  victim: Machine | null = null;
  /** The machine of which any byte may have rotted. */
  #rotten: Machine | null = null;
  /** Whether the one disk has lost no more than some batches, which may have been repaired meanwhile. */
  #hasOnlyRotCopies = false;
  /** How often each kind was brought. */
  readonly counts: Partial<Record<FaultKind | ScenarioKind, number>> = {};

  constructor(
    cluster: SimCluster,
    history: History,
    { plan, random }: { plan: RunPlan; random: Random },
  ) {
    this.#cluster = cluster;
    this.#history = history;
    this.#plan = plan;
    this.#random = random;
    cluster.onFailed((machine, error) => this.#onFailed(machine, error));
  }

  /** A start that finds the catalog or the metadata's log rotten refuses the disk; then it is replaced. */
  #onFailed(machine: Machine, error: WalrusError): void {
    if (machine !== this.#rotten || !ROTTEN_CODES.includes(error.code)) return;
    this.#cluster.trace(machine, 'nemesis: the rotten disk is replaced');
    this.#cluster.scheduler.schedule(REPLACE_MS, () => {
      if (machine.isRunning) return;
      machine.disk.wipe();
      this.#replace(machine);
    });
  }

  start(): void {
    this.#next();
  }

  /** No more faults; what is under way is taken back, and every machine runs. */
  stop(): void {
    this.#isStopped = true;
    for (const undo of [...this.#undo.values()]) undo();
    this.#scenario = null;
    this.#calm();
  }

  #calm(): void {
    this.#cluster.network.heal();
    this.#cluster.network.faults = this.#plan.network;
    this.#history.onAcknowledged = () => undefined;
    for (const machine of this.#cluster.machines) {
      machine.disk.faults = CRASH_ONLY;
      if (this.#undo.has(machine)) continue;
      machine.disk.heal(); // a scenario that was cut off may have broken it
      if (!machine.isRunning) this.#cluster.start(machine);
      machine.process?.resume();
    }
  }

  #beginScenario(): void {
    const kind = pick(this.#random, this.#plan.scenarios);
    const scenario = { kind };
    this.#scenario = scenario;
    const durationMs = SCENARIOS[kind](this.#stage(scenario));
    if (durationMs === null) {
      this.#scenario = null;
      return;
    }
    this.#cluster.trace(null, `nemesis: ${kind}`);
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#cluster.scheduler.schedule(durationMs, () => {
      if (this.#scenario !== scenario) return;
      this.#cluster.trace(null, `nemesis: ${kind} ends`);
      this.#scenario = null;
      this.#calm();
    });
  }

  #stage(scenario: object): Stage {
    const { scheduler } = this.#cluster;
    const later = (delayMs: number, callback: () => void): void => {
      scheduler.schedule(delayMs, () => {
        if (this.#scenario === scenario) callback();
      });
    };
    return {
      cluster: this.#cluster,
      random: this.#random,
      isUndisturbed: this.#plan.faults.length === 0,
      later,
      atAcknowledgement: (withinMs, callback) => {
        let isDone = false;
        const once = (): void => {
          if (isDone) return;
          isDone = true;
          callback();
        };
        this.#history.onAcknowledged = () => later(0, once);
        later(withinMs, once);
      },
      tryLoseDisk: (machine, afterMs) => this.#tryLoseDisk(machine, afterMs),
      tryRot: (machine) => this.#tryRot(machine),
      tryRuinDisk: (machine, afterMs, ruin) => this.#tryRuinDisk(machine, afterMs, ruin),
    };
  }

  /** Batches of copies may rot again and again, as long as all of it has been repaired before. */
  #tryRot(machine: Machine): boolean {
    if (this.#undo.size > 0) return false;
    const isRepaired = this.#hasOnlyRotCopies && firstBadCopy(this.#cluster) === null;
    if (this.#hasLostDisk && !isRepaired) return false;
    this.#hasLostDisk = true;
    this.#hasOnlyRotCopies = true;
    this.victim = machine;
    return true;
  }

  #tryLoseDisk(machine: Machine, afterMs: number): boolean {
    if (this.#hasLostDisk || this.#undo.has(machine) || !this.#survivesLoss()) return false;
    this.#hasLostDisk = true;
    this.victim = machine;
    this.#cluster.trace(machine, 'nemesis: loses its disk');
    if (machine.isRunning) this.#cluster.kill(machine);
    machine.disk.wipe();
    this.#undo.set(machine, () => {
      this.#undo.delete(machine);
      if (machine.isRunning) this.#cluster.kill(machine);
      this.#replace(machine);
    });
    this.#cluster.scheduler.schedule(afterMs, () => this.#undo.get(machine)?.());
    return true;
  }

  /** What is started on such a disk, again and again as supervisors do, must be refused each time. */
  #tryRuinDisk(machine: Machine, afterMs: number, ruin: (disk: SimDisk) => void): boolean {
    if (this.#hasLostDisk || this.#undo.has(machine)) return false;
    this.#hasLostDisk = true;
    this.victim = machine;
    const undo = this.#ruin(machine, ruin);
    this.#undo.set(machine, () => {
      this.#undo.delete(machine);
      undo();
    });
    this.#cluster.scheduler.schedule(afterMs, () => this.#undo.get(machine)?.());
    return true;
  }

  #ruin(machine: Machine, ruin: (disk: SimDisk) => void): Undo {
    const cluster = this.#cluster;
    cluster.trace(machine, 'nemesis: its disk is ruined');
    if (machine.isRunning) cluster.kill(machine);
    ruin(machine.disk);
    const watch = { isOver: false, wasAdmitted: false };
    const supervise = (): void => {
      if (watch.isOver) return;
      if (!machine.isRunning) cluster.start(machine);
      watch.wasAdmitted ||= machine.parts?.admission.isAdmitted === true;
      cluster.scheduler.schedule(RESTART_MS, supervise);
    };
    supervise();
    return () => {
      watch.isOver = true;
      if (machine.isRunning) cluster.kill(machine);
      machine.disk.wipe();
      this.#replace(machine);
      if (!watch.wasAdmitted) return;
      const message = `node ${machine.nodeId} was admitted with a disk that had lost something`;
      cluster.bugs.push(new Violation('RuinedDiskRefused', message));
    };
  }

  /** The metadata keep a majority when one voter's disk is lost: a cluster that is forming has two voters for a while. */
  #survivesLoss(): boolean {
    return this.#cluster.machines.some((machine) => {
      const status = machine.parts?.raft.status();
      return status?.role === 'Leader' && status.configuration.voters.length >= VOTERS_MIN;
    });
  }

  #next(): void {
    const { min, max } = this.#plan.faultIntervalMs;
    this.#cluster.scheduler.schedule(between(this.#random, min, max), () => {
      if (this.#isStopped) return;
      const isScenario = this.#scenario === null && this.#plan.scenarios.length > 0;
      if (isScenario && chance(this.#random, 0.5)) this.#beginScenario();
      else if (this.#plan.faults.length > 0 && this.#undo.size < CONCURRENT_COUNT_MAX)
        this.#strike();
      this.#next();
    });
  }

  #strike(): void {
    const kind = pick(this.#random, this.#plan.faults);
    const drawn = pick(this.#random, this.#cluster.machines);
    const machine = kind === 'rollBackDisk' ? (this.#image?.machine ?? drawn) : drawn;
    if (this.#undo.has(machine) || !machine.isServing) return;
    if (kind === 'rollBackDisk' && this.#image === null) {
      this.#keepImage(machine);
      return;
    }
    if (DISK_LOSSES.includes(kind) && !this.#mayLose()) return;
    this.#cluster.trace(machine, `nemesis: ${kind}`);
    const undo = this.#bring(kind, machine);
    if (undo === null) return;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.#undo.set(machine, () => {
      this.#undo.delete(machine);
      this.#cluster.trace(machine, `nemesis: ${kind} ends`);
      undo();
    });
    const { min, max } = this.#plan.faultDurationMs;
    const durationMs = between(this.#random, min, max);
    this.#cluster.scheduler.schedule(durationMs, () => this.#undo.get(machine)?.());
  }

  /** For a later time: the machine begins another life, since within one nobody could tell. */
  #keepImage(machine: Machine): void {
    this.#image = { machine, state: machine.disk.snapshotState() };
    this.#cluster.kill(machine);
    this.#cluster.start(machine);
  }

  /** Only one disk in a run, and only while every segment has its copies elsewhere. */
  #mayLose(): boolean {
    if (this.#hasLostDisk || this.#undo.size > 0 || this.#scenario !== null) return false;
    if (!this.#survivesLoss()) return false;
    return this.#cluster.machines.every((other) => other.isServing);
  }

  #bring(kind: FaultKind, machine: Machine): Undo | null {
    if (!DISK_LOSSES.includes(kind)) return this.#trouble(kind, machine);
    const undo = this.#damage(kind, machine);
    if (undo !== null) this.#hasLostDisk = true;
    return undo;
  }

  /** Faults that cost nothing durable. */
  #trouble(kind: FaultKind, machine: Machine): Undo {
    const cluster = this.#cluster;
    switch (kind) {
      case 'kill':
        cluster.kill(machine);
        return () => this.#restart(machine);
      case 'powerFailure':
        cluster.crash(machine);
        return () => this.#restart(machine);
      case 'pause': {
        const { process } = machine;
        process?.pause();
        return () => process?.resume();
      }
      case 'isolate':
        cluster.network.isolate(machine.address);
        return () => this.#reconnect(machine);
      case 'oneWayCut':
        return this.#cutOneWay(machine);
      case 'clockJump':
        machine.wall.offsetMs += between(this.#random, -3_600_000, 3_600_000);
        return () => undefined;
      default:
        machine.disk.faults = this.#diskFaults(kind, machine);
        return () => (machine.disk.faults = CRASH_ONLY);
    }
  }

  #diskFaults(kind: FaultKind, machine: Machine): SimDiskFaults {
    if (kind === 'slowDisk') {
      return { ...CRASH_ONLY, slowSyncProbability: 0.3, slowSyncMs: { min: 20, max: 500 } };
    }
    return { ...CRASH_ONLY, capacityBytes: machine.disk.usedBytes() + FULL_DISK_BYTES };
  }

  #cutOneWay(machine: Machine): Undo {
    const { network, machines } = this.#cluster;
    const other = pick(
      this.#random,
      machines.filter((candidate) => candidate !== machine),
    );
    const isOutgoing = chance(this.#random, 0.5);
    const [from, to] = isOutgoing
      ? [machine.address, other.address]
      : [other.address, machine.address];
    network.cut(from, to);
    return () => network.heal(from, to);
  }

  #reconnect(machine: Machine): void {
    for (const other of this.#cluster.machines) {
      this.#cluster.network.heal(machine.address, other.address);
      this.#cluster.network.heal(other.address, machine.address);
    }
  }

  #restart(machine: Machine): void {
    if (!machine.isRunning) this.#cluster.start(machine);
  }

  #damage(kind: FaultKind, machine: Machine): Undo | null {
    switch (kind) {
      case 'loseDisk':
        this.victim = machine;
        this.#cluster.kill(machine);
        machine.disk.wipe();
        return () => this.#replace(machine);
      case 'rollBackDisk':
        return this.#rollBack(machine);
      case 'rot':
        this.victim = machine;
        this.#rotten = machine;
        return machine.disk.rotRandom() === null ? null : () => undefined;
      default:
        this.victim = machine;
        machine.disk.failSyncs();
        return () => this.#endFailedSyncs(machine);
    }
  }

  /** The operator replaces the disk, or somebody only starts the process again: then what it says must be so. */
  #endFailedSyncs(machine: Machine): void {
    if (machine.isRunning) this.#cluster.kill(machine);
    machine.disk.heal();
    if (chance(this.#random, RESTART_PROBABILITY)) {
      this.#hasLostDisk = false; // nothing that was acknowledged is lost
      this.victim = null;
      this.#restart(machine);
      return;
    }
    machine.disk.wipe();
    this.#replace(machine);
  }

  /** The refusal is seen first, then the operator says that the disk is lost. */
  #rollBack(machine: Machine): Undo | null {
    const image = this.#image;
    if (image?.machine !== machine) return null;
    if (!isRollBackDetectable(this.#cluster, machine, image.state)) return null;
    this.victim = machine;
    return this.#ruin(machine, (disk) => disk.restoreState(image.state));
  }

  /** Starts with an empty disk; refused under its old identity unless the operator has spoken. */
  #replace(machine: Machine): void {
    machine.replaceDisk = true;
    this.#restart(machine);
  }
}

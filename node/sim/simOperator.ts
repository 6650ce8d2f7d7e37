/**
 * Begins a simulated cluster as the operator does on Kubernetes (ADR 0150): it notes which disk node 1 waits on, once,
 * and then asks that this very disk begins it, as often as it takes. It may crash anywhere: what it knows is the note.
 */
import { assert } from '../../base/assert.ts';
import { isWalrusError } from '../../base/errors.ts';
import { between, chance } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import { Violation } from './history.ts';
import type { Machine, SimCluster } from './simCluster.ts';

const ROUND_MS_MAX = 120;
/** How often an operator that has lost its way asks another node than the one that it has noted. */
const ASTRAY_PROBABILITY = 0.2;

export class SimOperator {
  readonly #cluster: SimCluster;
  readonly #random: Random;
  readonly #clusterId: string;
  /** The annotation: it outlives the operator, and never changes. */
  #notedDisk: string | null = null;
  /** Called at the first success. */
  onBegun: () => void = () => undefined;
  /** How requests were answered, by reason; 'done' for a success. */
  readonly answers = new Map<string, number>();

  constructor(cluster: SimCluster, clusterId: string, random: Random) {
    this.#cluster = cluster;
    this.#clusterId = clusterId;
    this.#random = random;
  }

  start(): void {
    this.#round();
  }

  #round(): void {
    const [first] = this.#cluster.machines;
    assert(first !== undefined, 'A cluster has a machine');
    // A node's status is what its process says; a dead one says nothing.
    if (this.#notedDisk === null && isWaiting(first)) {
      this.#notedDisk = first.node?.identity?.diskId ?? null;
      this.#cluster.trace(first, `operator: the cluster begins on disk ${this.#notedDisk}`);
    } else if (this.#notedDisk !== null) this.#ask(this.#notedDisk, this.#addressee(first));
    const { scheduler, machines } = this.#cluster;
    if (machines.every(({ isServing }) => isServing)) return;
    scheduler.schedule(between(this.#random, 1, ROUND_MS_MAX), () => this.#round());
  }

  #addressee(first: Machine): Machine {
    const { machines } = this.#cluster;
    const isAstray = chance(this.#random, ASTRAY_PROBABILITY);
    return isAstray ? (machines[between(this.#random, 0, machines.length - 1)] ?? first) : first;
  }

  #ask(diskId: string, { isRunning, node }: Machine): void {
    if (!isRunning || node === null) return;
    node.bootstrap({ clusterId: this.#clusterId, diskId }).then(
      () => {
        if (!this.answers.has('done')) this.onBegun();
        this.#note('done');
      },
      (error: unknown) => {
        if (isWalrusError(error)) this.#note(String(error.details['reason'] ?? error.code));
        else this.#cluster.bugs.push(error);
      },
    );
  }

  #note(answer: string): void {
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1);
  }
}

function isWaiting({ isRunning, node, parts }: Machine): boolean {
  return isRunning && parts === null && node !== null && node.identity !== null;
}

/** Power failures while a cluster begins, and how long a machine is down after one. */
const CRASH_COUNT_MAX = 8;
const DOWN_MS_MAX = 400;
const BEGINNING_MS = 1500;
/** In which a node that begins a cluster elects itself, and commits what the metadata begin with. */
const FIRST_ENTRIES_MS = 3;

/**
 * Starts all machines in any order, with power failures at any moment, while the operator begins the cluster.
 * @returns how the operator was answered.
 */
export async function beginByOperator(
  cluster: SimCluster,
  options: { readonly clusterId: string; readonly random: Random; readonly withinMs: number },
): Promise<ReadonlyMap<string, number>> {
  const { clusterId, random, withinMs } = options;
  const operator = new SimOperator(cluster, clusterId, random);
  const startLater = (machine: Machine): void => {
    cluster.scheduler.schedule(between(random, 0, DOWN_MS_MAX), () => {
      if (!machine.isRunning) cluster.start(machine);
    });
  };
  const crash = (at: number): void => {
    const machine = cluster.machines[at];
    if (machine?.isRunning !== true) return;
    cluster.crash(machine);
    startLater(machine);
  };
  for (const machine of cluster.machines) startLater(machine);
  operator.onBegun = () => {
    // On its way from the word to the first entries of the metadata.
    const afterMs = between(random, 0, 1000 * FIRST_ENTRIES_MS) / 1000;
    if (chance(random, 0.5)) cluster.scheduler.schedule(afterMs, () => crash(0));
  };
  operator.start();
  const crashCount = between(random, 0, CRASH_COUNT_MAX);
  for (let count = 0; count < crashCount; count += 1) {
    // Rather the one that begins it.
    const at = chance(random, 0.5) ? 0 : between(random, 0, cluster.machines.length - 1);
    cluster.scheduler.schedule(between(random, 0, BEGINNING_MS), () => crash(at));
  }
  await cluster.run(BEGINNING_MS);
  await cluster.runUntil(() => cluster.machines.every(({ isServing }) => isServing), withinMs);
  for (const { nodeId, parts } of cluster.machines) {
    const found = parts?.metadata.metadata.clusterId;
    if (found === clusterId) continue;
    throw new Violation('OneCluster', `node ${nodeId} serves a cluster with the id "${found}"`);
  }
  return operator.answers;
}

/** What scenarios work with: the stage, and who plays in them. */
import { between, pick } from '../../base/random.ts';
import type { Random } from '../../base/random.ts';
import type { Metadata, SegmentRecord } from '../state/types.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import type { SimDisk } from './simDisk.ts';

const STATE_POLL_MS = 3;

/** What a scenario works on. */
export interface Stage {
  readonly cluster: SimCluster;
  readonly random: Random;
  /** The run has no faults but those of its scenarios. */
  readonly isUndisturbed: boolean;
  /** Runs after a time, unless the scenario has ended by then. */
  later(delayMs: number, callback: () => void): void;
  /** Runs at the next acknowledgement, or after a time. */
  atAcknowledgement(withinMs: number, callback: () => void): void;
  /** Empties a disk and replaces it after a time; false when the run has lost one already. */
  tryLoseDisk(machine: Machine, replacedAfterMs: number): boolean;
  /**
   * Takes something from a disk that its node has promised by, starts the node on it again and again, and replaces it
   * after a time; false when the run has lost a disk already.
   */
  tryRuinDisk(machine: Machine, replacedAfterMs: number, ruin: (disk: SimDisk) => void): boolean;
  /** Claims the one disk that a run may lose for rot on this one; false when it has lost one already. */
  tryRot(machine: Machine): boolean;
}

/** The machine of a node. */
export function machineOf(cluster: SimCluster, nodeId: number): Machine | undefined {
  return cluster.machines[nodeId - 1];
}

/** The machine that leads the metadata, as far as it knows. */
export function metadataLeader(cluster: SimCluster): Machine | undefined {
  return cluster.machines
    .filter((machine) => machine.parts?.raft.status().role === 'Leader')
    .sort((a, b) => termOf(b) - termOf(a))[0];
}

/** The metadata term that a machine is in. */
export function termOf(machine: Machine): number {
  return machine.parts?.raft.status().currentTerm ?? 0;
}

/** The metadata as their leader has it. */
export function metadataOf(cluster: SimCluster): Metadata | undefined {
  return metadataLeader(cluster)?.parts?.metadata.metadata;
}

/** The same items in a drawn order. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(between(random, 0, left.length - 1), 1));
  return result;
}

/** Cuts two machines off from each other. */
export function cutBoth({ network }: SimCluster, a: Machine, b: Machine): void {
  network.cut(a.address, b.address);
  network.cut(b.address, a.address);
}

/** Joins two machines again. */
export function healBoth({ network }: SimCluster, a: Machine, b: Machine): void {
  network.heal(a.address, b.address);
  network.heal(b.address, a.address);
}

/** Power fails for some machines; each is started again within a time. */
export function powerFail(stage: Stage, machines: readonly Machine[], downMs: number): void {
  const { cluster, random } = stage;
  for (const machine of machines) {
    if (!machine.isRunning) continue;
    cluster.crash(machine);
    stage.later(between(random, 1, downMs), () => {
      if (!machine.isRunning) cluster.start(machine);
    });
  }
}

/** Who plays in a scenario: a segment with its members. */
export interface Cast {
  readonly segment: SegmentRecord;
  readonly leader: Machine;
  /** The other members, in a drawn order. */
  readonly others: readonly Machine[];
}

/** An open segment with all its members. */
export function drawSegment(
  stage: Stage,
  isFit: (cast: Cast) => boolean = () => true,
): Cast | null {
  const casts = [...(metadataOf(stage.cluster)?.segments.values() ?? [])]
    .map((segment) => (segment.state === 'OPEN' ? castOf(stage, segment) : null))
    .filter((cast): cast is Cast => cast !== null && isFit(cast));
  return casts.length === 0 ? null : pick(stage.random, casts);
}

function castOf({ cluster, random }: Stage, segment: SegmentRecord): Cast | null {
  const leader = machineOf(cluster, segment.leader.nodeId);
  if (leader?.isServing !== true) return null;
  const others = segment.ensemble
    .map((place) => machineOf(cluster, place.nodeId))
    .filter((machine): machine is Machine => machine !== undefined && machine !== leader);
  return { segment, leader, others: shuffled(random, others) };
}

/** Runs once the metadata says that a segment is in one of some states. */
export function whenState(
  stage: Stage,
  cast: Cast,
  states: readonly string[],
  act: () => void,
): void {
  const now = metadataOf(stage.cluster)?.segments.get(cast.segment.segmentId);
  if (now !== undefined && states.includes(now.state)) act();
  else stage.later(STATE_POLL_MS, () => whenState(stage, cast, states, act));
}

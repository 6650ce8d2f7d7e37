/**
 * Scenarios with rot that aims at copies of segments. All are legal: what rots is one disk's, or is still whole in all
 * other copies, and is proven durable, so that it cannot be taken for a torn write.
 */
import { assertDefined } from '../../base/assert.ts';
import { between, chance, pick } from '../../base/random.ts';
import type { SegmentId } from '../../base/units.ts';
import type { SegmentRecord } from '../state/types.ts';
import { batchSpots, rotBody, rotHeader } from './copyRot.ts';
import type { BatchSpot } from './copyRot.ts';
import type { Machine } from './simCluster.ts';
import { machineOf, metadataOf, shuffled } from './stage.ts';
import type { Stage } from './stage.ts';

/** How long each of the other members is away, and how long all are there in between. */
const AWAY_MS = 900;
const BACK_MS = 400;
/** How long a member lags before the others rot and go away, at most, and how long the leader is down. */
const LAG_MS = 1000;
const DOWN_MS_MAX = 3000;
const POLL_MS = 5;
/** Longer than a copier asks two replicas that do not answer. */
const APART_MS = 8000;

function provenSpots(machine: Machine, segmentId: SegmentId): BatchSpot[] {
  return batchSpots(machine, segmentId).filter(({ isProven }) => isProven);
}

/** A sealed segment whose members all run, with enough of it to rot in different places. */
function drawSealed({ cluster, random }: Stage): {
  readonly segment: SegmentRecord;
  readonly members: readonly Machine[];
} | null {
  const found = [...(metadataOf(cluster)?.segments.values() ?? [])].flatMap((segment) => {
    if (segment.state !== 'SEALED') return [];
    const members = segment.ensemble.flatMap(({ nodeId }) => machineOf(cluster, nodeId) ?? []);
    const isUsable = members.every(
      (machine) =>
        machine.isServing && provenSpots(machine, segment.segmentId).length >= members.length,
    );
    return isUsable ? [{ segment, members: shuffled(random, members) }] : [];
  });
  return found.length === 0 ? null : pick(random, found);
}

export function rotCopy(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSealed(stage);
  if (cast === null) return null;
  const [victim, ...others] = cast.members;
  if (victim === undefined || !stage.tryRot(victim)) return null;
  const spot = pick(random, provenSpots(victim, cast.segment.segmentId));
  const isHeader = chance(random, 0.5);
  if (isHeader) rotHeader(victim, spot);
  else rotBody(victim, spot);
  if (isHeader || chance(random, 0.3)) {
    cluster.kill(victim);
    stage.later(between(random, 1, 200), () => start(stage, victim));
  }
  let atMs = between(random, 0, 400);
  for (const machine of others) {
    away(stage, machine, atMs);
    atMs += AWAY_MS + BACK_MS;
  }
  return atMs;
}

function start({ cluster }: Stage, machine: Machine): void {
  if (!machine.isRunning) cluster.start(machine);
}

/** Takes a machine away from `atMs` on: paused, killed or cut off. */
function away(stage: Stage, machine: Machine, atMs: number): void {
  const { cluster, random } = stage;
  const how = pick(random, ['pause', 'kill', 'isolate'] as const);
  stage.later(atMs, () => {
    if (!machine.isRunning) return;
    if (how === 'pause') machine.process?.pause();
    else if (how === 'kill') cluster.kill(machine);
    else cluster.network.isolate(machine.address);
  });
  stage.later(atMs + AWAY_MS, () => {
    if (how === 'isolate') cluster.network.heal();
    machine.process?.resume();
    start(stage, machine);
  });
}

export function rotEveryCopy(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSealed(stage);
  if (cast === null) return null;
  const { segmentId } = cast.segment;
  const spotsOf = cast.members.map((machine) => provenSpots(machine, segmentId));
  const shortest = Math.min(...spotsOf.map(({ length }) => length));
  const order = shuffled(
    random,
    Array.from({ length: shortest }, (_, at) => at),
  );
  const [first] = cast.members;
  if (first === undefined || !stage.tryRot(first)) return null;
  for (const [at, machine] of cast.members.entries()) {
    rotBody(machine, assertDefined(spotsOf[at]?.[order[at] ?? 0], 'There are enough batches'));
  }
  for (const machine of cluster.machines) cluster.network.isolate(machine.address);
  return APART_MS;
}

export function rotAndLose(stage: Stage): number | null {
  const { cluster, random } = stage;
  const laggard = pick(random, cluster.machines);
  if (!laggard.isServing) return null;
  cluster.network.isolate(laggard.address);
  const watch = (): void => {
    const cast = drawProven(stage, laggard);
    // The longer it waits, the more has been acknowledged without the laggard.
    const isTime = cast !== null && chance(random, 0.1);
    if (isTime && stage.tryRot(cast.victim)) loseBoth(stage, cast);
    else stage.later(POLL_MS, watch);
  };
  stage.later(POLL_MS, watch);
  return LAG_MS + DOWN_MS_MAX;
}

interface Rotting {
  readonly leader: Machine;
  readonly victim: Machine;
  readonly spot: BatchSpot;
}

/** An open segment that a member lags in, with another one whose first batch is proven durable. */
function drawProven({ cluster, random }: Stage, laggard: Machine): Rotting | null {
  const segments = [...(metadataOf(cluster)?.segments.values() ?? [])];
  const found = segments.flatMap(({ state, segmentId, leader: { nodeId }, ensemble }) => {
    const leader = machineOf(cluster, nodeId);
    const members = ensemble.flatMap((place) => machineOf(cluster, place.nodeId) ?? []);
    if (state !== 'OPEN' || leader?.isServing !== true || !members.includes(laggard)) return [];
    return members.flatMap((victim) => {
      const [spot] = provenSpots(victim, segmentId);
      const isUsable = victim !== leader && victim !== laggard && leader !== laggard;
      return spot !== undefined && isUsable ? [{ leader, victim, spot }] : [];
    });
  });
  return found.length === 0 ? null : pick(random, found);
}

function loseBoth(stage: Stage, { leader, victim, spot }: Rotting): void {
  const { cluster, random } = stage;
  cluster.kill(victim);
  cluster.kill(leader);
  rotHeader(victim, spot);
  cluster.network.heal();
  stage.later(between(random, 1, 50), () => start(stage, victim));
  stage.later(between(random, DOWN_MS_MAX / 2, DOWN_MS_MAX), () => start(stage, leader));
}

/** Scenarios that aim at what clients are told: where a group goes on, and what a shared cursor hands out. */
import { between, chance, pick } from '../../base/random.ts';
import { MESSAGE_KIND } from '../../protocol/peer/envelope.ts';
import { OPEN_MS_MAX } from '../controller/leaderReport.ts';
import { TEXT_TOPIC } from './history.ts';
import { drawSegment, metadataLeader, whenState } from './stage.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import { CRASH_ONLY } from './simDisk.ts';
import type { Stage } from './stage.ts';

/** Messages between nodes take their time, those of elections too: few enough that a leader stays. */
const LATE_PROBABILITY = 0.2;
/** How late metadata may come: not so late that their leader is taken for dead. */
const LATE_METADATA_MS = 350;
/** Less than a new segment needs. */
const FULL_DISK_BYTES = 1024;
/** Until the heir of a metadata leader stands for election; longer when its log is not as long, or messages are lost. */
const HANDOVER_MS_MAX = 100;
const HANDOVER_POLL_MS = 0.2;

/**
 * Proposals are under way for long, and the nodes that sent them are killed meanwhile: their clients try again through
 * others, and what was given up is applied behind what followed.
 */
export function lateProposals(stage: Stage): number | null {
  const { cluster, random } = stage;
  if (metadataLeader(cluster) === undefined) return null;
  const slowMs = between(random, 300, 2500);
  cluster.network.faults = {
    ...cluster.network.faults,
    slowProbability: LATE_PROBABILITY,
    slowMs,
  };
  const again = (): void => {
    const followers = cluster.machines.filter(
      (machine) => machine.isRunning && machine !== metadataLeader(cluster),
    );
    if (followers.length > 0) {
      const machine = pick(random, followers);
      cluster.kill(machine);
      stage.later(between(random, 1, 100), () => {
        if (!machine.isRunning) cluster.start(machine);
      });
    }
    stage.later(between(random, 50, 500), again);
  };
  again();
  return between(random, 1500, 4000);
}

/**
 * The leader of the text topic hands out records in answers that do not arrive. Then the node that asked goes on, or dies, so
 * that its clients ask elsewhere; or another leader takes over.
 */
export function lostDeliveries(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage, ({ segment }) => segment.topic === TEXT_TOPIC);
  if (cast === null) return null;
  const { leader } = cast;
  const asking = pick(
    random,
    cluster.machines.filter((machine) => machine !== leader),
  );
  cluster.network.cut(leader.address, asking.address);
  const lostMs = between(random, 100, 1200);
  stage.later(lostMs, () => {
    cluster.network.heal();
    switch (between(random, 0, 3)) {
      case 0:
        if (asking.isRunning) cluster.kill(asking);
        break;
      case 1:
        leader.parts?.segments.closeAll();
        break;
      case 2:
        if (leader.isRunning) cluster.kill(leader);
        break;
      default: // it asks again
    }
  });
  return lostMs + between(random, 500, 1500);
}

/**
 * The leader of the text topic is cut off until another one has taken its place. Then it may hear from the metadata leader
 * that it is alive before it hears of its successor. It may lead the metadata itself: then it has just told another one
 * to take over.
 */
export function staleLeader(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage, ({ segment }) => segment.topic === TEXT_TOPIC);
  if (cast === null) return null;
  if (cast.leader === metadataLeader(cluster)) handOverAndIsolate(stage, cast.leader);
  else cluster.network.isolate(cast.leader.address);
  whenState(stage, cast, ['SEALED', 'DELETED'], () => {
    stage.later(between(random, 0, 300), () => {
      cluster.network.heal();
      const late = { slowKind: MESSAGE_KIND.RAFT, slowProbability: 1, slowMs: LATE_METADATA_MS };
      cluster.network.faults = { ...cluster.network.faults, ...late };
    });
  });
  return between(random, 2500, 4000);
}

/**
 * The leader of the text topic lives, has its lease, and says itself that it cannot go on: it is frozen without an end to propose,
 * or has no room to begin. It hears late that another one goes on.
 */
export function unfitLeader(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage, ({ segment, leader }) => {
    return segment.topic === TEXT_TOPIC && leader !== metadataLeader(cluster);
  });
  if (cast === null) return null;
  const { leader, segment } = cast;
  if (chance(random, 0.2)) {
    const led = leader.parts?.segments.leaders() ?? [];
    led.find((other) => other.segment.segmentId === segment.segmentId)?.suspend();
    hearsLate(cluster, leader);
    return between(random, 1000, 2000);
  }
  const isNext = (machine: Machine): boolean => {
    return machine !== leader && machine !== metadataLeader(cluster) && machine.isServing;
  };
  const candidates = cluster.machines.filter(isNext);
  if (candidates.length === 0) return null;
  const next = pick(random, candidates);
  const { disk } = next;
  disk.faults = { ...CRASH_ONLY, capacityBytes: disk.usedBytes() + FULL_DISK_BYTES };
  leader.parts?.segments.closeAll();
  // Only then: it must have its time to hear that it is to lead.
  stage.later(OPEN_MS_MAX / 2, () => hearsLate(cluster, next));
  return OPEN_MS_MAX + 2000;
}

/** What the metadata decide comes late to a machine. */
function hearsLate({ network }: SimCluster, { address }: Machine): void {
  const late = { slowKind: MESSAGE_KIND.RAFT, slowProbability: 1, slowMs: LATE_METADATA_MS };
  network.faults = { ...network.faults, ...late, slowTo: address };
}

/** Cuts the metadata leader off right before it would hear that its heir stands for election. */
function handOverAndIsolate(stage: Stage, leader: Machine): void {
  const { cluster, random } = stage;
  const heirs = cluster.machines.filter((machine) => machine !== leader && machine.parts !== null);
  const heir = heirs.length === 0 ? undefined : pick(random, heirs);
  const raft = heir?.parts?.raft;
  if (heir === undefined || raft === undefined) {
    cluster.network.isolate(leader.address);
    return;
  }
  cluster.network.cut(heir.address, leader.address);
  // Nobody who is cut off hears how it goes.
  leader.parts?.raft.transferLeadership(raft.status().id).catch(() => undefined);
  const untilMs = cluster.scheduler.nowMs + HANDOVER_MS_MAX;
  const watch = (): void => {
    const isUnderWay = raft.status().role !== 'Candidate' && cluster.scheduler.nowMs < untilMs;
    if (isUnderWay) stage.later(HANDOVER_POLL_MS, watch);
    else cluster.network.isolate(leader.address);
  };
  watch();
}

/**
 * A leader of the text topic dies, and what becomes of its partition is heard of late by some: by its successor, which may lead
 * the other partition already, behind those who ask it.
 */
export function lateSuccessor(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage, ({ segment, leader }) => {
    return segment.topic === TEXT_TOPIC && leader !== metadataLeader(cluster);
  });
  if (cast === null) return null;
  cluster.kill(cast.leader);
  const late = { slowKind: MESSAGE_KIND.RAFT, slowProbability: 0.5, slowMs: LATE_METADATA_MS };
  cluster.network.faults = { ...cluster.network.faults, ...late };
  return between(random, 2500, 4000);
}

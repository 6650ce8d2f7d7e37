/**
 * Faults in several places with a purpose: each tries to bring about a state that a rule of the design is there for,
 * where drawing faults one by one would take too many seeds. All are legal: no disk is lost here except through
 * `tryLoseDisk` and `tryRuinDisk`, which keep to what the cluster must survive.
 */
import { between, chance, pick } from '../../base/random.ts';
import {
  lateProposals,
  lateSuccessor,
  lostDeliveries,
  staleLeader,
  unfitLeader,
} from './clientScenarios.ts';
import { emptyWitness, failedSync, lonelyTail } from './recoveryScenarios.ts';
import { rotAndLose, rotCopy, rotEveryCopy } from './rotScenarios.ts';
import type { Machine } from './simCluster.ts';
import { CRASH_ONLY } from './simDisk.ts';
import {
  cutBoth,
  drawSegment,
  healBoth,
  metadataLeader,
  metadataOf,
  powerFail,
  shuffled,
  whenState,
} from './stage.ts';
import type { Cast, Stage } from './stage.ts';
import {
  changeVoters,
  emptyVoter,
  forgottenVote,
  promotedUnaware,
  putBackVoter,
} from './voterScenarios.ts';

/** Returns how long it takes; what it has done by then is taken back; null when there is nothing to do. */
type Scenario = (stage: Stage) => number | null;

const POLL_MS = 3;
/** Less than a message takes. */
const FREEZE_POLL_MS = 0.05;
const FULL_DISK_BYTES = 1024;

export const SCENARIOS = {
  /** Power fails for all, or for one segment's members, right after an acknowledgement, while syncs are slow. */
  powerFailureAtAcknowledgement,
  /** A member lags; then the leader, and whoever else has the records, goes away for a while. */
  lagAndLose,
  /** A member lags and the leader dies; once the segment is sealed, the disk with the most is lost. */
  loseAfterSeal,
  /** A leader is cut off from the metadata, but not from enough members to go on. */
  zombie,
  /** The same, and the members lose power right after they were fenced. */
  zombieAndPowerFailure,
  /** A leader is fenced that goes on with a member which nobody could fence. */
  fenceLeader,
  /** A recovery copies to a member that a fence made, and whoever knows more cannot be asked by the next leader. */
  copyMadeByFence,
  /** Leaders close segments while their members cannot be reached. */
  closeWithoutMembers,
  /** Slow messages, no metadata leader, and power failures while votes are cast. */
  electionStorm,
  /** One machine is killed again and again, also while it starts. */
  restartStorm,
  /** Every machine is cut off, one after the other, and joined again in another order. */
  swizzle,
  /** One copy of a sealed segment rots; then each of the others is away for a while, in turn. */
  rotCopy,
  /** Every copy of a sealed segment rots, each in another place, while none can reach the others. */
  rotEveryCopy,
  /** A member lags, another one's copy rots and is found so at a restart, and the leader goes away. */
  rotAndLose,
  /** A metadata leader is paused for longer than an election takes, with requests to it under way. */
  pauseMetadataLeader,
  /** Two metadata leaders recover the same segment, one of them after a pause. */
  rivalRecoveries,
  /** Disks have no room for a while, also those of leaders that are about to open a segment. */
  fullDisks,
  /** A voter votes and acknowledges, is put back to before that, and is asked by the one who was cut off meanwhile. */
  putBackVoter,
  /** The same with a voter whose Raft log was emptied. */
  emptyVoter,
  /** A voter loses power right after its vote has decided an election; then the other candidate's request arrives. */
  forgottenVote,
  /** A voter dies before it hears of its promotion; then another voter's disk is lost. */
  promotedUnaware,
  /** Proposals are under way for long, and are applied behind what their clients did after they had given them up. */
  lateProposals,
  /** Of those who knew what was acknowledged, one has an empty disk and the other is away. */
  emptyWitness,
  /** What a recovery makes acknowledged is on one disk, and that is lost. */
  lonelyTail,
  /** A member's syncs fail, its process is started again, it acknowledges, loses power; then the leader's disk is lost. */
  failedSync,
  /** Answers with records of the shared cursor are lost, and nodes that have some die. */
  lostDeliveries,
  /** A leader of the shared cursor is replaced while it is cut off, and hears of it late. */
  staleLeader,
  /** The cluster begins by the operator's word (ADR 0150), with power failures meanwhile; nothing comes later. */
  beginByOperator: () => null,
  /** Connections of clients break, by what `--focus` makes of the plan: nothing comes later. */
  lostReplies: () => null,
  /** Nothing goes wrong: then clients are promised more. */
  noFaults: () => null,
  /** A leader of the shared cursor dies, and its successor is among those who hear late that it is the one. */
  lateSuccessor,
  /** The number of voters changes while machines die: when two of five die, the others are to be the three. */
  changeVoters,
  /** A leader of the shared cursor says that it cannot go on, and hears late that it is replaced. */
  unfitLeader,
} as const satisfies Readonly<Record<string, Scenario>>;

export type ScenarioKind = keyof typeof SCENARIOS;

/** Scenarios that do nothing in a cluster with fewer machines. */
export const MACHINES_MIN: Readonly<Partial<Record<ScenarioKind, number>>> = {
  fenceLeader: 4,
  copyMadeByFence: 4,
  emptyWitness: 5,
  lonelyTail: 5,
  changeVoters: 5,
};

function powerFailureAtAcknowledgement(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  if (cast === null) return null;
  const machines = chance(random, 0.5) ? cluster.machines : [cast.leader, ...cast.others];
  const isWorst = chance(random, 0.6);
  for (const { disk } of machines) {
    disk.faults = {
      ...CRASH_ONLY,
      ...(isWorst ? { lostWriteProbability: 1, lostNameProbability: 1 } : {}),
      slowSyncProbability: 0.7,
      slowSyncMs: { min: 20, max: 400 },
    };
  }
  stage.later(between(random, 20, 500), () => {
    stage.atAcknowledgement(500, () => powerFail(stage, machines, 300));
  });
  return 2500;
}

/** Cuts a member off from its leader for a while, so that it lags. */
function lag(stage: Stage, { leader, others }: Cast): readonly Machine[] {
  const { cluster } = stage;
  const laggard = others[0];
  if (laggard === undefined) return [];
  cluster.network.cut(leader.address, laggard.address);
  return others.slice(1);
}

function lagAndLose(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  if (cast === null) return null;
  const full = lag(stage, cast);
  const backMs = between(random, 1500, 3000);
  const isPower = chance(random, 0.5);
  const losesDisk = chance(random, 0.4);
  stage.later(between(random, 20, 400), () => {
    stage.atAcknowledgement(400, () => {
      if (isPower) cluster.crash(cast.leader);
      else cluster.kill(cast.leader);
      cluster.network.heal();
      for (const machine of full.slice(0, cast.segment.ackQuorum - 1)) {
        if (losesDisk && stage.tryLoseDisk(machine, between(random, 50, 300))) continue;
        cluster.network.isolate(machine.address);
      }
    });
  });
  stage.later(400 + 400 + backMs, () => {
    if (!cast.leader.isRunning) cluster.start(cast.leader);
  });
  return 400 + 400 + backMs + 500;
}

function loseAfterSeal(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  if (cast === null) return null;
  const full = lag(stage, cast);
  stage.later(between(random, 20, 400), () => {
    stage.atAcknowledgement(400, () => {
      cluster.kill(cast.leader);
      cluster.network.heal();
      whenState(stage, cast, ['SEALED'], () => {
        for (const machine of full) stage.tryLoseDisk(machine, 200);
      });
    });
  });
  return 4000;
}

/** Leaves a leader with W-1 members and nobody else. */
function cutOff({ cluster }: Stage, { segment, leader, others }: Cast): readonly Machine[] {
  const loyal = others.slice(0, segment.ackQuorum - 1);
  for (const machine of cluster.machines) {
    if (machine !== leader && !loyal.includes(machine)) cutBoth(cluster, leader, machine);
  }
  return loyal;
}

function zombie(stage: Stage): number | null {
  const cast = drawSegment(stage);
  if (cast === null || stage.cluster.machines.length < 3) return null;
  cutOff(stage, cast);
  return between(stage.random, 1500, 3500);
}

function fenceLeader(stage: Stage): number | null {
  const { cluster, random } = stage;
  const metadata = metadataLeader(cluster);
  const isFit = ({ leader, others }: Cast): boolean =>
    leader !== metadata && !others.includes(metadata as Machine);
  const cast = drawSegment(stage, isFit);
  const loyal = cast?.others[0];
  // The metadata must have its majority without these two.
  if (cast === null || !metadata || !loyal || cluster.machines.length < 4) return null;
  const { leader, segment } = cast;
  for (const machine of cluster.machines) {
    cutBoth(cluster, leader, machine);
    cutBoth(cluster, loyal, machine);
  }
  whenState(stage, cast, ['RECOVERING'], () => healBoth(cluster, leader, metadata));
  // Nothing was committed meanwhile, so that the segment has room for what comes after the fence.
  const watch = (): void => {
    const epoch = leader.parts?.host.replica(segment.segmentId)?.fenceEpoch ?? 0;
    if (epoch > 0) healBoth(cluster, leader, loyal);
    else stage.later(1, watch);
  };
  watch();
  return between(random, 2500, 4000);
}

function copyMadeByFence(stage: Stage): number | null {
  const { cluster, random } = stage;
  const metadata = metadataLeader(cluster);
  if (metadata === undefined || cluster.machines.length < 4) return null;
  const laggard = pick(
    random,
    cluster.machines.filter((machine) => machine !== metadata),
  );
  for (const machine of cluster.machines) {
    if (machine !== metadata && machine !== laggard) cutBoth(cluster, laggard, machine);
  }
  const first = metadataOf(cluster)?.nextSegmentId ?? 0;
  const isFit = ({ segment, leader, others }: Cast): boolean =>
    segment.segmentId >= first &&
    leader !== metadata &&
    others.includes(laggard) &&
    !others.includes(metadata);
  const watch = (): void => {
    const cast = drawSegment(stage, isFit);
    if (cast === null) {
      stage.later(POLL_MS, watch);
      return;
    }
    stage.later(between(random, 50, 300), () => {
      stage.atAcknowledgement(200, () => {
        cluster.kill(cast.leader);
        // Only the metadata leader can reach the others: it copies, and the next leader asks in vain.
        for (const member of cast.others) {
          for (const machine of cluster.machines) {
            if (machine !== metadata && machine !== member) cutBoth(cluster, member, machine);
          }
        }
        whenState(stage, cast, ['SEALED'], () => {
          stage.later(500, () => {
            for (const machine of cluster.machines) {
              if (machine !== laggard) healBoth(cluster, laggard, machine);
            }
          });
        });
      });
    });
  };
  watch();
  return 6000;
}

function zombieAndPowerFailure(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  if (cast === null) return null;
  const loyal = cutOff(stage, cast);
  stage.later(between(random, 300, 900), () => {
    for (const machine of loyal) cutBoth(cluster, cast.leader, machine);
  });
  whenState(stage, cast, ['SEALED'], () => {
    for (const machine of loyal) {
      machine.disk.faults = { ...CRASH_ONLY, lostWriteProbability: 1 };
      healBoth(cluster, cast.leader, machine);
    }
    powerFail(stage, loyal, 20);
  });
  return 5000;
}

function closeWithoutMembers(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  if (cast === null) return null;
  const isAlone = chance(random, 0.5);
  for (const machine of isAlone ? cluster.machines : cast.others) {
    // Acknowledgements do not come back; what the leader sends arrives.
    if (machine !== cast.leader) cluster.network.cut(machine.address, cast.leader.address);
  }
  stage.later(between(random, 0, 300), () => {
    cast.leader.parts?.segments.closeAll();
    if (!isAlone) answerAfterFreeze(stage, cast);
  });
  if (isAlone) stage.later(between(random, 300, 1500), () => healWithTrouble(stage, cast));
  return between(random, 2000, 3500);
}

function healWithTrouble(stage: Stage, { leader }: Cast): void {
  const { cluster, random } = stage;
  cluster.network.heal();
  for (const { disk } of chance(random, 0.5) ? cluster.machines : []) {
    disk.faults = { ...CRASH_ONLY, slowSyncProbability: 0.5, slowSyncMs: { min: 20, max: 300 } };
  }
  if (chance(random, 0.5)) stage.atAcknowledgement(300, () => cluster.kill(leader));
}

/** The members answer as soon as the leader has frozen its end, which takes a while to reach the metadata. */
function answerAfterFreeze(stage: Stage, { leader, segment }: Cast): void {
  const { cluster, random } = stage;
  const metadata = metadataLeader(cluster);
  const watch = (): void => {
    const leaders = leader.parts?.segments.leaders() ?? [];
    const led = leaders.find((other) => other.segment.segmentId === segment.segmentId);
    if (led === undefined) return;
    if (led.state !== 'Frozen') {
      stage.later(FREEZE_POLL_MS, watch);
      return;
    }
    cluster.network.heal();
    if (metadata === undefined || metadata === leader) return;
    cluster.network.cut(leader.address, metadata.address);
    stage.later(between(random, 100, 400), () => healBoth(cluster, leader, metadata));
  };
  watch();
}

function electionStorm(stage: Stage): number | null {
  const { cluster, random } = stage;
  const calm = cluster.network.faults;
  cluster.network.faults = { ...calm, slowProbability: 0.5, slowMs: 500 };
  const down = metadataLeader(cluster);
  if (down !== undefined) cluster.kill(down);
  const watch = (): void => {
    const candidates = cluster.machines.filter(
      (machine) => machine.parts?.raft.status().role === 'Candidate',
    );
    const voters = cluster.machines.filter(
      (machine) => machine.isRunning && !candidates.includes(machine),
    );
    if (candidates.length > 0 && voters.length > 0 && chance(random, 0.15)) {
      powerFail(stage, [pick(random, voters)], 5);
    }
    stage.later(10, watch);
  };
  watch();
  stage.later(2500, () => (cluster.network.faults = calm));
  return 3000;
}

function restartStorm(stage: Stage): number | null {
  const { cluster, random } = stage;
  const machine = pick(random, cluster.machines);
  const again = (): void => {
    if (machine.isRunning) {
      if (chance(random, 0.5)) cluster.kill(machine);
      else cluster.crash(machine);
    } else cluster.start(machine);
    stage.later(between(random, 1, 150), again);
  };
  again();
  return between(random, 500, 2500);
}

function swizzle(stage: Stage): number | null {
  const { cluster, random } = stage;
  for (const machine of shuffled(random, cluster.machines)) {
    stage.later(between(random, 0, 1000), () => cluster.network.isolate(machine.address));
    stage.later(between(random, 1000, 2500), () => {
      for (const other of cluster.machines)
        if (other !== machine) healBoth(cluster, machine, other);
    });
  }
  return 2600;
}

function pauseMetadataLeader(stage: Stage): number | null {
  const { cluster, random } = stage;
  const process = metadataLeader(cluster)?.process;
  if (process === undefined || process === null) return null;
  stage.atAcknowledgement(200, () => process.pause());
  stage.later(between(random, 800, 2500), () => process.resume());
  return 2600;
}

function rivalRecoveries(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage);
  const first = metadataLeader(cluster);
  const process = first?.process;
  if (cast === null || !process || cast.leader === first) return null;
  const cutOffMachines = cutOff(stage, cast);
  whenState(stage, cast, ['RECOVERING'], () => {
    stage.later(between(random, 0, 60), () => process.pause());
    stage.later(between(random, 700, 1500), () => {
      for (const machine of chance(random, 0.5) ? cutOffMachines : []) {
        cutBoth(cluster, cast.leader, machine);
      }
      process.resume();
    });
  });
  return 5000;
}

function fullDisks(stage: Stage): number | null {
  const { cluster, random } = stage;
  for (const { disk } of cluster.machines) {
    if (chance(random, 0.5)) continue;
    disk.faults = { ...CRASH_ONLY, capacityBytes: disk.usedBytes() + FULL_DISK_BYTES };
  }
  return between(random, 500, 2000);
}

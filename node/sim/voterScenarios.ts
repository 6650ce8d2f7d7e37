/** Scenarios with metadata voters: whose disks lose what they have promised by (ADR 0121), or whose number is changed. */
import { isWalrusError } from '../../base/errors.ts';
import { between, chance, pick } from '../../base/random.ts';
import { setWantedVoters } from '../controller/wantedVoters.ts';
import { nodeOfServer } from '../raft/types.ts';
import { Violation } from './history.ts';
import { isRollBackDetectable } from './rollBack.ts';
import type { Machine } from './simCluster.ts';
import type { SimDisk } from './simDisk.ts';
import {
  cutBoth,
  healBoth,
  machineOf,
  metadataLeader,
  powerFail,
  shuffled,
  termOf,
} from './stage.ts';
import type { Stage } from './stage.ts';

const POLL_MS = 20;
/** Between two looks at candidates, whose requests are slowed down so that others stand meanwhile. */
const ELECTION_POLL_MS = 1;
const ELECTION_SLOW_MS = 400;
/** Less than a message takes. */
const DECISION_POLL_MS = 0.05;
const FORGOTTEN_VOTE_MS = 4000;
const PROMOTED_UNAWARE_MS = 4000;
const CHANGE_VOTERS_MS = 8000;
/** Between three that are up: an election, and two changes. */
const SHRUNK_WITHIN_MS = 6000;

/** The metadata leader, which is cut off in the end; a voter that will forget; and the last one, if there are three. */
function drawVoters({ cluster, random }: Stage): readonly [Machine, Machine, Machine] | null {
  const leader = metadataLeader(cluster);
  const voters = leader?.parts?.raft.status().configuration.voters ?? [];
  if (leader === undefined || voters.length !== 3) return null;
  if (!cluster.machines.every(({ isServing }) => isServing)) return null;
  const others = voters
    .map(({ id }) => machineOf(cluster, nodeOfServer(id)))
    .filter((machine): machine is Machine => machine !== undefined && machine !== leader);
  const [forgetful, last] = shuffled(random, others);
  return forgetful === undefined || last === undefined ? null : [leader, forgetful, last];
}

function whenTrue(
  stage: Stage,
  condition: () => boolean,
  act: () => void,
  pollMs: number = POLL_MS,
): void {
  if (condition()) act();
  else stage.later(pollMs, () => whenTrue(stage, condition, act, pollMs));
}

export function putBackVoter(stage: Stage): number | null {
  const cast = drawVoters(stage);
  if (cast === null) return null;
  const { cluster } = stage;
  const [, forgetful] = cast;
  const image = forgetful.disk.snapshotState();
  cluster.kill(forgetful);
  cluster.start(forgetful);
  whenTrue(
    stage,
    () => isRollBackDetectable(cluster, forgetful, image),
    () => {
      voteTwice(stage, cast, (disk) => disk.restoreState(image));
    },
  );
  return 9000;
}

export function emptyVoter(stage: Stage): number | null {
  const cast = drawVoters(stage);
  if (cast === null) return null;
  voteTwice(stage, cast, (disk) => disk.empty('raft'));
  return 9000;
}

/**
 * Two servers stand for election in the same term, and cannot hear each other. The third, which both have asked, is just
 * starting; it votes, decides the election, and loses power before it hears more of it. Then the other request arrives.
 */
export function forgottenVote(stage: Stage): number | null {
  const cast = drawVoters(stage);
  if (cast === null) return null;
  const { cluster } = stage;
  const [old, ...others] = cast;
  const calm = cluster.network.faults;
  const roleOf = (machine: Machine): string | undefined => machine.parts?.raft.status().role;
  const isSplit = (): boolean =>
    others.every((machine) => roleOf(machine) === 'Candidate') &&
    termOf(others[0]) === termOf(others[1]);
  const isDecided = (): boolean => others.some((machine) => roleOf(machine) === 'Leader');
  const startVoter = (): void => {
    cluster.network.faults = calm; // the requests stay under way
    cutBoth(cluster, ...others);
    cluster.start(old);
    whenTrue(stage, isDecided, () => powerFail(stage, [old], 1), DECISION_POLL_MS);
  };
  cluster.kill(old);
  cluster.network.faults = { ...calm, slowProbability: 1, slowMs: ELECTION_SLOW_MS };
  whenTrue(stage, isSplit, startVoter, ELECTION_POLL_MS);
  stage.later(FORGOTTEN_VOTE_MS - 1000, () => {
    cluster.network.faults = calm;
    if (!old.isRunning) cluster.start(old);
  });
  return FORGOTTEN_VOTE_MS;
}

/**
 * A voter becomes a learner, and a voter again, and dies before it hears of that. Then another voter's disk is lost: with
 * the leader it is the majority, but its log says that the lost one is needed.
 */
export function promotedUnaware(stage: Stage): number | null {
  const cast = drawVoters(stage);
  if (cast === null) return null;
  const { cluster } = stage;
  const [leader, unaware, lost] = cast;
  const leading = leader.parts?.raft;
  const id = unaware.parts?.raft.status().id;
  if (leading === undefined || id === undefined) return null;
  const isVoterFor = (machine: Machine): boolean =>
    machine.parts?.raft.status().configuration.voters.some((voter) => voter.id === id) === true;
  const loseOther = (): void => {
    if (!stage.tryLoseDisk(lost, between(stage.random, 50, 500))) return;
    stage.later(between(stage.random, 0, 500), () => cluster.start(unaware));
  };
  const killUnaware = (): void => {
    if (isVoterFor(unaware)) return; // it has heard of it
    cluster.kill(unaware);
    const { index } = leading.latestConfiguration();
    whenTrue(stage, () => leading.status().commitIndex >= index, loseOther);
  };
  const whenPromoted = (): void => {
    whenTrue(stage, () => isVoterFor(leader), killUnaware, DECISION_POLL_MS);
  };
  leading.changeMembership({ type: 'DemoteVoter', id }).then(whenPromoted, () => undefined);
  stage.later(PROMOTED_UNAWARE_MS - 1, () => {
    if (!unaware.isRunning) cluster.start(unaware);
  });
  return PROMOTED_UNAWARE_MS;
}

/**
 * The old leader is cut off, and another one is elected by the vote of the one that will forget. Then that one forgets,
 * and is asked by the old one, which knows nothing of the election and of what was committed since.
 */
function voteTwice(
  stage: Stage,
  [old, forgetful, last]: readonly [Machine, Machine, Machine],
  ruin: (disk: SimDisk) => void,
): void {
  const { cluster, random } = stage;
  const term = termOf(old);
  cluster.network.isolate(old.address);
  const isElected = (): boolean => {
    const leader = metadataLeader(cluster);
    return leader !== undefined && leader !== old && termOf(leader) > term;
  };
  whenTrue(stage, isElected, () => {
    stage.later(between(random, 0, 500), () => {
      cluster.network.isolate(last.address);
      // A refusal may take a while, and so may votes.
      const bad = chance(random, 0.3)
        ? { slowProbability: 0.7, slowMs: between(random, 100, 1000) }
        : { lossProbability: between(random, 0, 9) / 10 };
      cluster.network.faults = { ...cluster.network.faults, ...bad };
      if (!stage.tryRuinDisk(forgetful, between(random, 1500, 5000), ruin)) return;
      healBoth(cluster, old, forgetful);
      if (chance(random, 0.3)) powerFail(stage, [pick(random, [old, last])], 300);
    });
  });
}

/** From three voters to five, or back, while machines die. */
export function changeVoters(stage: Stage): number | null {
  const { cluster } = stage;
  const leader = metadataLeader(cluster);
  const { raft, metadata } = leader?.parts ?? {};
  if (leader === undefined || raft === undefined || metadata === undefined) return null;
  if (!cluster.machines.every(({ isServing }) => isServing)) return null;
  const { length } = raft.status().configuration.voters;
  if (length !== metadata.metadata.config.metadataVoters) return null; // another change is not over
  const wanted = length === 3 ? 5 : 3;
  setWantedVoters(metadata, wanted).catch((error: unknown) => {
    if (!isWalrusError(error)) cluster.bugs.push(error);
  });
  if (wanted === 5) {
    stage.later(between(stage.random, 0, 400), () => {
      powerFail(stage, shuffled(stage.random, cluster.machines).slice(0, 2), 2000);
    });
  } else {
    const isWanted = (): boolean => metadata.metadata.config.metadataVoters === wanted;
    whenTrue(stage, isWanted, () => killTwoOfFive(stage, leader), ELECTION_POLL_MS);
  }
  return CHANGE_VOTERS_MS;
}

/** The leader and another voter die as three are wanted: the three that are left can do without both. */
function killTwoOfFive(stage: Stage, leader: Machine): void {
  const { cluster, random } = stage;
  if (leader.parts?.raft.status().configuration.voters.length !== 5) return; // a change has begun
  const others = cluster.machines.filter((machine) => machine !== leader);
  const [dead, ...survivors] = shuffled(random, others);
  if (dead === undefined) return;
  for (const machine of [leader, dead]) cluster.kill(machine);
  const areUp = survivors.every(({ isServing }) => isServing) && stage.isUndisturbed;
  stage.later(SHRUNK_WITHIN_MS, () => {
    const isStuck = !survivors.some((machine) => leadsVoters(machine, 3));
    if (areUp && isStuck) {
      const message = 'of five voters two are dead, and the others do not become three';
      cluster.bugs.push(new Violation('Progress', message));
    }
    for (const machine of [leader, dead]) if (!machine.isRunning) cluster.start(machine);
  });
}

/** Whether a machine leads so many voters, who have agreed to be so many. */
function leadsVoters({ parts }: Machine, count: number): boolean {
  if (parts === null) return false;
  const { role, configuration, commitIndex } = parts.raft.status();
  if (role !== 'Leader' || configuration.voters.length !== count) return false;
  return parts.raft.latestConfiguration().index <= commitIndex;
}

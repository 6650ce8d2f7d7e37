/** Scenarios that aim at what a recovery goes by, and what its seal leaves behind (R3, R5). */
import { between } from '../../base/random.ts';
import { nodeOfServer } from '../raft/types.ts';
import type { SegmentRecord } from '../state/types.ts';
import type { Machine, SimCluster } from './simCluster.ts';
import { CRASH_ONLY } from './simDisk.ts';
import { cutBoth, drawSegment, machineOf, metadataLeader, whenState } from './stage.ts';
import type { Cast, Stage } from './stage.ts';

const POLL_MS = 1;
/** A leader's syncs: long enough that its follower is far ahead. */
const SLOW_SYNC_MS = { min: 300, max: 800 };
/** By then a sync that has begun has failed. */
const FAILED_SYNC_MS = 5;

/** How far a member has a segment durably. */
function tailOf({ parts }: Machine, { segmentId }: SegmentRecord): number {
  return parts?.host.replica(segmentId)?.durableTail ?? 0;
}

/** Whether the metadata go on while some machines are away. */
function keepsMajority(cluster: SimCluster, away: readonly Machine[]): boolean {
  const voters = metadataLeader(cluster)?.parts?.raft.status().configuration.voters ?? [];
  const left = voters.filter(({ id }) => {
    const machine = machineOf(cluster, nodeOfServer(id));
    return machine?.isServing === true && !away.includes(machine);
  });
  return left.length > voters.length / 2;
}

/** An open segment with two members beside its leader, and with records. */
function drawTrio(
  stage: Stage,
  isFit: (leader: Machine, one: Machine, other: Machine) => boolean,
): (Cast & { readonly others: readonly [Machine, Machine] }) | null {
  const isTrio = ({ segment, leader, others: [one, other, more] }: Cast): boolean => {
    if (one === undefined || other === undefined || more !== undefined) return false;
    return tailOf(leader, segment) > segment.baseOffset && isFit(leader, one, other);
  };
  return drawSegment(stage, isTrio) as ReturnType<typeof drawTrio>;
}

/**
 * One member lags. The other one, which holds what was acknowledged, loses its disk; the leader is away for longer than it
 * takes to replace it. So only the lagging member and an empty disk are there to ask.
 */
export function emptyWitness(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawTrio(stage, (leader, witness) => keepsMajority(cluster, [leader, witness]));
  if (cast === null) return null;
  const { leader } = cast;
  const [witness, laggard] = cast.others;
  cluster.network.cut(leader.address, laggard.address);
  stage.later(between(random, 100, 500), () => {
    stage.atAcknowledgement(400, () => {
      cluster.kill(leader);
      cluster.network.heal();
      if (!stage.tryLoseDisk(witness, between(random, 50, 300))) cluster.start(leader);
    });
  });
  stage.later(5000, () => {
    if (!leader.isRunning) cluster.start(leader);
  });
  return 6000;
}

/**
 * What only one member holds at the end of a recovery: its leader has lost it with the power, and the other member lags.
 * The seal makes it acknowledged; then that member's disk is lost, before others could copy from it by themselves.
 */
export function lonelyTail(stage: Stage): number | null {
  const { cluster, random } = stage;
  const metadata = metadataLeader(cluster);
  const cast = drawTrio(
    stage,
    (leader, holder, laggard) =>
      ![leader, holder, laggard].includes(metadata as Machine) &&
      keepsMajority(cluster, [leader, holder]),
  );
  if (cast === null) return null;
  const { leader, segment } = cast;
  const [holder, laggard] = cast.others;
  cutBoth(cluster, leader, laggard);
  cutBoth(cluster, holder, laggard);
  leader.disk.faults = {
    ...CRASH_ONLY,
    lostWriteProbability: 1,
    slowSyncProbability: 1,
    slowSyncMs: SLOW_SYNC_MS,
  };
  const watch = (): void => {
    if (tailOf(holder, segment) <= tailOf(leader, segment)) {
      stage.later(POLL_MS, watch);
      return;
    }
    cluster.crash(leader);
    // Only the metadata leader reaches it: no other node copies what it holds.
    for (const machine of cluster.machines) {
      if (machine !== metadata && machine !== holder) cutBoth(cluster, holder, machine);
    }
    whenState(stage, cast, ['SEALED'], () => {
      // Whoever sent it hears that it is there already.
      stage.atAcknowledgement(500, () => {
        stage.later(between(random, 1, 20), () => void stage.tryLoseDisk(holder, 200));
      });
    });
  };
  stage.later(between(random, 20, 200), watch);
  return 5000;
}

/**
 * A member's syncs fail and its process is only started again, while another member is away: what is acknowledged then is
 * on the leader's disk and on that one. As soon as that holds of what its failed sync was to write, it loses power, and the
 * leader's disk is lost.
 */
export function failedSync(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawTrio(stage, (leader, _, away) =>
    [leader, away].every((machine) => keepsMajority(cluster, [machine])),
  );
  if (cast === null) return null;
  const { leader, segment } = cast;
  const [broken, away] = cast.others;
  const startAgain = (machine: Machine): void => {
    if (!machine.isRunning) cluster.start(machine);
  };
  const loseBoth = (): void => {
    if (!stage.tryLoseDisk(leader, 1500)) return;
    cluster.crash(broken);
    cluster.network.heal();
    stage.later(100, () => startAgain(broken));
  };
  const whenAcknowledged = (cached: number): void => {
    const committed = leader.parts?.host.committedOffset(segment) ?? 0;
    if (committed >= cached) loseBoth();
    else stage.later(POLL_MS, () => whenAcknowledged(cached));
  };
  const whenUnproven = (): void => {
    const replica = broken.parts?.host.replica(segment.segmentId);
    if (replica === undefined || replica.durableTail === replica.tail) {
      stage.later(POLL_MS, whenUnproven);
      return;
    }
    stage.later(FAILED_SYNC_MS, () => {
      const cached = replica.tail;
      cluster.kill(broken);
      broken.disk.heal();
      // What comes now shares pages with what is there, and would write it.
      broken.disk.faults = {
        ...CRASH_ONLY,
        lostWriteProbability: 1,
        slowSyncProbability: 1,
        slowSyncMs: SLOW_SYNC_MS,
      };
      cluster.start(broken);
      whenAcknowledged(cached);
    });
  };
  // Nobody else has what they acknowledge.
  for (const machine of [leader, broken]) cutBoth(cluster, machine, away);
  stage.later(between(random, 5, 50), () => {
    broken.disk.failSyncs();
    whenUnproven();
  });
  stage.later(5000, () => {
    broken.disk.heal();
    startAgain(broken);
  });
  return 6000;
}

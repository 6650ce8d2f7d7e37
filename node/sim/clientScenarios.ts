/** Scenarios that aim at what clients are told: where a group goes on, and what a shared cursor hands out. */
import { between, pick } from '../../base/random.ts';
import { MESSAGE_KIND } from '../../protocol/peer/envelope.ts';
import { TEXT_TOPIC } from './history.ts';
import { drawSegment, metadataLeader, whenState } from './stage.ts';
import type { Stage } from './stage.ts';

/** Messages between nodes take their time, those of elections too: few enough that a leader stays. */
const LATE_PROBABILITY = 0.2;
/** How late metadata may come: not so late that their leader is taken for dead. */
const LATE_METADATA_MS = 350;

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
 * that it is alive before it hears of its successor. It may lead the metadata itself: then it is cut off with whom it asks for its
 * lease.
 */
export function staleLeader(stage: Stage): number | null {
  const { cluster, random } = stage;
  const cast = drawSegment(stage, ({ segment }) => segment.topic === TEXT_TOPIC);
  if (cast === null) return null;
  cluster.network.isolate(cast.leader.address);
  whenState(stage, cast, ['SEALED', 'DELETED'], () => {
    stage.later(between(random, 0, 300), () => {
      cluster.network.heal();
      const late = { slowKind: MESSAGE_KIND.RAFT, slowProbability: 1, slowMs: LATE_METADATA_MS };
      cluster.network.faults = { ...cluster.network.faults, ...late };
    });
  });
  return between(random, 2500, 4000);
}

/** Scenarios that aim at what clients are told: where a group goes on, and what a shared cursor hands out. */
import { between, pick } from '../../base/random.ts';
import { metadataLeader } from './stage.ts';
import type { Stage } from './stage.ts';

/** Messages between nodes take their time, those of elections too: few enough that a leader stays. */
const LATE_PROBABILITY = 0.2;

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

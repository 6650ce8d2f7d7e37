/**
 * Plants a bug (`--bug NAME`), puts operators through the story that finds it, and prints which property did not hold: a process
 * of its own for each bug, since it is planted while modules are loaded.
 */
import { parseArgs } from 'node:util';
import { plant } from '../../base/testing/plant.ts';
import { OPERATOR_BUGS } from './bugs.ts';
import type { StoryName } from './bugs.ts';

const PLAN_RUNS = 6000;
const SEEDS = 40;

const { values } = parseArgs({ options: { bug: { type: 'string' } } });
const bug = OPERATOR_BUGS.find(({ name }) => name === values.bug);
if (bug === undefined) throw new Error(`There is no bug ${values.bug}`);
plant(bug.changes);

async function tell(name: StoryName): Promise<void> {
  // Nothing that a bug may be planted in is loaded before.
  const stories = await import('./stories.ts');
  const runs = await import('../plan/testing/randomRuns.ts');
  const scripted = await import('../plan/testing/scripted.ts');
  const told: Readonly<Record<StoryName, () => unknown>> = {
    plans: () => runs.checkPlans({ numRuns: PLAN_RUNS, seed: 1 }),
    startingAgain: () => (['Rolling', 'Paused'] as const).forEach(scripted.checkStartingAgain),
    refused: scripted.checkRefused,
    cutOff: scripted.checkCutOff,
    undisturbed: stories.undisturbed,
    joinedMeanwhile: stories.joinedMeanwhile,
    hung: stories.hung,
    orphaned: stories.orphaned,
    boundMeanwhile: () => stories.takenBack(true),
    fewer: scripted.checkFewer,
    forgotten: scripted.checkForgotten,
    hanging: scripted.checkHanging,
    hostWanted: scripted.checkHostWanted,
    madeAgain: scripted.checkMadeAgain,
    troubled: () => eachSeed(stories.troubled),
    changedMinds: () => eachSeed(stories.changedMinds),
    drained: () => eachSeed(stories.drained),
    sideBySide: () => eachSeed(stories.sideBySide),
  };
  await told[name]();
}

async function eachSeed(story: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= SEEDS; seed += 1) await story(seed);
}

try {
  await tell(bug.story);
  process.stdout.write('all properties hold\n');
} catch (error) {
  // fast-check wraps what a property has thrown.
  const { message, cause } = error as Error;
  process.stdout.write(`FOUND ${cause instanceof Error ? cause.message : message}\n`);
}
